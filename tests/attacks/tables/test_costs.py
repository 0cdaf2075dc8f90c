"""Changes with a price: no row costs more than it may, and the exact attack spends it best."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from tests.attacks.attack_cases import BlackBox, loan_schema, numbers_schema, own_labels, random_linear

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.attacks.tables.linear import smallest_flips
from holdfast.errors import DataError, UsageError
from holdfast.models import predict

COSTS = {"income": 2.0, "debt": 1.0, "cards": 3.0}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"costs": {"a": 1.0}}, "together only"),
        ({"max_cost": 1.0}, "together only"),
        ({"costs": {"a": 0.0}, "max_cost": 1.0}, "numbers above 0"),
        ({"costs": {"a": float("nan")}, "max_cost": 1.0}, "numbers above 0"),
        ({"costs": {"a": 1.0}, "max_cost": float("inf")}, "max_cost is a number"),
        ({"costs": {"a": 1.0}, "max_cost": True}, "max_cost is a number"),
    ],
)
def test_prices_that_mean_nothing_are_refused(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        FeasibleChange(budget=0.1, **arguments)  # type: ignore[arg-type]


def test_a_price_of_no_feature_is_refused() -> None:
    threat = FeasibleChange(budget=0.1, costs={"height": 1.0}, max_cost=1.0)
    with pytest.raises(UsageError, match="'height', which is no feature"):
        threat.box(np.zeros((1, 9)), loan_schema())


def test_a_price_is_per_range_and_per_swap() -> None:
    schema = loan_schema()
    threat = FeasibleChange(budget=1.0, max_category_changes=2, costs={**COSTS, "region": 0.5}, max_cost=2.0)
    before = np.array([[50.0, 20, 1, 4, 40, np.nan, 0, 1, 0]])
    after = np.array([[75.0, 60, 1, 7, 40, np.nan, 2, 1, 0]])
    assert threat.cost(before, after, schema)[0] == pytest.approx(2 * 25 / 100 + 3 * 3 / 9 + 0.5)
    threat.check(before, after, schema)
    with pytest.raises(DataError, match=r"row 0 cost 2, at most 1\.9"):
        FeasibleChange(budget=1.0, max_category_changes=2, costs=threat.costs, max_cost=1.9).check(
            before, after, schema
        )
    assert threat.to_json()["costs"] == {**COSTS, "region": 0.5}
    assert "costs" not in FeasibleChange(budget=0.1).to_json()


@pytest.mark.parametrize(
    ("budget", "switches", "max_cost", "binds"),
    [(0.1, 0, 0.6, False), (0.1, 0, 0.59, True), (1.0, 0, 6.0, False), (0.1, 1, 1.09, True), (0.1, 1, 1.1, False)],
)
def test_a_limit_above_all_that_changes_could_cost_binds_nobody(
    budget: float, switches: int, max_cost: float, binds: bool
) -> None:
    costs = {**COSTS, "region": 0.5}  # the numbers cost 6 through their whole ranges
    threat = FeasibleChange(budget=budget, max_category_changes=switches, costs=costs, max_cost=max_cost)
    assert threat.cost_binds(loan_schema()) == binds
    assert not FeasibleChange(budget=budget).cost_binds(loan_schema())


def test_the_exact_attack_finds_the_distance_of_an_independent_linear_program() -> None:
    rng = np.random.default_rng(5)
    schema = numbers_schema(4, relations=("a0 <= a1",))
    model, X = random_linear(schema, rng), synthetic_rows(schema, 25, rng)
    y, threat = predict(model, X), FeasibleChange(budget=1.0, costs={"a1": 1.0, "a2": 4.0}, max_cost=0.5)
    flips = smallest_flips(model, X, y, threat)
    # over the row, what is spent on a1 and a2, and the budget
    near = np.hstack([np.vstack([np.eye(4), -np.eye(4)]), np.zeros((8, 2)), np.full((8, 1), -10.0)])
    spend = np.zeros((4, 7))
    for at, column in enumerate((1, 2)):
        spend[2 * at, [column, 4 + at]], spend[2 * at + 1, [column, 4 + at]] = (0.1, -1.0), (-0.1, -1.0)
    for row in range(len(X)):
        sign = 1.0 if y[row] == 1 else -1.0
        w, c = model.coef[0] / 5.0, model.intercept[0] - model.coef[0].sum()
        A = np.vstack([near, spend, [1.0, -1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 4, 0], np.append(sign * w, [0.0] * 3)])
        start = 0.1 * X[row, [1, 1, 2, 2]] * [1, -1, 1, -1]
        b = np.concatenate([X[row], -X[row], start, [0.0, 0.5, -sign * c]])
        bounds = [(0, 10)] * 4 + [(0, 1)] * 3
        answer = linprog(np.append(np.zeros(6), 1.0), A_ub=A, b_ub=b, bounds=bounds)
        expected = answer.fun if answer.status == 0 else np.inf
        assert flips.distance[row] == pytest.approx(expected, abs=2e-5)
    free = smallest_flips(model, X, y, FeasibleChange(budget=1.0))
    assert (flips.distance > free.distance + 1e-3).sum() > 3


def test_the_search_keeps_to_the_price_and_never_beats_the_exact_attack() -> None:
    rng, schema = np.random.default_rng(1), loan_schema()
    model = random_linear(schema, rng)
    data = own_labels(model, synthetic_rows(schema, 30, rng))
    threat = FeasibleChange(budget=0.3, max_category_changes=1, costs=COSTS, max_cost=0.2)
    exact = evasion(model, data, threat=threat, rng=rng)
    searched = evasion(BlackBox(model), data, threat=threat, rng=rng, max_queries=120)
    free = evasion(model, data, threat=FeasibleChange(budget=0.3, max_category_changes=1), rng=rng)
    assert exact.exact
    assert not (searched.evaded & ~exact.evaded).any()
    assert not (exact.evaded & ~free.evaded).any()
    assert searched.evaded.sum() >= 0.7 * exact.evaded.sum() > 3
    assert exact.evaded.sum() < free.evaded.sum()
    assert "costing 0.2 at most" in exact.to_evidence(model.digest).title


def test_swaps_that_have_a_price_leave_the_linear_program() -> None:
    rng, schema = np.random.default_rng(2), loan_schema()
    model = random_linear(schema, rng)
    data = own_labels(model, synthetic_rows(schema, 20, rng))
    threat = FeasibleChange(budget=0.3, max_category_changes=1, costs={"region": 1.0, "income": 1.0}, max_cost=0.2)
    result = evasion(model, data, threat=threat, rng=rng, max_queries=100)
    region = schema.index("region")
    assert (result.adversarial[:, region] == data.X[:, region]).all()
    assert (threat.cost(data.X, result.adversarial, schema) <= 0.2 + 1e-9).all()
