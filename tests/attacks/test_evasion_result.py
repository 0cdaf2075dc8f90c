"""What evasion reports of any model: rows that are real, counts that are true, bounds that are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from tests.attacks.attack_cases import (
    BlackBox,
    Constant,
    Dice,
    Logits,
    loan_schema,
    numbers_schema,
    own_labels,
    random_linear,
)

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.data import Dataset, Schema
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence
from holdfast.models import accuracy, fit_estimator, predict

THREAT = FeasibleChange(budget=0.05)
DIGEST = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def halves(tumour: Dataset) -> tuple[Dataset, Dataset]:
    return tumour.split(test_fraction=0.2, seed=0)


def test_every_row_that_fools_a_boosted_model_is_feasible_and_does_so(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    model = fit_estimator(GradientBoostingClassifier(n_estimators=40, random_state=0), train)
    result = evasion(model, test, threat=THREAT, rng=np.random.default_rng(0), max_queries=200)
    THREAT.check(test.X, result.adversarial, test.schema)
    after = predict(model, result.adversarial)
    np.testing.assert_array_equal(result.evaded, (predict(model, test.X) == test.y) & (after != test.y))
    np.testing.assert_array_equal(result.robust, after == test.y)
    assert result.accuracy.value == pytest.approx(accuracy(model, test))
    assert result.robust_accuracy.value == pytest.approx(result.robust.mean())
    assert result.robust_accuracy.bound == "estimate"
    assert result.attack_success is not None
    assert result.attack_success.value > 0.3
    assert result.exact  # with the relations of the schema


def test_a_linear_model_of_the_tumour_data_is_attacked_exactly(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    model = fit_estimator(LogisticRegression(max_iter=500), train)
    result = evasion(model, test, threat=THREAT, rng=np.random.default_rng(0))
    assert result.exact
    assert result.robust_accuracy.bound == "estimate"
    assert (result.queries == 0).all()
    curve = result.curve
    assert curve.robust_accuracy[0] == pytest.approx(result.accuracy.value)
    assert curve.robust_accuracy[np.isclose(curve.budgets, THREAT.budget)] == pytest.approx(
        result.robust_accuracy.value
    )
    for budget in (0.02, 0.1):
        again = evasion(model, test, threat=FeasibleChange(budget=budget), rng=np.random.default_rng(0))
        at = np.argmin(abs(curve.budgets - budget))
        assert curve.robust_accuracy[at] == pytest.approx(again.robust_accuracy.value)


def test_rows_that_the_model_gets_wrong_are_not_robust_and_not_evaded() -> None:
    rng = np.random.default_rng(1)
    model = random_linear(numbers_schema(), rng)
    right = own_labels(model, synthetic_rows(model.schema, 30, rng))
    wrong = Dataset(model.schema, right.X, 1 - right.y)
    result = evasion(model, wrong, threat=THREAT, rng=rng)
    assert result.robust_accuracy.value == 0
    assert not result.evaded.any()
    assert (result.distance == 0).all()
    assert result.attack_success is None
    np.testing.assert_array_equal(result.adversarial, wrong.X)


def test_only_the_rows_of_the_class_that_wants_out_are_attacked() -> None:
    rng = np.random.default_rng(2)
    model = random_linear(numbers_schema(classes=3), rng)
    data = own_labels(model, synthetic_rows(model.schema, 60, rng))
    result = evasion(model, data, threat=FeasibleChange(budget=0.3), rng=rng, source_class="yes")
    np.testing.assert_array_equal(result.rows, np.flatnonzero(data.y == 1))
    whole = evasion(model, data, threat=FeasibleChange(budget=0.3), rng=rng)
    np.testing.assert_array_equal(result.evaded, whole.evaded[result.rows])
    assert "of rows of the class yes are" in result.to_evidence(DIGEST).title


@pytest.mark.parametrize(("name", "sentence"), [("purple", "expected a class of"), ("maybe", "no row of the class")])
def test_a_class_without_rows_cannot_be_attacked_from(name: str, sentence: str) -> None:
    schema = numbers_schema(classes=3)
    data = Dataset(schema, np.full((4, 4), 5.0), np.array([0, 1, 0, 1]))
    with pytest.raises(DataError, match=sentence):
        evasion(
            random_linear(schema, np.random.default_rng(0)),
            data,
            threat=THREAT,
            rng=np.random.default_rng(0),
            source_class=name,
        )


def test_a_constant_model_cannot_be_evaded_and_is_robust_on_its_class_only() -> None:
    rng = np.random.default_rng(3)
    data = Dataset(numbers_schema(), rng.uniform(0, 10, (40, 4)), rng.integers(0, 2, 40))
    result = evasion(Constant(data.schema), data, threat=THREAT, rng=rng, max_queries=40)
    assert result.robust_accuracy.value == pytest.approx((data.y == 1).mean())
    assert not result.evaded.any()


def test_each_query_is_counted_and_the_bound_on_them_is_kept() -> None:
    rng = np.random.default_rng(4)
    model = BlackBox(random_linear(loan_schema(), rng))
    data = own_labels(model.inner, synthetic_rows(model.schema, 20, rng))
    for max_queries in (1, 5, 60):
        model.asked = 0
        result = evasion(model, data, threat=THREAT, rng=rng, max_queries=max_queries)
        assert result.queries.max() <= max_queries
        # two probes for repeatability, the rows themselves, and the changed rows asked again
        assert model.asked == 4 * len(data) + result.queries.sum()


def test_the_same_generator_gives_the_same_attack() -> None:
    model = BlackBox(random_linear(loan_schema(), np.random.default_rng(5)))
    data = own_labels(model.inner, synthetic_rows(model.schema, 20, np.random.default_rng(6)))
    first, second = (evasion(model, data, threat=THREAT, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.adversarial, second.adversarial)


def test_one_row_is_enough_and_proves_little() -> None:
    model = random_linear(numbers_schema(), np.random.default_rng(8))
    data = own_labels(model, np.full((1, 4), 9.0))
    result = evasion(model, data, threat=FeasibleChange(budget=0.001), rng=np.random.default_rng(0))
    assert result.robust_accuracy.low is not None
    assert result.robust_accuracy.low < 0.05
    assert result.auc is result.mcc is None


def test_progress_ends_at_the_number_of_rows_attacked() -> None:
    model = random_linear(numbers_schema(), np.random.default_rng(9))
    data = own_labels(model, synthetic_rows(model.schema, 1_100, np.random.default_rng(0)))
    seen: list[tuple[int, int]] = []
    evasion(
        model,
        data,
        threat=THREAT,
        rng=np.random.default_rng(0),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(500, 1_100), (1_000, 1_100), (1_100, 1_100)]


@pytest.mark.parametrize("answer", [(-2.0, 3.5), (-2.5, 3.5), (0.7, 0.7), (float("nan"), 1.0)], ids=str)
def test_logits_are_told_from_probabilities_also_where_they_sum_to_one(answer: tuple[float, ...]) -> None:
    schema = numbers_schema()
    data = Dataset(schema, np.full((3, 4), 5.0), np.array([0, 1, 1]))
    with pytest.raises(UnsupportedError, match="expected probabilities") as caught:
        evasion(Logits(schema, answer), data, threat=THREAT, rng=np.random.default_rng(0))
    assert "softmax" in caught.value.hint


def test_a_model_that_answers_at_random_is_noticed() -> None:
    schema = numbers_schema()
    data = Dataset(schema, np.full((3, 4), 5.0), np.array([0, 1, 1]))
    with pytest.raises(UnsupportedError, match="differently each time"):
        evasion(Dice(schema, np.random.default_rng(0)), data, threat=THREAT, rng=np.random.default_rng(0))


def test_answers_of_the_wrong_shape_are_refused() -> None:
    schema = numbers_schema(classes=3)
    data = Dataset(schema, np.full((3, 4), 5.0), np.array([0, 1, 1]))
    with pytest.raises(UnsupportedError, match=r"shape \(3, 3\)"):
        evasion(Constant(schema), data, threat=THREAT, rng=np.random.default_rng(0))


def _other_schema(schema: Schema) -> Schema:
    return replace(schema, target="other")


def test_data_of_another_schema_or_without_rows_or_out_of_range_is_refused() -> None:
    rng = np.random.default_rng(0)
    model = random_linear(numbers_schema(), rng)
    other = Dataset(_other_schema(model.schema), np.full((3, 4), 5.0), np.array([0, 1, 1]))
    empty = Dataset(model.schema, np.empty((0, 4)), np.empty(0, dtype=np.int64))
    outside = Dataset(model.schema, np.full((3, 4), 11.0), np.array([0, 1, 1]))
    for data, sentence in ((other, "different schemas"), (empty, "at least 1 row"), (outside, "its range is 0 to 10")):
        with pytest.raises(DataError, match=sentence):
            evasion(model, data, threat=THREAT, rng=rng)


def test_no_queries_are_no_attack() -> None:
    model = random_linear(numbers_schema(), np.random.default_rng(0))
    with pytest.raises(UsageError, match="max_queries"):
        evasion(
            model,
            own_labels(model, np.full((2, 4), 5.0)),
            threat=THREAT,
            rng=np.random.default_rng(0),
            max_queries=0,
        )


@pytest.mark.parametrize("exact", [True, False])
def test_the_evidence_says_all_that_is_needed_and_survives_json(*, exact: bool) -> None:
    rng = np.random.default_rng(11)
    model = random_linear(loan_schema(), rng)
    data = own_labels(model, synthetic_rows(model.schema, 50, rng))
    threat = FeasibleChange(budget=0.1, max_category_changes=1)
    result = evasion(model if exact else BlackBox(model), data, threat=threat, rng=rng, max_queries=100)
    evidence = result.to_evidence(DIGEST)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest
    assert evidence.kind == "evasion"
    assert evidence.figures["robust_accuracy"] == result.robust_accuracy
    assert {"clean_accuracy", "attack_success", "median_distance", "budget", "auc"} <= evidence.figures.keys()
    assert evidence.context["threat"] == {"budget": 0.1, "max_category_changes": 1}
    assert any("AML.T0015" in name for name in evidence.references)
    assert any("Black-box" in name for name in evidence.references) is not exact
    assert any("may be lower" in caveat for caveat in evidence.caveats) is not exact
    assert evidence.title.startswith("At most") is not exact
    assert max(evidence.samples["distance"]) <= evidence.context["distance_censored_at"]
