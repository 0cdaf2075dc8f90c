"""Hardening buys what it says, costs what it says, and claims nothing that chance explains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from tests.attacks.attack_cases import Constant, loan_schema, numbers_schema, own_labels, random_linear

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.data import Dataset
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence
from holdfast.hardening import evasion_radius, harden, harden_with_examples, robust_logistic
from holdfast.hardening.result import compare
from holdfast.models import Encoding, LinearModel, OnnxModel, accuracy, fit_estimator

THREAT = FeasibleChange(budget=0.05)
DIGEST = "sha256:" + "0" * 64


def logistic(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
    return fit_estimator(LogisticRegression(max_iter=500), data)


def boosted(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
    return fit_estimator(GradientBoostingClassifier(n_estimators=30, random_state=seed), data)


@pytest.fixture(scope="module")
def halves(tumour: Dataset) -> tuple[Dataset, Dataset]:
    return tumour.split(test_fraction=0.4, seed=0)


def test_worst_case_training_makes_the_tumour_model_surely_more_robust(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    model = logistic(train, seed=0)
    result = harden(model, train, test, trainer=robust_logistic, threat=THREAT, rng=np.random.default_rng(0))
    assert result.improved
    assert result.before.exact
    assert result.after.exact
    assert result.gain.value == pytest.approx(result.after.robust.mean() - result.before.robust.mean())
    assert result.cost.value == pytest.approx(accuracy(model, test) - accuracy(result.model, test))
    np.testing.assert_array_equal(result.before.rows, result.after.rows)


def test_retraining_on_what_fooled_it_makes_a_boosted_model_surely_more_robust(halves: tuple[Dataset, Dataset]) -> None:
    # without relations, which make the exact attack on trees slower
    train, test = (Dataset(replace(half.schema, relations=()), half.X, half.y) for half in halves)
    seen: list[tuple[int, int]] = []
    result = harden_with_examples(
        boosted(train, seed=0),
        train,
        test,
        trainer=boosted,
        threat=THREAT,
        rng=np.random.default_rng(0),
        rounds=2,
        max_queries=100,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.improved
    assert seen == [(1, 2), (2, 2)]
    history = result.details["robust_accuracy_on_training_rows"]
    assert len(history) == 3
    assert result.details["chosen_round"] == int(np.argmax(history)) > 0


def test_a_private_trainer_is_called_once_and_sees_the_training_rows_only(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    calls: list[tuple[str, np.ndarray]] = []

    def spending(data: Dataset, *, evasion_radius: np.ndarray, seed: int) -> LinearModel:
        calls.append((data.digest, evasion_radius))
        return robust_logistic(data, evasion_radius=evasion_radius)

    harden(logistic(train, seed=0), train, test, trainer=spending, threat=THREAT, rng=np.random.default_rng(0))
    ((digest, radius),) = calls
    assert digest == train.digest
    np.testing.assert_allclose(radius, 0.1)


def test_the_test_rows_decide_nothing(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves[0].take(np.arange(120)), halves[1]
    seen: list[str] = []

    def recording(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
        seen.append(data.digest)
        rows = {row.tobytes() for row in test.X}
        assert not any(row.tobytes() in rows for row in data.X)
        return logistic(data, seed=seed)

    model = logistic(train, seed=0)
    runs = [
        harden_with_examples(
            model, train, part, trainer=recording, threat=THREAT, rng=np.random.default_rng(3), rounds=2
        )
        for part in (test, test.take(np.arange(20)))
    ]
    assert seen[:2] == seen[2:]
    assert runs[0].details == runs[1].details


def test_a_trainer_that_makes_it_worse_is_not_kept_and_not_praised(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    model = logistic(train, seed=0)

    def useless(data: Dataset, *, seed: int) -> Constant:
        return Constant(data.schema, (0.0, 1.0))

    result = harden_with_examples(
        model, train, test, trainer=useless, threat=FeasibleChange(budget=0.01), rng=np.random.default_rng(0), rounds=1
    )
    assert result.model is model
    assert result.details["chosen_round"] == 0
    assert result.gain.value == result.cost.value == 0
    assert not result.improved


def test_no_improvement_is_claimed_where_the_interval_reaches_zero(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    few = test.take(np.arange(6))
    result = harden(
        logistic(train, seed=0), train, few, trainer=robust_logistic, threat=THREAT, rng=np.random.default_rng(0)
    )
    assert result.gain.low is not None
    assert result.gain.low <= 0
    assert not result.improved
    evidence = result.to_evidence(DIGEST)
    assert "no sure improvement" in evidence.title
    assert any("no improvement is claimed" in caveat for caveat in evidence.caveats)


def test_the_evidence_says_what_was_bought_and_paid_and_survives_json(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    result = harden(
        logistic(train, seed=0), train, test, trainer=robust_logistic, threat=THREAT, rng=np.random.default_rng(0)
    )
    evidence = result.to_evidence(DIGEST)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    assert (evidence.kind, evidence.subject) == ("hardening", DIGEST)
    names = {"robust_accuracy_before", "robust_accuracy_after", "accuracy_before", "accuracy_after", "gain", "cost"}
    assert evidence.figures.keys() == names | {"budget", "rows"}
    for name in ("gain", "cost"):
        assert evidence.figures[name].confidence == 0.95
    assert evidence.context["improved"] is True
    assert evidence.title.startswith("Hardening changed robust accuracy by +")


@given(seed=st.integers(0, 2**32 - 1), classes=st.sampled_from([2, 3]))
@settings(max_examples=15, deadline=None)
def test_the_loss_that_is_minimised_is_that_of_the_worst_corner_of_each_box(seed: int, classes: int) -> None:
    from holdfast.hardening.robust_logistic import _WorstCase

    rng = np.random.default_rng(seed)
    E, y = rng.uniform(-1, 1, (6, 4)), rng.integers(0, classes, 6)
    radius = np.array([0.3, 0.0, 1.5, 0.1])
    table = rng.standard_normal((classes, 5))
    loss, _ = _WorstCase(E, y, radius, classes, 1e-9).loss(table.ravel())
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    corners = np.clip(E[:, None] + signs[None] * radius, -1, 1)
    scores = corners @ table[:, :-1].T + table[:, -1]
    losses = -np.take_along_axis(log_softmax(scores, axis=2), y[:, None, None], axis=2)[:, :, 0]
    if classes == 2:
        assert loss == pytest.approx(losses.max(axis=1).mean(), abs=1e-3)
    else:  # each wrong class has a worst corner of its own, so the loss is an upper bound
        assert loss >= losses.max(axis=1).mean() - 1e-3


@pytest.mark.parametrize("classes", [2, 3])
def test_the_gradient_is_that_of_the_loss(classes: int) -> None:
    from holdfast.hardening.robust_logistic import _WorstCase

    rng = np.random.default_rng(classes)
    problem = _WorstCase(rng.uniform(-1, 1, (9, 3)), rng.integers(0, classes, 9), np.array([0.2, 0, 0.5]), classes, 0.1)
    at = rng.standard_normal(classes * 4)
    _, gradient = problem.loss(at)
    for i in range(len(at)):
        step = np.eye(len(at))[i] * 1e-6
        assert gradient[i] == pytest.approx((problem.loss(at + step)[0] - problem.loss(at - step)[0]) / 2e-6, abs=1e-6)


def test_without_radii_it_is_logistic_regression_with_the_same_penalty(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    l2 = 1e-3
    ours = robust_logistic(train, evasion_radius=np.zeros(30), l2=l2)
    # two weight vectors of opposite sign share the penalty, so half of it falls on their difference
    peer = fit_estimator(LogisticRegression(C=2 / (l2 * len(train)), tol=1e-8, max_iter=5_000), train)
    np.testing.assert_allclose(ours.predict_proba(test.X), peer.predict_proba(test.X), atol=5e-3)


def test_the_radii_follow_the_threat_and_spare_what_is_fixed() -> None:
    schema = loan_schema()
    radius = evasion_radius(FeasibleChange(budget=0.1, max_category_changes=1), schema)
    by_name = {(schema.names[c.source], c.kind): r for c, r in zip(Encoding(schema).columns, radius, strict=True)}
    assert by_name["income", "scaled"] == by_name["children", "scaled"] == pytest.approx(0.2)
    assert by_name["age", "scaled"] == by_name["sex", "equals"] == by_name["debt", "missing"] == 0
    # one of the two free categories may be switched, which moves two of their three and four indicators
    assert by_name["region", "equals"] == pytest.approx(0.5 * 2 / 3)
    assert by_name["job", "equals"] == pytest.approx(0.5 * 2 / 4)
    assert evasion_radius(FeasibleChange(budget=0.1), schema)[Encoding(schema).sources == 6].max() == 0


@pytest.mark.parametrize("classes", [2, 3])
def test_every_kind_of_feature_and_number_of_classes_can_be_hardened(classes: int) -> None:
    rng = np.random.default_rng(classes)
    truth = random_linear(loan_schema(classes), rng)
    data = own_labels(truth, synthetic_rows(truth.schema, 240, rng))
    train, test = data.split(test_fraction=0.3, seed=0)
    threat = FeasibleChange(budget=0.05, max_category_changes=1)
    result = harden(logistic(train, seed=0), train, test, trainer=robust_logistic, threat=threat, rng=rng)
    assert result.improved
    assert result.after.accuracy.value > 0.5


@pytest.mark.parametrize(
    "radius", [np.zeros(3), np.full(4, -0.1), np.full(4, np.nan), np.full(4, np.inf), np.zeros((4, 1))], ids=str
)
def test_radii_that_mean_nothing_are_refused(radius: np.ndarray) -> None:
    data = Dataset(numbers_schema(), np.full((4, 4), 5.0), np.array([0, 1, 0, 1]))
    with pytest.raises(UsageError, match="4 radii of 0 or more"):
        robust_logistic(data, evasion_radius=radius)


def test_bad_input_is_refused_in_a_sentence(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    model, rng = logistic(train, seed=0), np.random.default_rng(0)
    one_class = Dataset(numbers_schema(), np.full((4, 4), 5.0), np.zeros(4, dtype=np.int64))
    with pytest.raises(DataError, match="at least two classes"):
        robust_logistic(one_class, evasion_radius=np.zeros(4))
    with pytest.raises(UsageError, match="l2 above 0"):
        robust_logistic(one_class, evasion_radius=np.zeros(4), l2=0.0)
    for rounds in (0, 101):
        with pytest.raises(UsageError, match="1 to 100 rounds"):
            harden_with_examples(model, train, test, trainer=logistic, threat=THREAT, rng=rng, rounds=rounds)
    other = Dataset(replace(train.schema, target="other"), train.X, train.y)
    with pytest.raises(DataError, match="different schemas"):
        harden(model, other, test, trainer=robust_logistic, threat=THREAT, rng=rng)


def test_no_gain_is_claimed_where_only_the_model_before_was_attacked_exactly(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    after = evasion(logistic(train, seed=0), test, threat=THREAT, rng=np.random.default_rng(0))
    none = np.zeros(len(test), dtype=bool)
    before = replace(after, correct=none, evaded=none)
    assert compare("model", method="m", before=before, after=after, details={}).improved
    result = compare("model", method="m", before=before, after=replace(after, exact=False), details={})
    assert result.gain.bound == "upper"
    assert not result.improved
    evidence = result.to_evidence("sha256:" + "0" * 64)
    assert any("flips that exist after," in caveat for caveat in evidence.caveats)
    assert any("none is claimed" in caveat for caveat in evidence.caveats)
