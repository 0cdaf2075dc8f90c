"""Labels alone do not keep a linear model: points between two classes are equations about its weights."""

from __future__ import annotations

import numpy as np
import pytest
from tests.attacks.attack_cases import Constant, loan_schema, numbers_schema, random_linear

from holdfast.attacks import extraction, synthetic_rows
from holdfast.attacks.stealing.adaptive import LabelsAlone
from holdfast.data import Dataset, check_features
from holdfast.errors import BudgetError, UsageError
from holdfast.models import LinearModel, Model


def reference_of(model: Model, rows: int = 400) -> Dataset:
    X = synthetic_rows(model.schema, rows, np.random.default_rng(9))
    return Dataset(model.schema, X, model.predict_proba(X).argmax(axis=1))


def boundary(model: Model, queries: int) -> tuple[LinearModel, float]:
    oracle = LabelsAlone(oracle=model)
    rng = np.random.default_rng(1)
    reference = reference_of(model)
    result = extraction(oracle, reference=reference, queries=queries, rng=rng, model=model, method="boundary")
    assert result.queries <= queries
    assert isinstance(result.copy, LinearModel)
    return result.copy, result.fidelity.value


@pytest.mark.parametrize("width", [2, 10])
def test_the_weights_come_out_up_to_their_scale(width: int) -> None:
    model = random_linear(numbers_schema(width), np.random.default_rng(width))
    copy, fidelity = boundary(model, 100 * width + 400)
    stolen, true = (np.append(m.coef, m.intercept) / np.linalg.norm(m.coef) for m in (copy, model))
    assert np.abs(stolen - true).max() < 1e-6
    assert fidelity == 1.0


def test_three_classes_come_out_up_to_what_argmax_forgets() -> None:
    model = random_linear(numbers_schema(3, classes=3), np.random.default_rng(4))
    copy, fidelity = boundary(model, 1_500)
    stolen, true = (m.coef - m.coef[0] for m in (copy, model))
    np.testing.assert_allclose(stolen / np.linalg.norm(stolen), true / np.linalg.norm(true), atol=1e-6)
    assert fidelity >= 0.999


def test_categories_gaps_whole_numbers_and_relations_are_held_on_the_way() -> None:
    model = random_linear(loan_schema(), np.random.default_rng(4))

    class Strict:
        schema = model.schema

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            check_features(X, model.schema)
            for left, right in (("spent", "income"), ("children", "cards")):
                assert not (X[:, model.schema.index(left)] > X[:, model.schema.index(right)] + 1e-9).any()
            return model.predict_proba(X)

    _, fidelity = boundary(Strict(), 4_000)
    assert fidelity > 0.97


def test_an_oracle_of_one_class_leaves_nothing_to_search() -> None:
    schema = numbers_schema(2)
    reference = Dataset(schema, synthetic_rows(schema, 20, np.random.default_rng(0)), np.arange(20) % 2)
    rng = np.random.default_rng(0)
    result = extraction(Constant(schema), reference=reference, queries=150, rng=rng, method="boundary")
    assert (result.method, result.queries) == ("none", 150)


def test_a_search_that_is_stopped_keeps_what_it_found() -> None:
    model = random_linear(numbers_schema(2), np.random.default_rng(5))

    class Stops:
        schema = model.schema
        left = 400

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            self.left -= len(X)
            if self.left < 0:
                raise BudgetError("no more")
            return np.eye(2)[model.predict_proba(X).argmax(axis=1)]

    rng = np.random.default_rng(0)
    reference = reference_of(model)
    result = extraction(Stops(), reference=reference, queries=5_000, rng=rng, model=model, method="boundary")
    assert result.stopped_by == "BudgetError: no more"
    assert result.fidelity.value > 0.99


def test_a_method_that_is_none_is_refused() -> None:
    model = random_linear(numbers_schema(2), np.random.default_rng(6))
    with pytest.raises(UsageError, match="one of auto, equations, boundary, paths, learning, got 'magic'"):
        extraction(
            model,
            reference=reference_of(model),
            queries=5,
            rng=np.random.default_rng(0),
            method="magic",  # type: ignore[arg-type]
        )
