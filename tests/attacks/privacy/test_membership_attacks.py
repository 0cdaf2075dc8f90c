"""Every attack on membership, held to the same promises: it finds what is there, and nothing where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from tests.attacks.attack_cases import Constant, Dice, Memory, noise_data
from tests.attacks.privacy.textbook import example

from holdfast.attacks.privacy import (
    ATTACKS,
    Attack,
    MembershipTest,
    Shadows,
    membership_table,
    own_class_logit,
    prepare_membership,
)
from holdfast.attacks.privacy.attack import best_threshold
from holdfast.data import Dataset, Matrix
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.models import LinearModel, OnnxModel, fit_estimator
from holdfast.training import advantage_of, train_private

each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])


def logistic(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
    return fit_estimator(LogisticRegression(max_iter=500), data)


def prepared(trainer, members: Dataset, others: Dataset, *, n_shadows: int = 8, model=None) -> MembershipTest:
    return prepare_membership(
        model or trainer(members, seed=0),
        members=members,
        non_members=others,
        trainer=trainer,
        n_shadows=n_shadows,
        rng=np.random.default_rng(0),
    )


def sides(rows: int = 120, seed: int = 0) -> tuple[Dataset, Dataset]:
    return noise_data(rows, np.random.default_rng(seed)).split(test_fraction=0.5, seed=seed)


@each_attack
def test_a_model_that_remembers_is_found_out_whole(attack: Attack) -> None:
    result = prepared(lambda data, *, seed: Memory(data), *sides()).run(attack)
    assert result.auc.value == 1.0
    assert result.advantage.value == 1.0
    assert result.advantage.low > 0.9
    assert result.attack == attack.name


@each_attack
def test_a_model_that_says_one_thing_only_gives_nothing_away(attack: Attack) -> None:
    members, others = sides()
    result = prepared(lambda data, *, seed: Constant(data.schema, (0.5, 0.5)), members, others).run(attack)
    assert result.advantage.value == 0
    assert result.auc.value == 0.5


@each_attack
def test_where_neither_side_was_trained_on_the_advantage_is_that_of_chance(attack: Attack) -> None:
    inside_interval = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        target, shadows = example(rng, shadows=16, records=300)
        member = rng.random(300) < 0.5  # drawn anew: the target has not seen either side
        result = MembershipTest(logits=target, member=member, shadows=shadows).run(attack)
        inside_interval += result.advantage.low <= 0 <= result.advantage.high
    # each interval holds 0 with probability 0.95: 7 of 10 or fewer comes with probability 0.012
    assert inside_interval >= 7


@each_attack
def test_the_threshold_comes_from_the_shadows_and_not_from_the_target(attack: Attack) -> None:
    rng = np.random.default_rng(1)
    target, shadows = example(rng, shadows=8, records=50)
    member = rng.random(50) < 0.5
    first = MembershipTest(logits=target, member=member, shadows=shadows).run(attack)
    second = MembershipTest(logits=-3 * target, member=~member, shadows=shadows).run(attack)
    assert first.threshold == second.threshold


@each_attack
@given(seed=st.integers(0, 100))
def test_the_order_of_records_and_of_shadows_does_not_matter(attack: Attack, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, made = example(rng, shadows=6, records=12)
    records, shadows = rng.permutation(12), rng.permutation(6)
    turned = Shadows(logits=made.logits[shadows][:, records], inside=made.inside[shadows][:, records])
    assert attack.scores(target[records], turned) == pytest.approx(attack.scores(target, made)[records], abs=1e-9)


@given(scores=st.lists(st.integers(-3, 3), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_the_best_threshold_is_the_best_of_all(scores: list[int], seed: int) -> None:
    values = np.array(scores, dtype=float)
    member = np.random.default_rng(seed).random(len(values)) < 0.5

    def gap(threshold: float) -> float:
        above = values > threshold
        return above[member].sum() / max(member.sum(), 1) - above[~member].sum() / max((~member).sum(), 1)

    every = [gap(cut) for cut in [*np.unique(values), values.max() + 1]]  # all but calling everybody a member
    assert gap(best_threshold(values, member)) == pytest.approx(max(every), abs=1e-12)


def test_the_attacks_on_a_private_model_stay_below_its_claim() -> None:
    members, others = sides(400)

    def trainer(data: Dataset, *, seed: int) -> LinearModel:
        return train_private(data, epsilon=1.0, delta=1e-5, steps=4).model

    run = train_private(members, epsilon=1.0, delta=1e-5, steps=4)
    claimed = advantage_of(run.events)
    for result in prepared(trainer, members, others, model=run.model).run_all():
        assert result.advantage.low <= claimed
    for result in prepared(lambda data, *, seed: Memory(data), members, others).run_all():
        assert result.advantage.low > claimed  # and one without privacy is not below it


def test_all_attacks_stand_in_one_table() -> None:
    results = prepared(logistic, *sides()).run_all()
    table = membership_table(results)
    assert table["attack"].tolist() == [attack.name for attack in ATTACKS]
    assert (table["advantage_low"] <= table["advantage"]).all()


def test_an_attack_of_ones_own_is_run_as_any_other_and_must_score_each_record() -> None:
    test = prepared(lambda data, *, seed: Memory(data), *sides())
    assert test.run(Attack("mine", lambda target, shadows: target)).auc.value == 1.0
    for scores in (lambda target, shadows: target[1:], lambda target, shadows: target * np.nan):
        with pytest.raises(UsageError, match="a finite score for each record from broken"):
            test.run(Attack("broken", scores))


def test_own_class_logits_keep_their_digits_at_both_ends() -> None:
    P = np.array([[1.0, 1e-9, 1e-9], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    found = own_class_logit(P, np.array([0, 0, 2]))
    assert found == pytest.approx([-np.log(2e-9), np.log(1e-12), 0.0], abs=1e-9)
    assert P[1].tolist() == [0.0, 1.0, 0.0]


class Sick:
    """Answers with something that is not a number."""

    def __init__(self, data: Dataset) -> None:
        self.schema = data.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        return np.full((len(X), 2), np.nan)


def test_targets_that_cannot_be_measured_are_refused() -> None:
    members, others = sides(40)
    for target, sentence in (
        (Sick(members), "expected probabilities"),
        (Dice(members.schema, np.random.default_rng(0)), "differently each time"),
    ):
        with pytest.raises(UnsupportedError, match=sentence):
            prepared(logistic, members, others, model=target)


def test_two_records_of_each_class_are_enough_and_one_class_alone_is_the_trainers_to_refuse() -> None:
    data = noise_data(8, np.random.default_rng(0))
    one, two = np.flatnonzero(data.y), np.flatnonzero(data.y == 0)
    members, others = data.take([one[0], two[0]]), data.take([one[1], two[1]])
    for result in prepared(logistic, members, others, n_shadows=4).run_all():
        assert np.isfinite(result.scores).all()
    with pytest.raises(DataError, match=r"shadow model 1 of 4 failed: class .* has no row"):
        prepared(logistic, data.take(one[:2]), data.take(one[2:]), n_shadows=4, model=Constant(data.schema))


def test_parts_that_do_not_fit_each_other_are_refused() -> None:
    target, shadows = example(np.random.default_rng(0), shadows=6, records=10)
    member = np.arange(10) < 5
    with pytest.raises(UsageError, match="each of the 10 records"):
        MembershipTest(logits=target[:9], member=member, shadows=shadows)
    with pytest.raises(UsageError, match="of int64"):
        MembershipTest(logits=target, member=member.astype(np.int64), shadows=shadows)
    with pytest.raises(DataError, match="finite"):
        MembershipTest(logits=np.full(10, np.inf), member=member, shadows=shadows)
    with pytest.raises(DataError, match="one kind only"):
        MembershipTest(logits=target, member=np.ones(10, dtype=bool), shadows=shadows)
