"""A later version that drifted is named by column; one that did not raises no alarm; a profile holds no record."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

from holdfast.data import Dataset, Feature, Schema, build_manifest, compare
from holdfast.data.profile import MIN_COUNT, Profile, build_profile
from holdfast.data.shift import find_shift, shift_findings, tell_apart
from holdfast.data.value_diff import changed_values
from holdfast.errors import UsageError, WireError

from .data_strategies import datasets
from .poisoning import rng

SCHEMA = Schema(
    features=(
        Feature(name="age", kind="integer", low=0, high=120),
        Feature(name="gain", kind="real", low=0, high=100_000, nullable=True),
        Feature(name="town", kind="category", categories=("u", "v", "w")),
    ),
    target="y",
    classes=("n", "p"),
)


def people(count: int, seed: int, *, older: float = 0.0, gone: float = 0.1, v: float = 0.3) -> Dataset:
    generator = rng(seed)
    age = np.round(generator.normal(45 + older, 15, count).clip(0, 120))
    gain = np.where(generator.random(count) < gone, np.nan, generator.lognormal(5, 2, count).clip(0, 100_000))
    town = generator.choice(3, count, p=[0.7 - v, v, 0.3])
    return Dataset(SCHEMA, np.column_stack([age, gain, town]), (generator.random(count) < 0.4).astype(np.int64))


ACCEPTED = build_profile(people(3000, 0))


class TestColumns:
    @pytest.mark.parametrize(("change", "name"), [({"older": 8}, "age"), ({"gone": 0.3}, "gain"), ({"v": 0.5}, "town")])
    def test_a_column_that_drifted_is_named_and_no_other(self, change: dict[str, float], name: str) -> None:
        (found,) = find_shift(ACCEPTED, people(2000, 1, **change))
        assert found.name == name
        assert found.p_value < 0.01
        (finding,) = shift_findings((found,))
        assert (finding.check, finding.columns) == ("shift", (name,))

    def test_a_target_that_drifted_is_named(self) -> None:
        data = people(2000, 1)
        (found,) = find_shift(ACCEPTED, Dataset(SCHEMA, data.X, (rng(0).random(2000) < 0.6).astype(np.int64)))
        assert found.name == "y"
        assert found.distance == pytest.approx(0.2, abs=0.04)

    def test_false_alarms_are_as_rare_as_promised(self) -> None:
        """At most 1 in 100 where nothing shifted: of 60 draws none or one, or two by bad luck."""
        alarms = sum(bool(find_shift(build_profile(people(400, s)), people(400, 1000 + s))) for s in range(60))
        assert alarms <= 2

    def test_another_schema_is_refused(self) -> None:
        other = Schema(features=SCHEMA.features, target="y", classes=("n", "q"))
        data = people(50, 0)
        with pytest.raises(UsageError, match="profile of the same schema"):
            find_shift(ACCEPTED, Dataset(other, data.X, data.y))


class TestProfile:
    def test_it_survives_json_and_a_malformed_one_is_refused(self) -> None:
        document = json.loads(json.dumps(ACCEPTED.to_json()))
        assert Profile.from_json(document) == ACCEPTED
        for field, value in (
            ("format", "other"),
            ("columns", [{"edges": [1], "rows": [1]}]),
            ("columns", [{"edges": [2, 1], "rows": [1, 1, 1, 1]}]),
            ("columns", [{"edges": ["a"], "rows": [1, 1, 1]}]),
            ("columns", [{"edges": [1e999], "rows": [1, 1, 1]}]),
            ("classes", [-1, True]),
            ("classes", "no"),
            ("schema_digest", 3),
            ("more", 1),
        ):
            with pytest.raises(WireError):
                Profile.from_json(document | {field: value})
        with pytest.raises(WireError):
            Profile.from_json([])

    @settings(max_examples=60)
    @given(datasets(max_rows=60))
    def test_no_bin_is_thin_and_every_row_is_counted(self, data: Dataset) -> None:
        for counts, values in zip(build_profile(data).columns, data.X.T, strict=True):
            *bins, missing = counts.rows
            assert sum(bins) + missing == len(data)
            assert missing == np.isnan(values).sum()
            assert len(bins) == 1 or min(bins) >= MIN_COUNT

    def test_edges_lie_on_the_public_grid_and_not_on_values(self) -> None:
        data = people(3000, 5)
        for counts, feature in zip(build_profile(data).columns[:2], SCHEMA.features[:2], strict=True):
            steps = (np.array(counts.edges) - feature.low) / (feature.width / 100)
            assert np.abs(steps - np.round(steps)).max() < 1e-9

    def test_one_row_more_or_less_hardly_shows(self) -> None:
        data = people(3000, 6)
        one, two = build_profile(data), build_profile(data.take(np.arange(2999)))
        assert [c.edges for c in one.columns] == [c.edges for c in two.columns]


class TestBothTables:
    def test_equal_sources_are_told_apart_no_better_than_by_guessing(self) -> None:
        figure = tell_apart(people(1500, 0), people(1500, 1), rng=rng())
        assert figure.low is not None
        assert figure.low < 0.5

    def test_a_change_that_no_column_shows_alone_is_seen(self) -> None:
        before = people(1500, 0)
        X = people(1500, 1).X.copy()
        order = np.argsort(X[:, 0])
        X[order, 2] = np.sort(X[:, 2])  # the same towns, now by age
        after = Dataset(SCHEMA, X, before.y)
        assert find_shift(build_profile(before), after) == ()
        figure = tell_apart(before, after, rng=rng())
        assert figure.low is not None
        assert figure.low > 0.6

    def test_rows_that_both_have_give_nothing_away(self) -> None:
        data = people(800, 3)
        figure = tell_apart(data, data, rng=rng())
        assert figure.value == pytest.approx(0.5, abs=0.03), "each row is there once under either name"

    def test_tables_that_cannot_be_compared_are_refused(self) -> None:
        with pytest.raises(UsageError, match="20 rows or more"):
            tell_apart(people(19, 0), people(100, 0), rng=rng())


def test_changed_values_are_named_with_what_they_were() -> None:
    before = people(40, 0)
    X, y = before.X.copy(), before.y.copy()
    X[4, 0], X[4, 2], X[9, 1] = 99, (X[4, 2] + 1) % 3, np.nan
    y[9] = 1 - y[9]
    after = Dataset(SCHEMA, X, y)
    lines = changed_values(before, after, compare(build_manifest(before), after))
    towns = SCHEMA.features[2].categories
    old, new = towns[int(before.X[4, 2])], towns[int(X[4, 2])]
    assert lines[0] == f"row 4: age: {float(before.X[4, 0])} -> 99.0, town: {old} -> {new}"
    names = SCHEMA.classes
    assert lines[1] == f"row 9: y: {names[before.y[9]]} -> {names[y[9]]}, gain: {float(before.X[9, 1])} -> missing"
    X = before.X.copy()
    X[:, 0] = 120 - X[:, 0]
    everything = Dataset(SCHEMA, X, before.y)
    lines = changed_values(before, everything, compare(build_manifest(before), everything))
    assert len(lines) == 21
    assert lines[-1].endswith("changed rows more")
