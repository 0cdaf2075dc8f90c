"""Membership inference finds what is there to find, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.attack_cases import Constant, Dice, Logits, Memory, noise_data, numbers_schema

from holdfast.attacks import membership_inference
from holdfast.attacks.privacy.membership_result import MembershipResult
from holdfast.data import Dataset
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence
from holdfast.models import LinearModel, OnnxModel, fit_estimator

DIGEST = "sha256:" + "0" * 64


def logistic(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
    return fit_estimator(LogisticRegression(max_iter=500), data)


def full_tree(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
    return fit_estimator(DecisionTreeClassifier(random_state=seed), data)


def memory(data: Dataset, *, seed: int) -> Memory:
    return Memory(data)


def constant(data: Dataset, *, seed: int) -> Constant:
    return Constant(data.schema)


def two_sides(rows: int = 120, seed: int = 0) -> tuple[Dataset, Dataset]:
    data = noise_data(rows, np.random.default_rng(seed))
    return data.split(test_fraction=0.5, seed=seed)


def test_a_model_that_remembers_its_rows_gives_them_all_away() -> None:
    members, others = two_sides()
    result = membership_inference(
        memory(members, seed=0),
        members=members,
        non_members=others,
        trainer=memory,
        n_shadows=8,
        rng=np.random.default_rng(0),
    )
    assert result.advantage.value == 1.0
    assert result.advantage.low is not None
    assert result.advantage.low > 0.9
    assert result.auc.value == 1.0
    assert result.tpr_at_1pct_fpr.value == 1.0


def test_a_full_tree_on_random_labels_gives_away_about_half_of_what_there_is() -> None:
    # it is right on every member and on half of the others, and says nothing else
    members, others = two_sides(400, seed=3)
    tree = full_tree(members, seed=0)
    result = membership_inference(
        tree, members=members, non_members=others, trainer=full_tree, n_shadows=16, rng=np.random.default_rng(0)
    )
    wrong = np.mean(tree.predict_proba(others.X).argmax(axis=1) != others.y)
    assert result.advantage.value == pytest.approx(wrong, abs=0.1)
    assert result.advantage.low is not None
    assert result.advantage.low > 0.3


def test_a_constant_model_gives_nothing_away() -> None:
    members, others = two_sides()
    result = membership_inference(
        constant(members, seed=0), members=members, non_members=others, trainer=constant, rng=np.random.default_rng(0)
    )
    assert result.advantage.value == 0
    assert result.auc.value == 0.5
    assert result.worst_advantage.value == 0
    assert result.advantage.low is not None
    assert result.advantage.low < 0


def test_records_of_which_neither_side_was_trained_on_show_no_advantage_on_average() -> None:
    advantages = []
    for seed in range(12):
        data = noise_data(160, np.random.default_rng(seed))
        trained_on, rest = data.split(test_fraction=0.5, seed=seed)
        first, second = rest.split(test_fraction=0.5, seed=seed + 100)
        result = membership_inference(
            logistic(trained_on, seed=0),
            members=first,
            non_members=second,
            trainer=logistic,
            n_shadows=8,
            rng=np.random.default_rng(seed),
        )
        advantages.append(result.advantage.value)
    # 12 runs of 40 + 40 records: a standard error of at most sqrt(2 * 0.25 / 40 / 12) = 0.032
    assert abs(np.mean(advantages)) < 5 * 0.032


def test_a_planted_outlier_is_the_riskiest_member() -> None:
    rng = np.random.default_rng(4)
    X = rng.uniform(4, 6, (80, 4))
    data = Dataset(numbers_schema(), X, (X[:, 0] > 5).astype(np.int64))
    members, others = data.split(test_fraction=0.5, seed=0)
    X, y = members.X.copy(), members.y.copy()
    X[7], y[7] = 10.0, 0
    members = Dataset(members.schema, X, y)
    result = membership_inference(
        logistic(members, seed=0), members=members, non_members=others, trainer=logistic, rng=rng, n_shadows=64
    )
    assert result.riskiest(1).tolist() == [7]


def test_the_tumour_data_takes_a_moment_and_the_evidence_says_all(tumour: Dataset) -> None:
    members, others = tumour.split(test_fraction=0.2, seed=0)
    seen: list[tuple[int, int]] = []
    result = membership_inference(
        logistic(members, seed=0),
        members=members,
        non_members=others,
        trainer=logistic,
        rng=np.random.default_rng(0),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 32) for done in range(1, 33)]
    assert result.scores.shape == result.member.shape == (569,)
    assert result.member.sum() == len(members)
    assert result.worst_advantage.value >= result.advantage.value
    evidence = result.to_evidence(DIGEST)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    assert evidence.kind == "membership-inference"
    names = {"advantage", "auc", "tpr_at_1pct_fpr", "tpr_at_01pct_fpr", "worst_advantage", "max_score"}
    assert names <= evidence.figures.keys()
    assert evidence.figures["advantage"].bound == evidence.figures["auc"].bound == "lower"
    assert evidence.context["riskiest_members"] == result.riskiest().tolist()
    assert any("AML.T0024.000" in name for name in evidence.references)


def test_fewer_than_four_shadows_are_refused() -> None:
    members, others = two_sides(20)
    with pytest.raises(UsageError, match="at least 4 shadow models, got 3"):
        membership_inference(
            constant(members, seed=0),
            members=members,
            non_members=others,
            trainer=constant,
            n_shadows=3,
            rng=np.random.default_rng(0),
        )


def test_one_record_on_a_side_or_another_schema_is_refused() -> None:
    members, others = two_sides(20)
    rng, model = np.random.default_rng(0), constant(members, seed=0)
    with pytest.raises(DataError, match="at least 2 rows"):
        membership_inference(model, members=members.take([0]), non_members=others, trainer=constant, rng=rng)
    with pytest.raises(DataError, match="at least 2 rows"):
        membership_inference(model, members=members, non_members=others.take([0]), trainer=constant, rng=rng)
    strange = noise_data(20, rng, width=5)
    with pytest.raises(DataError, match="different schemas"):
        membership_inference(model, members=members, non_members=strange, trainer=constant, rng=rng)


def test_non_members_that_are_members_are_refused_and_a_few_that_repeat_one_are_counted() -> None:
    members, others = two_sides(40)
    model, rng = memory(members, seed=0), np.random.default_rng(0)

    def attacked(ins: Dataset, outs: Dataset) -> MembershipResult:
        return membership_inference(model, members=ins, non_members=outs, trainer=memory, n_shadows=4, rng=rng)

    def with_members(count: int) -> Dataset:
        X, y = np.vstack([members.X[:count], others.X]), np.concatenate([members.y[:count], others.y])
        return Dataset(members.schema, X, y)

    for outs in (members, members.take([3, 4, 5]), with_members(len(others) + 1)):
        with pytest.raises(DataError, match="repeat one of the") as refusal:
            attacked(members, outs)
        assert "before the training" in refusal.value.hint
    with pytest.raises(DataError, match="repeat one of the"):
        attacked(members.take([0, 1]), with_members(2))
    assert attacked(members, with_members(3)).shared == 3
    caveats = attacked(members, with_members(3)).to_evidence(DIGEST).caveats
    assert f"3 of the {len(others) + 3} non-members repeat a member, which no attack can tell apart." in caveats
    assert not any("repeat" in caveat for caveat in attacked(members, others).to_evidence(DIGEST).caveats)
    relabelled = Dataset(members.schema, members.X, 1 - members.y)  # other records of the same values
    assert attacked(members, relabelled).shared == 0


def test_logits_and_random_answers_are_refused_of_the_target_and_of_the_shadows() -> None:
    members, others = two_sides(20)
    schema, rng = members.schema, np.random.default_rng(0)
    for target, sentence in ((Logits(schema), "expected probabilities"), (Dice(schema, rng), "differently each time")):
        with pytest.raises(UnsupportedError, match=sentence):
            membership_inference(target, members=members, non_members=others, trainer=constant, rng=rng)
    with pytest.raises(UnsupportedError, match="expected probabilities"):
        membership_inference(
            Constant(schema),
            members=members,
            non_members=others,
            trainer=lambda data, *, seed: Logits(schema),
            rng=rng,
        )
