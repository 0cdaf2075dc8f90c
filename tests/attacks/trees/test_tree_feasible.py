"""The exact attack on a model with a schema: only rows that could be, and none that another search finds is nearer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from tests.attacks.attack_cases import loan_schema

from holdfast.attacks.oracle import Oracle
from holdfast.attacks.tables.feasible import keeps
from holdfast.attacks.tables.search import search
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees import attackable, feasible_flips
from holdfast.data import Dataset, Matrix, Schema
from holdfast.models import OnnxModel, fit_estimator, predict

BOUND = loan_schema()
FREE = replace(BOUND, relations=())


def rows(schema: Schema, n: int, seed: int) -> Matrix:
    """Rows within ranges and relations, some values missing."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.integers(0, len(f.categories), n) if f.kind == "category" else np.round(rng.uniform(f.low, f.high, n))
            for f in schema.features
        ]
    ).astype(float)
    X[:, 1], X[:, 2] = np.minimum(X[:, 0], X[:, 1]), np.minimum(X[:, 2], X[:, 3])
    X[rng.random(n) < 0.1, 5] = np.nan
    return X


def fitted(schema: Schema) -> OnnxModel:
    X = rows(FREE, 400, 0)
    score = X[:, 0] - X[:, 1] + 8 * X[:, 3] - 10 * X[:, 2] + 20 * (X[:, 6] == 1)
    data = Dataset(schema, X, (score > 40).astype(int))
    model = fit_estimator(RandomForestClassifier(n_estimators=6, max_depth=4, random_state=0), data)
    assert isinstance(model, OnnxModel)
    return model


@pytest.fixture(scope="module")
def forest() -> OnnxModel:
    return fitted(FREE)


@pytest.mark.parametrize("switches", [0, 1])
def test_found_rows_are_feasible_flip_the_model_and_are_no_further_than_a_search_finds(
    forest: OnnxModel, switches: int
) -> None:
    X = rows(FREE, 25, 1)
    y = predict(forest, X)
    threat = FeasibleChange(budget=1.0, max_category_changes=switches)
    flips = feasible_flips(forest, X, y, threat)
    assert not flips.undecided.any()
    threat.check(X, flips.X, FREE)
    known = np.isfinite(flips.distance)
    assert (predict(forest, flips.X[known]) != y[known]).all()
    np.testing.assert_allclose(threat.distance(X, flips.X, FREE)[known], flips.distance[known])
    found = search(Oracle(forest), X, y, threat=threat, max_queries=60, rng=np.random.default_rng(0))
    assert found.flipped.sum() > 5
    assert (flips.distance <= threat.distance(X, found.X, FREE) + 1e-9)[found.flipped].all()


def test_where_the_solver_has_no_time_the_bound_still_holds_and_nothing_infeasible_is_returned(
    forest: OnnxModel,
) -> None:
    X = rows(BOUND, 25, 1)
    y, model, threat = predict(forest, X), fitted(BOUND), FeasibleChange(budget=1.0)
    exact = feasible_flips(model, X, y, threat)
    hasty = feasible_flips(model, X, y, threat, time_limit_s=0.0)
    assert not exact.undecided.any()
    assert hasty.undecided.any()
    assert keeps(hasty.X, BOUND).all()
    assert (hasty.at_least <= exact.distance + 1e-6).all()
    assert (exact.distance <= hasty.distance + 1e-6).all()
    # the relations take flips away and bring none
    free = feasible_flips(forest, X, y, threat)
    assert (free.distance <= exact.distance + 1e-6).all()
    assert (free.distance < exact.distance - 1e-6).any()


def test_trees_are_attackable_and_other_models_are_not(forest: OnnxModel) -> None:
    X = rows(FREE, 60, 0)
    data = Dataset(FREE, X, (X[:, 0] > 50).astype(int))
    assert attackable(forest)
    assert attackable(fit_estimator(GradientBoostingClassifier(n_estimators=2), data))
    assert not attackable(fit_estimator(LogisticRegression(), data))
