"""The exact attack on linear models is exact: nothing feasible beats it, and what it finds is feasible and flips."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.attacks.attack_cases import BlackBox, loan_schema, numbers_schema, own_labels, random_linear, schemas

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.attacks.tables.feasible import repair
from holdfast.attacks.tables.linear import smallest_flips
from holdfast.data import Dataset, Feature, Schema
from holdfast.errors import ConfigError
from holdfast.models import LinearModel, predict

SEEDS = st.integers(0, 2**32 - 1)


@given(schema=schemas(), seed=SEEDS, switches=st.integers(0, 2))
@settings(max_examples=100, deadline=None)
def test_no_feasible_row_closer_than_the_exact_one_flips_the_decision(schema: Schema, seed: int, switches: int) -> None:
    rng = np.random.default_rng(seed)
    try:
        X = synthetic_rows(schema, 4, rng)
    except ConfigError:
        assume(False)
    model = random_linear(schema, rng)
    y, threat = predict(model, X), FeasibleChange(budget=1.0, max_category_changes=switches)
    flips = smallest_flips(model, X, y, threat)
    assert not flips.undecided.any()
    reached = np.isfinite(flips.distance)
    threat.check(X[reached], flips.X[reached], schema)
    assert (predict(model, flips.X[reached]) != y[reached]).all()
    for _ in range(25):
        closer = np.where(reached, flips.distance, 1.0) * rng.uniform(0.3, 0.9999)
        rivals = random_rivals(X, closer, threat, schema, rng)
        beaten = (predict(model, rivals) != y) & (threat.distance(X, rivals, schema) < flips.distance - 1e-5)
        assert not beaten.any()


def random_rivals(
    X: np.ndarray, budgets: np.ndarray, threat: FeasibleChange, schema: Schema, rng: np.random.Generator
) -> np.ndarray:
    """A feasible row within each row's own budget, often in a corner, with categories switched at random."""
    rivals = X.copy()
    for row in np.flatnonzero(budgets > 0):
        box = threat.with_budget(min(1.0, budgets[row])).box(X[[row]], schema)
        corner = np.where(rng.random(X.shape[1]) < 0.5, box.low[0], box.high[0])
        between = box.low[0] + rng.random(X.shape[1]) * (box.high[0] - box.low[0])
        point = np.where(rng.random(X.shape[1]) < 0.8, corner, between)
        for position, feature in enumerate(schema.features):
            if feature.kind == "category":
                point[position] = X[row, position]
        rivals[row] = repair(point[None], box, schema, upward=bool(rng.random() < 0.5))[0]
        free = [i for i, f in enumerate(schema.features) if f.kind == "category" and f.mutability == "free"]
        for position in rng.permutation(free)[: threat.max_category_changes].astype(int):
            if not np.isnan(X[row, position]):
                rivals[row, position] = rng.integers(len(schema.features[position].categories))
    return rivals


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_whole_numbers_with_relations_have_the_distance_of_trying_every_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    schema = Schema(
        features=(
            Feature(name="a", kind="integer", low=0, high=5),
            Feature(name="b", kind="integer", low=-3, high=3, mutability="increase"),
            Feature(name="c", kind="integer", low=0, high=8),
        ),
        target="y",
        classes=("no", "yes", "maybe"),
        relations=tuple(map(_relation, ["a <= c", "b <= a"])),
    )
    model, X = random_linear(schema, rng), synthetic_rows(schema, 3, rng)
    y, threat = predict(model, X), FeasibleChange(budget=1.0)
    every = np.array(list(itertools.product(range(6), range(-3, 4), range(9))), dtype=float)
    every = every[(every[:, 0] <= every[:, 2]) & (every[:, 1] <= every[:, 0])]
    flips = smallest_flips(model, X, y, threat)
    for row in range(len(X)):
        flipping = every[(predict(model, every) != y[row]) & (every[:, 1] >= X[row, 1])]
        distances = threat.distance(np.tile(X[row], (len(flipping), 1)), flipping, schema)
        assert flips.distance[row] == pytest.approx(distances.min(initial=np.inf))


def _relation(text: str) -> object:
    from holdfast.data import Relation

    return Relation.parse(text)


def test_relations_that_bind_give_the_distance_of_an_independent_linear_program() -> None:
    rng = np.random.default_rng(7)
    relations = ("a0 <= a1", "a2 <= a3", "a1 <= a4", "a5 == a0")
    schema = numbers_schema(6, relations=relations)
    model, X = random_linear(schema, rng), synthetic_rows(schema, 40, rng)
    y = predict(model, X)
    flips = smallest_flips(model, X, y, FeasibleChange(budget=1.0))
    pairs = [(0, 1), (2, 3), (1, 4), (5, 0), (0, 5)]
    order = np.zeros((len(pairs), 7))
    for at, (smaller, larger) in enumerate(pairs):
        order[at, smaller], order[at, larger] = 1.0, -1.0
    near = np.hstack([np.vstack([np.eye(6), -np.eye(6)]), np.full((12, 1), -10.0)])
    for row in range(len(X)):
        # over the row itself and the budget t: |x - X| <= 10 t, the relations, and a score of the other sign
        sign = 1.0 if y[row] == 1 else -1.0
        w, c = model.coef[0] / 5.0, model.intercept[0] - model.coef[0].sum()
        A = np.vstack([near, order, np.append(sign * w, 0.0)])
        b = np.concatenate([X[row], -X[row], np.zeros(len(pairs)), [-sign * c]])
        answer = linprog(np.append(np.zeros(6), 1.0), A_ub=A, b_ub=b, bounds=[(0, 10)] * 6 + [(0, 1)])
        expected = answer.fun if answer.status == 0 else np.inf
        assert flips.distance[row] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_black_box_search_never_succeeds_where_the_exact_attack_says_robust(classes: int) -> None:
    rng = np.random.default_rng(classes)
    schema = loan_schema(classes)
    model = random_linear(schema, rng)
    data = own_labels(model, synthetic_rows(schema, 60, rng))
    threat = FeasibleChange(budget=0.15, max_category_changes=1)
    exact = evasion(model, data, threat=threat, rng=rng)
    searched = evasion(BlackBox(model), data, threat=threat, rng=rng)
    assert exact.exact
    assert not searched.exact
    assert not (searched.evaded & ~exact.evaded).any()
    assert exact.evaded.sum() > 5
    assert searched.evaded.sum() >= 0.8 * exact.evaded.sum()
    both = searched.evaded & exact.evaded
    assert (searched.distance[both] >= exact.distance[both] - 1e-5).all()


def test_what_is_fixed_is_never_touched_and_directions_are_kept() -> None:
    rng = np.random.default_rng(3)
    schema = loan_schema()
    model = random_linear(schema, rng)
    data = own_labels(model, synthetic_rows(schema, 80, rng))
    result = evasion(model, data, threat=FeasibleChange(budget=0.5, max_category_changes=3), rng=rng)
    change = result.adversarial - data.X
    assert result.evaded.sum() > 20
    for name in ("age", "sex"):
        assert (change[:, schema.index(name)] == 0).all()
    assert (change[:, schema.index("children")] >= 0).all()
    assert (np.nan_to_num(change[:, schema.index("debt")]) <= 0).all()


def test_a_decision_that_only_fixed_features_make_cannot_be_flipped() -> None:
    schema = Schema(
        features=(
            Feature(name="age", kind="real", low=0, high=10, mutability="fixed"),
            Feature(name="free", kind="real", low=0, high=10),
        ),
        target="y",
        classes=("no", "yes"),
    )
    model = LinearModel(schema, np.array([[3.0, 0.0]]), np.zeros(1))
    rng = np.random.default_rng(0)
    result = evasion(model, own_labels(model, rng.uniform(0, 10, (30, 2))), threat=FeasibleChange(budget=1.0), rng=rng)
    assert result.robust_accuracy.value == 1.0
    assert np.isinf(result.distance).all()


def test_a_category_is_switched_only_where_switches_are_allowed() -> None:
    schema = Schema(
        features=(Feature(name="c", kind="category", categories=("a", "b")),), target="y", classes=("no", "yes")
    )
    model = LinearModel(schema, np.array([[-1.0, 1.0]]), np.zeros(1))
    data, rng = Dataset(schema, np.array([[0.0], [1.0]]), np.array([0, 1])), np.random.default_rng(0)
    without = evasion(model, data, threat=FeasibleChange(budget=1.0), rng=rng)
    allowed = evasion(model, data, threat=FeasibleChange(budget=0.1, max_category_changes=1), rng=rng)
    assert without.robust_accuracy.value == 1.0
    assert allowed.robust_accuracy.value == 0.0
    np.testing.assert_array_equal(allowed.adversarial, [[1.0], [0.0]])
    np.testing.assert_array_equal(allowed.distance, [0.0, 0.0])


def test_rows_that_the_solver_leaves_undecided_are_searched_and_no_longer_called_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    model = random_linear(loan_schema(), rng)
    data = own_labels(model, synthetic_rows(model.schema, 40, rng))
    threat = FeasibleChange(budget=0.2, max_category_changes=1)
    exact = evasion(model, data, threat=threat, rng=rng)
    monkeypatch.setattr("holdfast.attacks.tables.linear_program._TIME_LIMIT_S", 0.0)
    hasty = evasion(model, data, threat=threat, rng=rng)
    assert exact.exact
    assert not hasty.exact
    assert hasty.robust_accuracy.bound == "upper"
    assert (hasty.queries > 0).any()
    assert not (hasty.evaded & ~exact.evaded).any()
    assert hasty.evaded.sum() >= 0.8 * exact.evaded.sum()


def test_the_distance_of_a_known_model_is_what_arithmetic_says() -> None:
    schema = numbers_schema(2)
    # the score is (x0 - 5) / 5 + 2 (x1 - 5) / 5; at (7, 5) it is 0.4, and each share t of the range takes off 6 t
    model = LinearModel(schema, np.array([[1.0, 2.0]]), np.zeros(1))
    flips = smallest_flips(model, np.array([[7.0, 5.0]]), np.array([1]), FeasibleChange(budget=0.01))
    assert flips.distance[0] == pytest.approx(0.4 / 6, abs=1e-8)
