"""A tree that answers with its leaves' values is stolen leaf by leaf."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.attacks.attack_cases import numbers_schema, random_linear
from tests.attacks.stealing.trees import Tree, mixed_schema, random_tree

from holdfast.attacks import extraction, synthetic_rows
from holdfast.attacks.stealing.leaves import LeafCopy
from holdfast.data import Dataset
from holdfast.models import fit_estimator

DIGITS = 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_a_tree_is_stolen_whole_with_numbers_categories_and_missing_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    schema = mixed_schema()
    model = Tree(random_tree(rng, 4), schema)
    X = synthetic_rows(schema, 2_000, rng)
    result = extraction(model, reference=Dataset(schema, X, np.arange(2_000) % 2), queries=6_000, rng=rng)
    assert result.method == "path finding"
    assert result.queries < 6_000
    # An edge is known to four millionths of a range, so hardly one of these rows lies between it and the truth.
    assert (result.gaps < DIGITS).mean() >= 0.999
    assert result.fidelity.value >= 0.999


def test_the_curve_counts_only_leaves_that_were_known_by_then() -> None:
    rng = np.random.default_rng(0)
    schema = mixed_schema()
    model = Tree(random_tree(rng, 4), schema)
    X = synthetic_rows(schema, 500, rng)
    whole = extraction(model, reference=Dataset(schema, X, np.arange(500) % 2), queries=6_000, rng=rng, method="paths")
    assert isinstance(whole.copy, LeafCopy)
    assert whole.curve_fidelity[0] < whole.curve_fidelity[-1] >= 0.998


def test_a_fitted_tree_is_stolen_through_its_probabilities() -> None:
    rng = np.random.default_rng(1)
    schema = numbers_schema(4)
    X = synthetic_rows(schema, 400, rng)
    y = ((X[:, 0] > 4) ^ (X[:, 1] + rng.normal(0, 2, 400) > 6)).astype(np.int64)
    model = fit_estimator(DecisionTreeClassifier(max_depth=4, min_samples_leaf=10), Dataset(schema, X, y))
    fresh = synthetic_rows(schema, 1_000, rng)
    result = extraction(model, reference=Dataset(schema, fresh, np.arange(1_000) % 2), queries=2_000, rng=rng)
    assert result.method == "path finding"
    assert result.fidelity.value >= 0.99


def test_a_model_that_is_no_tree_ends_with_its_budget_and_not_before() -> None:
    rng = np.random.default_rng(2)
    model = random_linear(numbers_schema(3), rng)
    X = synthetic_rows(model.schema, 200, rng)
    result = extraction(
        model, reference=Dataset(model.schema, X, np.arange(200) % 2), queries=150, rng=rng, method="paths"
    )
    assert result.queries == 150
    assert result.stopped_by == ""
