"""Relations and costs are part of the exact search: its flips are those of trying every row there is."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeResult, milp
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from holdfast.attacks import FeasibleChange, evasion
from holdfast.attacks.tables.feasible import keeps
from holdfast.attacks.trees import Flips, feasible_flips, program
from holdfast.data import Dataset, Feature, Matrix, Relation, Schema
from holdfast.data.relation import TOLERANCE
from holdfast.models import Model, OnnxModel, fit_estimator, predict

SEEDS = st.integers(0, 2**32 - 1)
BETWEEN = 2 * TOLERANCE + 1e-6
"""Share of its range from one of the quotients enumerated to the next, and the solver's rounding."""
PRICED = {"costs": {"a": 1.0, "c": 2.0, "kind": 0.3}}


def schema_of(*relations: str) -> Schema:
    """Three whole numbers, a category, and a number that quotients can define."""
    return Schema(
        features=(
            Feature(name="a", kind="integer", low=0, high=7),
            Feature(name="b", kind="integer", low=1, high=6),
            Feature(name="c", kind="integer", low=0, high=13),
            Feature(name="kind", kind="category", categories=("u", "v", "w")),
            Feature(name="q", kind="real", low=0, high=7),
        ),
        target="y",
        classes=("no", "yes"),
        relations=tuple(map(Relation.parse, ("q == a / b", *relations))),
    )


def every_row(schema: Schema) -> Matrix:
    """All rows that keep the schema, of the quotients that its check allows a row the least, the true and the most."""
    grid = np.array(list(itertools.product(range(8), range(1, 7), range(14), range(3))), dtype=float)
    q = grid[:, 0] / grid[:, 1]
    left_open = 2 * TOLERANCE * (1 - 1e-6) * q
    rows = np.vstack([np.column_stack([grid, edge]) for edge in (q - left_open, q, q + left_open)])
    return rows[keeps(rows, schema) & (rows[:, -1] <= 7)]


def small_trees(schema: Schema, every: Matrix, seed: int) -> OnnxModel:
    """Trees that split on all of it."""
    rng = np.random.default_rng(seed)
    X = every[rng.permutation(len(every))[:200]]
    z = (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9)
    score = z @ rng.normal(size=5) + np.sin(3 * z[:, 0]) * z[:, 1]
    estimator = (
        RandomForestClassifier(5, max_depth=4, random_state=seed)
        if seed % 2
        else GradientBoostingClassifier(n_estimators=6, max_depth=3, learning_rate=0.5, random_state=seed)
    )
    model = fit_estimator(estimator, Dataset(schema, X, (score > np.median(score)).astype(np.int64)))
    assert isinstance(model, OnnxModel)
    return model


@pytest.mark.parametrize("relations", [(), ("c == a + b",), ("a <= c", "c <= 2 * b")], ids=" ".join)
@given(seed=st.integers(0, 10_000), switches=st.integers(0, 1), most=st.sampled_from([None, 0.2, 0.6]))
@settings(max_examples=4, deadline=None)
def test_the_smallest_flip_is_that_of_trying_every_row(
    relations: tuple[str, ...], seed: int, switches: int, most: float | None
) -> None:
    schema = schema_of(*relations)
    every = every_row(schema)
    model = small_trees(schema, every, seed)
    X = every[np.random.default_rng(seed).permutation(len(every))[:2]]
    y, P = predict(model, X), model.predict_proba(every)
    said, clear = P.argmax(axis=1), np.abs(P[:, 1] - 0.5) > 1e-5  # equal scores are equal up to rounding only
    prices = {} if most is None else PRICED | {"max_cost": most}
    threat = FeasibleChange(budget=1.0, max_category_changes=switches, **prices)  # type: ignore[arg-type]
    flips = feasible_flips(model, X, y, threat)
    threat.check(X, flips.X, schema)
    assert not flips.undecided.any()
    for x, own, distance in zip(X, y, flips.distance, strict=True):
        before = np.tile(x, (len(every), 1))
        allowed = (said != own) & (threat.category_changes(before, every, schema) <= switches)
        allowed &= threat.affordable(before, every, schema)
        distances = threat.distance(before, every, schema)
        assert distance >= distances[allowed].min(initial=np.inf) - BETWEEN
        assert distance <= distances[allowed & clear].min(initial=np.inf) + BETWEEN


def numbers(*relations: str) -> Schema:
    """A loan: the rate is what is paid a year by what is owed."""
    return Schema(
        features=(
            Feature(name="paid", kind="real", low=0, high=40),
            Feature(name="owed", kind="real", low=10, high=110),
            Feature(name="rate", kind="real", low=0, high=4),
            Feature(name="rest", kind="real", low=-30, high=110),
        ),
        target="y",
        classes=("no", "yes"),
        relations=tuple(map(Relation.parse, relations)),
    )


@pytest.mark.parametrize("relation", ["rate == paid / owed", "rate <= paid / owed", "rest == owed - paid"])
def test_no_feasible_row_nearer_than_the_exact_one_flips_real_numbers(relation: str) -> None:
    schema, rng = numbers(relation), np.random.default_rng(3)
    X = np.column_stack([rng.uniform(0, 40, 4_000), rng.uniform(10, 110, 4_000), np.zeros(4_000), np.zeros(4_000)])
    X[:, 2] = X[:, 0] / X[:, 1] * (rng.random(4_000) if "<=" in relation else 1.0)
    X[:, 3] = X[:, 1] - X[:, 0]
    y = (4 * X[:, 2] + X[:, 3] / 40 + rng.normal(0, 0.2, 4_000) > 2).astype(np.int64)
    model = fit_estimator(GradientBoostingClassifier(n_estimators=8, random_state=0), Dataset(schema, X[:400], y[:400]))
    assert isinstance(model, OnnxModel)
    some, rivals = X[400:407], X[407:]
    said = predict(model, some)
    flips = feasible_flips(model, some, said, FeasibleChange(budget=1.0))
    assert not flips.undecided.any()
    assert keeps(flips.X, schema).all()
    found = np.isfinite(flips.distance)
    assert found.sum() > 3
    assert (predict(model, flips.X[found]) != said[found]).all()
    other = predict(model, rivals)
    for x, own, distance in zip(some, said, flips.distance, strict=True):
        near = FeasibleChange(budget=1.0).distance(np.tile(x, (len(rivals), 1)), rivals, schema)
        assert near[other != own].min(initial=np.inf) >= distance - 1e-6


class Asked:
    """The same answers, from a model that nobody can look into."""

    def __init__(self, model: Model) -> None:
        self.model, self.schema = model, model.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        return self.model.predict_proba(X)


def test_evasion_of_trees_with_relations_is_exact_and_a_search_finds_no_more() -> None:
    schema = schema_of("c == a + b")
    every = every_row(schema)
    model = small_trees(schema, every, 2)
    X = every[np.random.default_rng(0).permutation(len(every))[:8]]
    data, threat = Dataset(schema, X, predict(model, X)), FeasibleChange(budget=0.3)
    exact = evasion(model, data, threat=threat, rng=np.random.default_rng(0))
    searched = evasion(Asked(model), data, threat=threat, rng=np.random.default_rng(0), max_queries=25)
    assert exact.exact
    assert "exact" in exact.method
    assert exact.evaded.sum() > 2
    assert not (searched.evaded & ~exact.evaded).any()


@pytest.mark.parametrize(
    ("wanted", "costs"),
    [
        ((0, 0, 1), {"n": 1.0, "k": 1.5, "l": 0.3}),
        ((2, 0, 0), {"n": 0.6, "k": 1.5}),
        ((0, 0, 1), {"l": 0.3}),
    ],
    ids=["a swap", "half a range", "only swaps have a price"],
)
@pytest.mark.parametrize("most", [0.3, 0.2999])
def test_what_costs_exactly_all_that_may_be_spent_is_found(
    wanted: tuple[int, ...], costs: dict[str, float], most: float
) -> None:
    kinds = (Feature(name=name, kind="category", categories=("u", "v")) for name in ("k", "l"))
    schema = Schema(
        features=(Feature(name="n", kind="integer", low=0, high=4), *kinds), target="y", classes=("no", "yes")
    )
    every = np.array(list(itertools.product(range(5), range(2), range(2))), dtype=float)
    fooled = (every >= np.array(wanted)).all(axis=1)
    model = fit_estimator(DecisionTreeClassifier(random_state=0), Dataset(schema, every, fooled.astype(np.int64)))
    data = Dataset(schema, np.zeros((1, 3)), np.zeros(1, dtype=np.int64))
    threat = FeasibleChange(budget=1.0, max_category_changes=1, costs=costs, max_cost=most)
    result = evasion(model, data, threat=threat, rng=np.random.default_rng(0))
    assert result.exact
    assert bool(result.evaded[0]) is (most == 0.3)


def test_rows_in_doubt_far_away_are_asked_again_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that comes to no end beyond the budget costs no row its proof."""
    schema, threat = schema_of(), FeasibleChange(budget=0.1)
    every = every_row(schema)
    model = small_trees(schema, every, seed=1)
    data = Dataset(schema, every[::400], predict(model, every[::400]))
    known = evasion(model, data, threat=threat, rng=np.random.default_rng(0))

    def hasty(*given: Any, within: float, **more: Any) -> Flips:
        flips = feasible_flips(*given, within=within, **more)
        far = (flips.distance > threat.budget) & (within > threat.budget)
        at_least = np.where(far, 0.0, flips.at_least)
        return replace(flips, distance=np.where(far, np.inf, flips.distance), at_least=at_least)

    monkeypatch.setattr("holdfast.attacks.tables.attack.feasible_flips", hasty)
    result = evasion(model, data, threat=threat, rng=np.random.default_rng(0))
    assert result.exact
    assert not result.queries.any()
    np.testing.assert_array_equal(result.evaded, known.evaded)
    assert (result.distance <= known.distance + 1e-6).all()  # beyond the budget nothing is claimed


def test_a_solver_that_wrongly_finds_nothing_is_asked_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """As HiGHS 1.12 did without presolving, in one program of ten thousand."""
    schema, threat = schema_of(), FeasibleChange(budget=0.1)
    every = every_row(schema)
    model = small_trees(schema, every, seed=1)
    some = every[::800]
    known = feasible_flips(model, some, predict(model, some), threat)

    def blind(*given: Any, options: dict[str, Any], **more: Any) -> Any:
        found = milp(*given, options=options, **more)
        return found if options["presolve"] else OptimizeResult(status=2, x=None, mip_dual_bound=None)

    monkeypatch.setattr(program, "milp", blind)
    found = feasible_flips(model, some, predict(model, some), threat)
    assert bool(np.isfinite(known.distance).any())
    np.testing.assert_allclose(found.distance, known.distance, atol=1e-6)
