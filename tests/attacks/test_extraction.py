"""Extraction steals what can be stolen, stops when it is stopped, and measures the copy honestly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from tests.attacks.attack_cases import (
    BlackBox,
    Constant,
    Logits,
    loan_schema,
    numbers_schema,
    own_labels,
    random_linear,
)

from holdfast.attacks import extraction, synthetic_rows
from holdfast.data import Dataset, Matrix, Schema, check_features
from holdfast.errors import BudgetError, CredentialError, DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence
from holdfast.models import LinearModel, Model, fit_estimator, predict

DIGEST = "sha256:" + "0" * 64


@dataclass
class Spoiled:
    """Another model whose answers are rounded, or cut down to labels."""

    inner: Model
    decimals: int | None = None

    @property
    def schema(self) -> Schema:
        return self.inner.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        P = self.inner.predict_proba(X)
        if self.decimals is None:
            return np.eye(P.shape[1])[P.argmax(axis=1)]
        return np.round(P, self.decimals)


@dataclass
class Guarded:
    """Another model that stops answering after a number of rows, and checks the ones it gets."""

    inner: Model
    rows: int
    error: Exception
    largest_call: int = 0

    @property
    def schema(self) -> Schema:
        return self.inner.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        check_features(X, self.schema)
        self.largest_call = max(self.largest_call, len(X))
        self.rows -= len(X)
        if self.rows < 0:
            raise self.error
        return self.inner.predict_proba(X)


def linear_case(width: int, classes: int, seed: int = 0) -> tuple[LinearModel, Dataset]:
    rng = np.random.default_rng(seed)
    model = random_linear(numbers_schema(width, classes=classes), rng)
    return model, own_labels(model, synthetic_rows(model.schema, 200, rng))


@pytest.mark.parametrize("width", [1, 4, 30])
@pytest.mark.parametrize("queries", [1, 20])
def test_a_linear_model_is_stolen_to_the_last_digit_with_one_query_for_each_unknown(width: int, queries: int) -> None:
    model, reference = linear_case(width, 2)
    result = extraction(model, reference=reference, queries=width + queries, rng=np.random.default_rng(1))
    assert isinstance(result.copy, LinearModel)
    np.testing.assert_allclose(result.copy.coef, model.coef, atol=1e-6)
    np.testing.assert_allclose(result.copy.intercept, model.intercept, atol=1e-6)
    assert result.fidelity.value == 1.0
    assert result.gaps.max() < 1e-6


def test_a_linear_model_of_three_classes_is_stolen_up_to_what_softmax_forgets() -> None:
    model, reference = linear_case(5, 3)
    result = extraction(model, reference=reference, queries=12, rng=np.random.default_rng(1), method="equations")
    assert isinstance(result.copy, LinearModel)
    np.testing.assert_allclose(result.copy.coef, model.coef - model.coef.mean(axis=0), atol=1e-6)


def test_categories_and_missing_values_are_stolen_too() -> None:
    rng = np.random.default_rng(2)
    model = random_linear(loan_schema(), rng)
    reference = own_labels(model, synthetic_rows(model.schema, 300, rng))
    result = extraction(model, reference=reference, queries=200, rng=rng)
    assert result.fidelity.value == 1.0
    assert result.gaps.max() < 1e-6


def test_one_query_fewer_than_unknowns_is_not_enough() -> None:
    model, reference = linear_case(30, 2)
    result = extraction(model, reference=reference, queries=25, rng=np.random.default_rng(1), method="equations")
    assert result.gaps.max() > 1e-3


def test_rounded_answers_and_labels_make_the_copy_worse_but_do_not_prevent_it() -> None:
    model, reference = linear_case(10, 2, seed=3)
    gaps, fidelities = [], []
    for oracle in (model, Spoiled(model, decimals=1), Spoiled(model)):
        result = extraction(oracle, reference=reference, queries=300, rng=np.random.default_rng(0), model=model)
        gaps.append(result.gaps.mean())
        fidelities.append(result.fidelity.value)
    assert gaps[0] < 1e-9 < gaps[1] < gaps[2]
    assert fidelities[0] == 1.0
    assert fidelities[1] > 0.9
    assert fidelities[0] >= fidelities[2] > 0.75


def test_more_queries_leave_no_worse_copy_of_a_linear_model(tumour: Dataset) -> None:
    """From too few answers for its equations a copy may name all classes rightly and still be far from the weights."""
    train, test = tumour.split(test_fraction=0.3, seed=0)
    model = fit_estimator(LogisticRegression(max_iter=1_000), train)
    result = extraction(model, reference=test, queries=300, rng=np.random.default_rng(0), method="equations")
    assert result.curve_fidelity.tolist() == [1.0] * 4
    assert result.gaps.max() < 1e-9


def test_where_nothing_was_copied_the_title_says_so() -> None:
    model, reference = linear_case(4, 2)
    result = extraction(model, reference=reference, queries=100, rng=np.random.default_rng(0), method="paths")
    assert result.method == "none"
    assert result.to_evidence(DIGEST).title.startswith("No copy was made: ")


def test_a_boosted_model_is_copied_far_better_than_by_always_saying_one_class(tumour: Dataset) -> None:
    train, test = tumour.split(test_fraction=0.2, seed=0)
    model = fit_estimator(GradientBoostingClassifier(n_estimators=20, random_state=0), train)
    result = extraction(model, reference=test, queries=600, rng=np.random.default_rng(0))
    assert result.fidelity.low is not None
    assert result.fidelity.low > result.baseline_fidelity.value
    assert result.fidelity.value > 0.9
    assert result.fidelity.value == pytest.approx(np.mean(predict(result.copy, test.X) == predict(model, test.X)))
    assert result.copy_accuracy.value == pytest.approx(np.mean(predict(result.copy, test.X) == test.y))
    assert result.curve_queries.tolist() == [60, 150, 300, 600]
    assert result.curve_fidelity[-1] == result.fidelity.value


def test_a_model_of_three_classes_that_is_not_linear_is_copied(tumour: Dataset) -> None:
    rng = np.random.default_rng(5)
    schema = numbers_schema(3, classes=3)
    X = synthetic_rows(schema, 300, rng)
    data = Dataset(schema, X, (np.hypot(X[:, 0] - 5, X[:, 1] - 5) // 2.5).clip(0, 2).astype(np.int64))
    model = fit_estimator(GradientBoostingClassifier(n_estimators=30, random_state=0), data)
    result = extraction(model, reference=data, queries=400, rng=rng)
    assert result.method in ("boosted trees", "perceptron")  # no plane follows circles
    assert result.fidelity.value > result.baseline_fidelity.value + 0.1
    assert result.copy.predict_proba(X).sum(axis=1) == pytest.approx(1.0)


def test_the_copy_of_a_constant_model_is_no_better_than_the_baseline() -> None:
    schema = numbers_schema(3)
    reference = Dataset(schema, synthetic_rows(schema, 50, np.random.default_rng(0)), np.arange(50) % 2)
    result = extraction(Constant(schema), reference=reference, queries=40, rng=np.random.default_rng(0))
    assert result.fidelity.value == result.baseline_fidelity.value == 1.0


@pytest.mark.parametrize(
    "error",
    [BudgetError("the budget of 250 rows is spent"), CredentialError("the token was withdrawn")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(("allowed", "answered"), [(250, 200), (99, 0), (1_000, 600)])
def test_an_attack_that_is_stopped_makes_do_with_what_it_has(allowed: int, answered: int, error: Exception) -> None:
    model, reference = linear_case(4, 2)
    oracle = Guarded(model, allowed, error)
    result = extraction(oracle, reference=reference, queries=600, rng=np.random.default_rng(0), model=model)
    assert (result.queries, result.asked) == (answered, 600)
    assert oracle.largest_call == 100
    assert result.stopped_by == ("" if answered == 600 else f"{type(error).__name__}: {error}")
    assert result.fidelity.value == 1.0 if answered else result.method == "none"
    evidence = result.to_evidence(DIGEST)
    assert Evidence.from_json(evidence.to_json()).digest == evidence.digest


def test_other_errors_of_the_oracle_are_not_swallowed() -> None:
    model, reference = linear_case(4, 2)
    with pytest.raises(DataError, match="broken"):
        extraction(
            Guarded(model, 10, DataError("broken")),
            reference=reference,
            queries=50,
            rng=np.random.default_rng(0),
            model=model,
        )


def test_without_the_model_the_oracle_is_asked_about_the_reference_first() -> None:
    model, reference = linear_case(4, 2)
    oracle = BlackBox(model)
    extraction(oracle, reference=reference, queries=150, rng=np.random.default_rng(0))
    assert oracle.calls == [100, 100, 100, 50]


def test_the_evidence_says_all_that_is_needed() -> None:
    model, reference = linear_case(4, 2)
    evidence = extraction(model, reference=reference, queries=50, rng=np.random.default_rng(0)).to_evidence(DIGEST)
    assert evidence.kind == "extraction"
    names = {"fidelity", "queries", "copy_accuracy", "oracle_accuracy", "baseline_fidelity", "mean_probability_gap"}
    assert names <= evidence.figures.keys()
    assert evidence.figures["fidelity"].bound == "lower"
    assert evidence.context["method"] == "linear equations"
    assert any("AML.T0024.002" in name for name in evidence.references)


def test_bad_input_is_refused_in_a_sentence() -> None:
    model, reference = linear_case(4, 2)
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="at least 1 query, got 0"):
        extraction(model, reference=reference, queries=0, rng=rng)
    with pytest.raises(DataError, match="different schemas"):
        extraction(model, reference=linear_case(5, 2)[1], queries=5, rng=rng)
    with pytest.raises(DataError, match="at least 1 row"):
        extraction(model, reference=reference.take([]), queries=5, rng=rng)
    with pytest.raises(UnsupportedError, match="expected probabilities"):
        extraction(Logits(model.schema), reference=reference, queries=5, rng=rng)
