"""A data set keeps to its schema, cannot be changed, and has one digest for one content."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import Dataset, Feature, Relation, Schema, check_features, from_frame
from holdfast.errors import DataError, UsageError

from .data_strategies import datasets

SCHEMA = Schema(
    features=(
        Feature(name="low", kind="real", low=0, high=10),
        Feature(name="high", kind="real", low=0, high=10, nullable=True),
        Feature(name="count", kind="integer", low=0, high=9),
        Feature(name="colour", kind="category", categories=("red", "blue"), nullable=True),
    ),
    target="y",
    classes=("0", "1"),
    relations=(Relation("low", "<=", "high"),),
)


def frame(**columns: Any) -> pd.DataFrame:
    good: dict[str, Any] = {
        "low": [1.0, 2.0, 3.0],
        "high": [1.5, None, 3.0],
        "count": [1, 2, 3],
        "colour": ["red", None, "blue"],
        "y": [0, 1, 0],
    }
    return pd.DataFrame({**good, **columns})


def test_categories_classes_and_missing_values_become_numbers() -> None:
    data = from_frame(frame(extra=["a", "b", "c"]), SCHEMA)
    assert data.X[0].tolist() == [1.0, 1.5, 1.0, 0.0]
    assert np.isnan(data.X[1]).tolist() == [False, True, False, True]
    assert data.y.tolist() == [0, 1, 0]


@pytest.mark.parametrize("labels", [[0, 1, 0], [0.0, 1.0, 0.0], ["0", "1", "0"], pd.Categorical([0, 1, 0])])
def test_a_class_is_the_same_as_a_number_and_as_a_text(labels: Any) -> None:
    assert from_frame(frame(y=labels), SCHEMA).y.tolist() == [0, 1, 0]


def test_true_and_one_are_different_categories() -> None:
    with pytest.raises(DataError, match="'True' in row 1"):
        from_frame(frame(y=pd.Series([1, True, 0], dtype=object)), SCHEMA)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "out of range": ({"low": [1.0, 11.0, 3.0]}, r"'low' is 11 in row 1, its range is 0 to 10 \(1 of 3 rows"),
    "infinite": ({"low": [1.0, 2.0, -np.inf]}, "'low' is -inf in row 2"),
    "missing": ({"low": [1.0, None, 3.0]}, "'low' has no value in row 1"),
    "not whole": ({"count": [1, 2.5, 3]}, "'count' is 2.5 in row 1, expected a whole number"),
    "a text": ({"count": ["1", "2", "many"]}, "'count' is 'many' in row 2, expected a number"),
    "an empty text": ({"count": ["1", "", "2"]}, "'count' is '' in row 1, expected a number"),
    "dates": ({"low": pd.to_datetime(["2020-01-01"] * 3)}, "'low' holds datetime64"),
    "times": ({"low": pd.to_timedelta([1, 2, 3])}, "'low' holds timedelta64"),
    "complex": ({"low": [1j, 2j, 3j]}, "'low' holds complex128"),
    "unknown category": ({"colour": ["red", "green", "blue"]}, "'colour' is 'green' in row 1, expected one of 'red'"),
    "broken relation": ({"low": [2.0, 2.0, 3.0]}, "row 0 breaks the relation 'low <= high'"),
    "unknown class": ({"y": ["0", "1", "2"]}, "the target 'y' is '2' in row 2, expected one of '0', '1'"),
    "missing class": ({"y": ["0", None, "1"]}, "the target 'y' has no value in row 1"),
}


@pytest.mark.parametrize(("columns", "message"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_value_is_named_by_column_and_row(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        from_frame(frame(**columns), SCHEMA)
    assert "\n" not in str(caught.value)


def test_a_huge_wrong_value_makes_no_huge_sentence() -> None:
    for column in ("count", "colour", "y"):
        with pytest.raises(DataError) as caught:
            from_frame(frame(**{column: ["x" * 99_999] * 3}), SCHEMA)
        assert len(str(caught.value)) < 300


def test_absent_repeated_and_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="expected a target column 'y', the table has 'low'"):
        from_frame(frame().drop(columns="y"), SCHEMA)
    with pytest.raises(DataError, match="lacks the columns 'low', 'count'"):
        from_frame(frame().drop(columns=["low", "count"]), SCHEMA)
    with pytest.raises(DataError, match="2 columns named 'low'"):
        from_frame(pd.concat([frame(), frame()[["low"]]], axis=1), SCHEMA)
    with pytest.raises(DataError, match="got one without"):
        from_frame(frame().iloc[:0], SCHEMA)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (4,), (2, 2, 4)])
def test_rows_of_another_width_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected rows of 4 features"):
        check_features(np.zeros(shape), SCHEMA)


def test_labels_that_no_class_has_are_refused() -> None:
    X = np.zeros((2, 4))
    for y in ([-1, 0], [0, 2], [0.5, 0]):
        with pytest.raises(DataError, match="expected labels from 0 to 1"):
            Dataset(SCHEMA, X, np.array(y))
    with pytest.raises(DataError, match="a label for each row"):
        Dataset(SCHEMA, X, np.array([0]))
    with pytest.raises(DataError, match="a label for each row"):
        Dataset(SCHEMA, X, np.array([[0], [1]]))


def test_a_data_set_cannot_be_changed_nor_does_it_change_its_source() -> None:
    X, y = np.zeros((2, 4)), np.array([0, 1])
    data = Dataset(SCHEMA, X, y)
    digest = data.digest
    X[0, 0], y[0] = 5.0, 1
    assert data.X[0, 0] == 0.0
    assert data.y[0] == 0
    assert Dataset(SCHEMA, data.X, data.y).digest == digest
    for array in (data.X, data.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@given(datasets(), st.data())
def test_any_changed_value_changes_the_digest(data: Dataset, draw: st.DataObject) -> None:
    X, y = data.X.copy(), data.y.copy()
    row = draw.draw(st.integers(0, len(data) - 1))
    column = draw.draw(st.integers(0, X.shape[1]))
    if column == X.shape[1]:
        y[row] = (y[row] + 1) % len(data.schema.classes)
    else:
        X[row, column] = 0.5 if np.isnan(X[row, column]) else np.nextafter(X[row, column], np.inf)
    assert Dataset(data.schema, X, y).digest != data.digest


def test_the_digest_covers_the_schema_and_the_order_of_rows() -> None:
    data = from_frame(frame(), SCHEMA)
    other = Schema(features=SCHEMA.features, target="y", classes=("0", "2"), relations=SCHEMA.relations)
    assert Dataset(other, data.X, data.y).digest != data.digest
    assert data.take([1, 0, 2]).digest != data.digest


def test_minus_zero_and_every_nan_have_one_digest() -> None:
    strange = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]
    one = Dataset(SCHEMA, np.array([[0.0, np.nan, 0.0, np.nan]]), np.array([0]))
    two = Dataset(SCHEMA, np.array([[-0.0, strange, -0.0, -np.nan]]), np.array([0]))
    assert one.digest == two.digest


@given(datasets())
def test_a_table_made_of_a_data_set_gives_the_data_set_back(data: Dataset) -> None:
    again = from_frame(data.to_frame(), data.schema)
    assert again.digest == data.digest


class TestSplit:
    def test_both_sides_are_the_whole_and_share_no_row(self, tumour: Dataset) -> None:
        train, test = tumour.split(test_fraction=0.25, seed=0)
        assert len(train) + len(test) == len(tumour)
        rows = {row.tobytes() for row in tumour.X}
        assert {row.tobytes() for row in train.X} | {row.tobytes() for row in test.X} == rows
        assert {row.tobytes() for row in train.X}.isdisjoint(row.tobytes() for row in test.X)

    def test_the_shares_come_out_about_as_asked_for(self, tumour: Dataset) -> None:
        for fraction in (0.1, 0.25, 0.8):
            shares = [len(tumour.split(test_fraction=fraction, seed=seed)[1]) / len(tumour) for seed in range(30)]
            # binomial: within six standard deviations, of the mean and of each
            deviation = (fraction * (1 - fraction) / len(tumour)) ** 0.5
            assert abs(np.mean(shares) - fraction) < 6 * deviation / 30**0.5
            assert max(abs(share - fraction) for share in shares) < 6 * deviation

    def test_the_seed_decides(self, tumour: Dataset) -> None:
        digests = [tumour.split(test_fraction=0.25, seed=seed)[1].digest for seed in (0, 0, 1)]
        assert digests[0] == digests[1] != digests[2]
        assert tumour.split(test_fraction=0.25, seed=-1)[1].digest not in digests

    def test_a_row_that_leaves_or_joins_moves_no_other(self, tumour: Dataset) -> None:
        def sides(data: Dataset) -> list[set[bytes]]:
            return [
                {x.tobytes() + bytes([y]) for x, y in zip(part.X, part.y, strict=True)}
                for part in data.split(test_fraction=0.2, seed=0)
            ]

        whole = sides(tumour)
        for leaver in range(0, len(tumour), 7):
            rest = sides(tumour.take(np.arange(len(tumour)) != leaver))
            row = {tumour.X[leaver].tobytes() + bytes([tumour.y[leaver]])}
            assert [a ^ b for a, b in zip(whole, rest, strict=True)] in ([row, set()], [set(), row])

    def test_the_order_of_rows_decides_nothing_and_twins_are_on_one_side(self, tumour: Dataset) -> None:
        twice = tumour.take(np.r_[np.arange(len(tumour))[::-1], np.arange(len(tumour))])
        train, test = twice.split(test_fraction=0.2, seed=0)
        once = tumour.split(test_fraction=0.2, seed=0)
        for part, single in zip((train, test), once, strict=True):
            assert sorted(row.tobytes() for row in part.X) == sorted(row.tobytes() for row in single.X for _ in "ab")

    def test_a_class_without_a_row_on_a_side_and_a_senseless_fraction_are_refused(self) -> None:
        data = Dataset(SCHEMA, np.zeros((4, 4)), np.array([0, 0, 0, 1]))
        with pytest.raises(DataError, match=r"class '[01]' has no row to (train|test) on") as caught:
            data.split(test_fraction=0.5, seed=0)
        assert "another seed" in caught.value.hint
        with pytest.raises(DataError, match="class '0' has no row"):
            data.take([]).split(test_fraction=0.5, seed=0)
        for fraction in (0.0, 1.0, -1.0, float("nan")):
            with pytest.raises(UsageError, match="between 0 and 1"):
                data.split(test_fraction=fraction, seed=0)


def test_records_are_not_shown_where_a_data_set_is_printed() -> None:
    frame = pd.DataFrame({"a": [12.34375], "y": ["no"]})
    schema = Schema(features=(Feature(name="a", kind="real", low=0, high=50),), target="y", classes=("no", "yes"))
    assert "12.34375" not in repr(from_frame(frame, schema))
