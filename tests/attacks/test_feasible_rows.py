"""Made-up and moved rows keep to the schema, whatever the schema; and a threat refuses what it does not allow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.attacks.attack_cases import loan_schema, numbers_schema, schemas

from holdfast.attacks import FeasibleChange, synthetic_rows
from holdfast.attacks.synthetic import levelled_rows
from holdfast.attacks.tables.feasible import ranges, repair
from holdfast.data import Feature, Relation, Schema, check_features
from holdfast.errors import ConfigError, DataError, UsageError

SEEDS = st.integers(0, 2**32 - 1)


@given(schema=schemas(), seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_made_up_rows_keep_to_any_schema_or_it_is_said_that_none_can(schema: Schema, seed: int) -> None:
    rng = np.random.default_rng(seed)
    try:
        rows = synthetic_rows(schema, 21, rng)
    except ConfigError:
        assert not any_row_keeps(schema)
        return
    check_features(rows, schema)
    check_features(levelled_rows(schema, 21, rng), schema)


def any_row_keeps(schema: Schema) -> bool:
    """Look for a feasible row on the grid of halves, on which all test ranges and relations have their corners."""
    grids = [
        np.arange(f.low, f.high + 0.25, 1.0 if f.kind == "integer" else 0.5) for f in schema.features if f.width > 0
    ]
    numeric = [f.name for f in schema.features if f.width > 0]
    points = np.array(np.meshgrid(*grids)).reshape(len(grids), -1) if grids else np.zeros((0, 1))
    holds = np.ones(points.shape[1], dtype=bool)
    for relation in schema.relations:
        holds &= relation.holds(points[numeric.index(relation.left)], points[numeric.index(relation.right)])
    return bool(holds.any())


@given(schema=schemas(), seed=SEEDS, upward=st.booleans(), budget=st.floats(0.01, 1.0))
@settings(max_examples=150, deadline=None)
def test_any_row_can_be_moved_into_what_a_threat_allows(schema: Schema, seed: int, upward: bool, budget: float) -> None:
    rng = np.random.default_rng(seed)
    try:
        before = synthetic_rows(schema, 9, rng)
    except ConfigError:
        assume(False)
    threat = FeasibleChange(budget=budget, max_category_changes=len(schema.features))
    wild = before + rng.normal(0, 5, before.shape)
    after = repair(wild, threat.box(before, schema), schema, upward=upward)
    threat.check(before, after, schema)
    np.testing.assert_array_equal(repair(after, threat.box(before, schema), schema, upward=upward), after)


@pytest.mark.parametrize("draw", [synthetic_rows, levelled_rows])
def test_made_up_rows_reach_every_value_and_what_may_be_missing_is(draw: object) -> None:
    schema = loan_schema()
    rows = draw(schema, 2_000, np.random.default_rng(0))  # type: ignore[operator]
    for name, count in {"children": 7, "cards": 10, "region": 3, "job": 4, "sex": 2}.items():
        values = rows[:, schema.index(name)]
        assert len(np.unique(values[~np.isnan(values)])) == count
    missing = np.isnan(rows).mean(axis=0)
    assert {name for name, share in zip(schema.names, missing, strict=True) if share > 0} == {"debt", "job"}


def test_uniform_rows_are_uniform_where_nothing_binds() -> None:
    rows = synthetic_rows(numbers_schema(3), 4_000, np.random.default_rng(1))
    counts = np.histogram(rows.ravel(), bins=10, range=(0, 10))[0]
    assert abs(counts - 1_200).max() < 6 * np.sqrt(1_200)


def test_ranges_and_relations_that_leave_nothing_are_named() -> None:
    schema = Schema(
        features=(
            Feature(name="small", kind="real", low=0, high=1),
            Feature(name="large", kind="real", low=2, high=3),
        ),
        target="y",
        classes=("a", "b"),
        relations=(Relation.parse("small >= large"),),
    )
    with pytest.raises(ConfigError, match="leave feature 'small' no value"):
        ranges(schema, rows=1)


def test_a_negative_number_of_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="got -1"):
        synthetic_rows(loan_schema(), -1, np.random.default_rng(0))


@pytest.mark.parametrize("budget", [0, -0.1, 1.01, float("nan"), float("inf"), True, "0.1", None])
def test_a_budget_that_means_nothing_is_refused(budget: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        FeasibleChange(budget=budget)


@pytest.mark.parametrize("count", [-1, 1.5, True, "1", float("nan")])
def test_a_number_of_category_changes_that_means_nothing_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match="max_category_changes"):
        FeasibleChange(budget=0.1, max_category_changes=count)


ROW = {
    "income": 50.0,
    "spent": 50.0,
    "children": 1.0,
    "cards": 4.0,
    "age": 40.0,
    "debt": 0.0,
    "region": 0.0,
    "job": 1.0,
    "sex": 0.0,
}


def row(**changes: float) -> np.ndarray:
    return np.array([list({**ROW, **changes}.values())])


@pytest.mark.parametrize(
    "changes",
    [
        {"age": 41.0},
        {"children": 0.0},
        {"debt": 5.0},
        {"income": 61.0},
        {"cards": 6.0},
        {"cards": 4.5},
        {"spent": 55.0},
        {"sex": 1.0},
        {"region": 1.0, "job": 2.0},
        {"debt": np.nan},
        {"income": 101.0},
    ],
    ids=str,
)
def test_a_threat_refuses_a_change_that_it_does_not_allow(changes: dict[str, float]) -> None:
    with pytest.raises(DataError):
        FeasibleChange(budget=0.1, max_category_changes=1).check(row(), row(**changes), loan_schema())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"income": 60.0},
        {"spent": 38.0},
        {"income": 55.0, "spent": 55.0},
        {"debt": -10.0},
        {"region": 2.0},
    ],
    ids=str,
)
def test_a_threat_accepts_a_change_that_it_allows(changes: dict[str, float]) -> None:
    FeasibleChange(budget=0.1, max_category_changes=1).check(row(), row(**changes), loan_schema())


def test_a_whole_step_that_is_exactly_the_budget_is_allowed_although_floats_disagree() -> None:
    schema = Schema(features=(Feature(name="n", kind="integer", low=0, high=100),), target="y", classes=("a", "b"))
    box = FeasibleChange(budget=0.29).box(np.array([[10.0]]), schema)  # 0.29 * 100 is 28.999999999999996
    assert box.high[0, 0] == 39


def test_a_missing_value_stays_missing_and_binds_nothing() -> None:
    schema = numbers_schema(2, relations=("a0 <= a1",))
    nullable = Schema(
        features=tuple(Feature(name=f.name, kind="real", low=0, high=10, nullable=True) for f in schema.features),
        target="y",
        classes=schema.classes,
        relations=schema.relations,
    )
    before = np.array([[np.nan, 3.0], [2.0, np.nan]])
    box = FeasibleChange(budget=1.0).box(before, nullable)
    assert np.isnan(box.low[[0, 1], [0, 1]]).all()
    assert (box.low[[0, 1], [1, 0]], box.high[[0, 1], [1, 0]]) == (pytest.approx(0), pytest.approx(10))
