"""Rows keep sums and quotients, whatever the schema: bounds cut nothing off, and repaired rows are checked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.attacks.attack_cases import numbers_schema, own_labels, random_linear
from tests.attacks.tables.table_cases import Hidden, arithmetic_schemas, grid, loan_maths

from holdfast.attacks import FeasibleChange, evasion, ranges, repair, synthetic_rows
from holdfast.attacks.tables.feasible import keeps
from holdfast.attacks.tables.linear import smallest_flips
from holdfast.attacks.tables.moves import Moves
from holdfast.data import Relation, Schema, check_features
from holdfast.errors import ConfigError, UnsupportedError
from holdfast.models import predict

SEEDS = st.integers(0, 2**32 - 1)


@given(schema=arithmetic_schemas())
@settings(max_examples=50, deadline=None)
def test_bounds_cut_no_row_off_that_keeps_the_relations(schema: Schema) -> None:
    rows = grid(schema)
    rows = rows[keeps(rows, schema)]
    try:
        box = ranges(schema, rows=1)
    except ConfigError:
        assert len(rows) == 0
        return
    assert (rows >= box.low - 1e-9).all()
    assert (rows <= box.high + 1e-9).all()


@given(schema=arithmetic_schemas(), seed=SEEDS, budget=st.floats(0.05, 1.0), priced=st.booleans())
@settings(max_examples=50, deadline=None)
def test_any_proposal_is_settled_into_what_the_threat_allows(
    schema: Schema, seed: int, budget: float, priced: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows = grid(schema)
    rows = rows[keeps(rows, schema)]
    assume(len(rows) > 0)
    before = rows[rng.integers(len(rows), size=9)]
    price = {"costs": {"f0": 1.0, "f1": 2.0}, "max_cost": 0.4} if priced else {}
    threat = FeasibleChange(budget=budget, **price)  # type: ignore[arg-type]
    moves = Moves(before, threat, schema)
    after = moves.settle(before + rng.normal(0, 2, before.shape), before, np.arange(9), rng)
    threat.check(before, after, schema)


@given(seed=SEEDS, upward=st.booleans(), budget=st.floats(0.01, 1.0))
@settings(max_examples=25, deadline=None)
def test_rows_reach_relations_that_share_no_features_from_anywhere(seed: int, upward: bool, budget: float) -> None:
    rng, schema = np.random.default_rng(seed), loan_maths()
    before = synthetic_rows(schema, 12, rng)
    check_features(before, schema)
    threat = FeasibleChange(budget=budget, max_category_changes=1)
    box = threat.box(before, schema)
    after = repair(before + rng.normal(0, 5, before.shape), box, schema, upward=upward)
    threat.check(before, after, schema)
    np.testing.assert_allclose(repair(after, box, schema), after, rtol=0, atol=1e-9)


def test_a_move_of_either_side_takes_the_other_with_it() -> None:
    schema = loan_maths("ratio == amount / income")
    before = synthetic_rows(schema, 200, np.random.default_rng(0))
    before[:, schema.index("income")] = 50.0
    before[:, schema.index("amount")] = 20.0
    before[:, schema.index("ratio")] = 0.4
    moves, rng = Moves(before, FeasibleChange(budget=0.1), schema), np.random.default_rng(1)
    wanted = before.copy()
    wanted[:, schema.index("amount")] = 23.0
    after = moves.settle(wanted, before, np.arange(200), rng)
    # in the order of the schema the ratio follows the amount; against it the amount is held by the ratio and income
    follows = after[:, schema.index("amount")] == 23.0
    assert follows.sum() > 50
    np.testing.assert_allclose(after[follows, schema.index("ratio")], 0.46)


@pytest.mark.parametrize("fixed", [(), ("ratio",), ("amount", "income"), ("amount", "income", "ratio")], ids=str)
def test_rows_written_with_six_digits_are_attacked_as_well(fixed: tuple[str, ...]) -> None:
    document = loan_maths("ratio == amount / income", "gross == net + tax").to_json()
    for feature in document["features"]:
        if feature["name"] in fixed:
            feature["mutability"] = "fixed"
    schema, rng = Schema.from_json(document), np.random.default_rng(0)
    X = synthetic_rows(schema, 60, rng)
    digits = 10.0 ** (6 - np.ceil(np.log10(np.maximum(np.abs(X[:, 2]), 1e-3))))
    X[:, 2] = np.round(X[:, 2] * digits) / digits
    check_features(X, schema)
    threat = FeasibleChange(budget=0.2, max_category_changes=1)
    moves = Moves(X, threat, schema)
    after = moves.settle(X + rng.normal(0, 3, X.shape), X, np.arange(60), rng)
    threat.check(X, after, schema)
    assert (after != X).any(axis=1).mean() > 0.5


@pytest.mark.parametrize(
    "relations", [("open + total >= 70",), ("ratio == amount / income", "ratio >= 7.9", "amount <= 5")], ids=str
)
def test_sums_and_quotients_that_leave_nothing_are_named(relations: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="no value"):
        synthetic_rows(loan_maths(*relations), 5, np.random.default_rng(0))


def test_a_dead_end_is_said_and_not_returned() -> None:
    # only (3, 2) will do, which no bound of either feature alone tells
    schema = numbers_schema(2, relations=("a0 + a1 == 5", "a0 - a1 == 1"))
    with pytest.raises(UnsupportedError, match="share features"):
        synthetic_rows(schema, 3, np.random.default_rng(0))


def test_linear_models_are_attacked_exactly_through_sums() -> None:
    rng = np.random.default_rng(7)
    relations = ("a0 + a1 == a2", "2 * a3 - a4 <= 6", "a4 / a5 <= 4")
    schema = Schema.from_json(
        {
            **numbers_schema(6).to_json(),
            "features": [{**f.to_json(), "range": [0.5, 10]} for f in numbers_schema(6).features],
            "relations": list(relations),
        }
    )
    model, X = random_linear(schema, rng), synthetic_rows(schema, 25, rng)
    y = predict(model, X)
    flips = smallest_flips(model, X, y, FeasibleChange(budget=1.0))
    assert not flips.undecided.any()
    equal = np.array([[1.0, 1, -1, 0, 0, 0, 0]])
    upper = np.array([[0.0, 0, 0, 2, -1, 0, 0], [0.0, 0, 0, 0, 1, -4, 0]])
    near = np.hstack([np.vstack([np.eye(6), -np.eye(6)]), np.full((12, 1), -9.5)])
    for row in range(len(X)):
        sign = 1.0 if y[row] == 1 else -1.0
        w = model.coef[0] / 4.75
        c = model.intercept[0] - model.coef[0].sum() * 5.25 / 4.75
        A = np.vstack([near, upper, np.append(sign * w, 0.0)])
        b = np.concatenate([X[row], -X[row], [6.0, 0.0], [-sign * c]])
        answer = linprog(
            np.append(np.zeros(6), 1.0), A_ub=A, b_ub=b, A_eq=equal, b_eq=[0.0], bounds=[(0.5, 10)] * 6 + [(0, 1)]
        )
        expected = answer.fun if answer.status == 0 else np.inf
        assert flips.distance[row] == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_quotient_is_exact_where_value_or_denominator_is_fixed_and_searched_elsewhere(fixed: bool) -> None:
    schema = loan_maths("ratio == amount / income")
    document = schema.to_json()
    document["features"][1]["mutability"] = "fixed" if fixed else "free"
    schema, rng = Schema.from_json(document), np.random.default_rng(3)
    model = random_linear(schema, rng)
    data = own_labels(model, synthetic_rows(schema, 30, rng))
    threat = FeasibleChange(budget=0.4)
    result = evasion(model, data, threat=threat, rng=rng, max_queries=150)
    searched = evasion(Hidden(model), data, threat=threat, rng=rng, max_queries=150)
    assert result.exact == fixed
    assert result.evaded.sum() > 5
    if fixed:
        assert not (searched.evaded & ~result.evaded).any()
        assert searched.evaded.sum() >= 0.8 * result.evaded.sum()


@given(schema=arithmetic_schemas(), seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_no_search_flips_what_the_exact_attack_calls_robust(schema: Schema, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = grid(schema)
    rows = rows[keeps(rows, schema)]
    assume(len(rows) > 0)
    model = random_linear(schema, rng)
    data = own_labels(model, rows[rng.integers(len(rows), size=5)])
    threat = FeasibleChange(budget=0.6, costs={"f0": 1.0, "f1": 2.0}, max_cost=0.9)
    exact = evasion(model, data, threat=threat, rng=rng, max_queries=30)
    searched = evasion(Hidden(model), data, threat=threat, rng=rng, max_queries=30)
    if exact.exact:
        assert not (searched.evaded & ~exact.evaded).any()


def test_a_relation_of_a_feature_with_itself_is_kept() -> None:
    schema = numbers_schema(2, relations=("a0 <= a0", "a0 + a1 <= 9"))
    check_features(synthetic_rows(schema, 20, np.random.default_rng(0)), schema)
    assert Relation.parse("a0 <= a0") in schema.relations
