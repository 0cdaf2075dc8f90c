"""The first guess at a table's meaning: right where it can be, with a reason where it is not plain."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import TableGuess, inspect_table, load, read_table, tumour_frame
from holdfast.errors import DataError, UnsupportedError

ROWS = 60
RNG = np.random.default_rng(0)


def guess(target: Any = None, **columns: Any) -> TableGuess:
    target = ["no", "yes"] * (ROWS // 2) if target is None else target
    return inspect_table(pd.DataFrame({"x": RNG.random(ROWS), **columns, "y": target}), target="y")


def feature(name: str, values: Any) -> Any:
    found = [item for item in guess(**{name: values}).features if item.feature.name == name]
    assert found, "the column was left out"
    return found[0]


def reason_out(name: str, values: Any) -> str:
    found = [item.reason for item in guess(**{name: values}).excluded if item.name == name]
    assert found, "the column was kept"
    return found[0]


def test_kinds_are_told_by_the_values() -> None:
    assert feature("a", RNG.random(ROWS)).feature.kind == "real"
    assert feature("a", RNG.integers(0, 90, ROWS)).feature.kind == "integer"
    assert feature("a", RNG.integers(0, 90, ROWS).astype(float)).feature.kind == "integer"
    assert feature("a", [True, False] * (ROWS // 2)).feature.categories == ("False", "True")
    assert feature("a", ["red", "blue", "red"] * (ROWS // 3)).feature.categories == ("blue", "red")
    assert feature("a", pd.Categorical(["b", "a"] * (ROWS // 2))).feature.categories == ("a", "b")


def test_ranges_are_rounded_outward_to_two_digits_and_marked_as_read_from_data() -> None:
    values = np.linspace(143.7, 2501.2, ROWS)
    found = feature("a", values).feature
    assert (found.low, found.high, found.range_source) == (140.0, 2600.0, "data")
    found = feature("a", -values / 1e6).feature
    assert (found.low, found.high) == (-0.0026, -0.00014)


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
def test_a_guessed_range_holds_its_values_in_two_digits(one: float, two: float) -> None:
    if one == two:
        return
    frame = pd.DataFrame({"a": [one, two] * 2, "y": [0, 1] * 2})
    found = inspect_table(frame, target="y").features[0].feature
    assert found.low <= min(one, two) < max(one, two) <= found.high
    for end in (found.low, found.high):
        assert len(Decimal(repr(end)).normalize().as_tuple().digits) <= 2


def test_missing_values_make_a_feature_nullable_with_a_count() -> None:
    found = feature("a", [1.5, None, 2.5] * (ROWS // 3))
    assert found.feature.nullable
    assert found.reason == "20 of 60 values are missing"


@pytest.mark.parametrize(
    "name", ["age", "Sex", "GENDER", "birth_year", "YearOfBirth", "race", "nationality", "customer age"]
)
def test_what_nobody_can_change_is_fixed_by_its_name(name: str) -> None:
    found = feature(name, RNG.integers(1, 9, ROWS))
    assert found.feature.mutability == "fixed"
    assert "nobody can change it" in found.reason


@pytest.mark.parametrize("name", ["percentage", "message", "trace", "sextant", "agency"])
def test_a_word_inside_another_word_fixes_nothing(name: str) -> None:
    assert feature(name, RNG.integers(1, 9, ROWS)).feature.mutability == "free"


LEFT_OUT: dict[str, tuple[str, Any, str]] = {
    "all missing": ("a", [None] * ROWS, "no value in any row"),
    "constant": ("a", [7] * ROWS, "'7' in every row"),
    "constant or missing": ("a", [7, None] * (ROWS // 2), "'7' in every row that has a value"),
    "row numbers": ("a", range(100, 100 + ROWS), "counts the rows"),
    "shuffled row numbers": ("a", RNG.permutation(ROWS), "counts the rows"),
    "identifier by name": ("patient_id", RNG.choice(10**6, ROWS, replace=False), "identifier"),
    "some rows of one customer": ("CustomerNr", [7, 7, *RNG.choice(10**6, ROWS - 2, replace=False)], "identifier"),
    "uuid": ("a", [str(uuid.UUID(int=i * 7919)) for i in range(ROWS)], "another text in every row"),
    "e-mail": ("a", [f"someone{i}@example.org" for i in range(ROWS)], "e-mail addresses"),
    "iban": ("a", ["DE89370400440532013000", "GB82WEST12345698765432"] * (ROWS // 2), "IBANs"),
    "dates": ("a", pd.date_range("2020-01-01", periods=ROWS), "holds dates"),
    "numbers and a text": ("a", [*map(str, range(ROWS - 1)), "unknown"], "1 values that are none, such as 'unknown'"),
    "long texts": ("a", ["x" * 300, "y" * 300] * (ROWS // 2), "more than 200 characters"),
    "infinite": ("a", [np.inf, *range(ROWS - 1)], "infinite"),
    "beyond sense": ("a", [1e200, *np.arange(ROWS - 1) / 7], "too large to be exact"),
    "beyond exact": ("a", RNG.integers(2**54, 2**60, ROWS), "too large to be exact"),
    "lists": ("a", [[1], [2]] * (ROWS // 2), "neither numbers nor texts"),
}


@pytest.mark.parametrize(("name", "values", "reason"), LEFT_OUT.values(), ids=list(LEFT_OUT))
def test_a_column_that_is_no_feature_is_left_out_with_a_reason(name: str, values: Any, reason: str) -> None:
    assert reason in reason_out(name, values)


def test_many_different_texts_are_no_category() -> None:
    frame = pd.DataFrame({"a": [f"t{i % 150}" for i in range(600)], "x": RNG.random(600), "y": [0, 1] * 300})
    assert "150 different texts" in inspect_table(frame, target="y").excluded[0].reason


def test_codes_with_an_identifiers_name_and_few_values_stay() -> None:
    assert feature("admission_type_id", RNG.integers(1, 9, ROWS)).feature.kind == "category"


def test_a_few_whole_numbers_among_many_rows_are_taken_for_codes_and_it_is_said() -> None:
    found = feature("a", [0, 1, 2] * (ROWS // 3))
    assert found.feature.categories == ("0", "1", "2")
    assert "taken for codes" in found.reason
    few_rows = pd.DataFrame({"a": [0, 1] * 10, "y": ["p", "q"] * 10})
    assert inspect_table(few_rows, target="y").features[0].feature.kind == "integer"


class TestRelations:
    def test_are_suggested_where_names_and_all_rows_say_so(self) -> None:
        low = RNG.random(ROWS)
        found = guess(min_rate=low, max_rate=low + RNG.random(ROWS))
        assert [str(relation) for relation in found.relations] == ["min_rate <= max_rate"]

    def test_are_not_suggested_where_one_row_breaks_them(self) -> None:
        low = RNG.random(ROWS)
        high = low + RNG.random(ROWS)
        high[17] = low[17] - 0.1
        assert guess(min_rate=low, max_rate=high).relations == ()

    def test_of_the_tumour_data_are_the_ten_of_its_schema(self) -> None:
        found = inspect_table(tumour_frame(), target="diagnosis")
        assert len(found.relations) == 10
        assert all(r.left.startswith("mean") and r.right.startswith("worst") for r in found.relations)


class TestTarget:
    def test_classes_are_sorted_with_their_counts(self) -> None:
        found = guess(target=["b"] * 20 + ["a"] * 40)
        assert (found.classes, found.class_counts) == (("a", "b"), (40, 20))

    def test_number_classes_are_sorted_as_numbers(self) -> None:
        assert guess(target=[10, 9, 2] * 20).classes == ("2", "9", "10")
        assert guess(target=[1.0, 0.0] * 30).classes == ("0", "1")

    @pytest.mark.parametrize(
        ("target", "hint"),
        [("diagnose", "mean diagnosis?"), ("DIAGNOSIS", "mean diagnosis?"), ("nope", "as the table")],
    )
    def test_absent_names_the_column_that_was_meant(self, target: str, hint: str) -> None:
        with pytest.raises(DataError, match=f"no column {target!r}, it has mean radius") as refused:
            inspect_table(tumour_frame(), target=target)
        assert hint in refused.value.hint

    def test_one_class_or_missing_values_are_refused(self) -> None:
        with pytest.raises(DataError, match="is 'no' in every row"):
            guess(target=["no"] * ROWS)
        with pytest.raises(DataError, match="2 rows have no value in the target 'y'"):
            guess(target=["no", "yes"] * (ROWS // 2 - 1) + [None, None])

    @pytest.mark.parametrize("target", [np.arange(ROWS), np.linspace(0, 1, ROWS), [0.5, 1.0] * (ROWS // 2)])
    def test_a_quantity_is_not_supported_yet(self, target: Any) -> None:
        with pytest.raises(UnsupportedError, match="classifiers only for now") as caught:
            guess(target=target)
        assert "classes" in caught.value.hint

    def test_a_different_text_in_every_row_is_no_class(self) -> None:
        with pytest.raises(DataError, match="60 classes in 60 rows"):
            guess(target=[f"t{i}" for i in range(ROWS)])


def test_tables_without_rows_features_or_proper_names_are_refused() -> None:
    with pytest.raises(DataError, match="got one without"):
        inspect_table(pd.DataFrame({"a": [], "y": []}), target="y")
    with pytest.raises(DataError, match="'a' is '1' in every row"):
        inspect_table(pd.DataFrame({"a": [1, 1], "y": [0, 1]}), target="y")
    with pytest.raises(DataError, match="there is no other column"):
        inspect_table(pd.DataFrame({"y": [0, 1]}), target="y")
    for frame in (
        pd.DataFrame({0: [1, 2], "y": [0, 1]}),
        pd.DataFrame([[1, 2, 0], [3, 4, 1]], columns=["a", "a", "y"]),
    ):
        with pytest.raises(DataError, match="texts, each once"):
            inspect_table(frame, target="y")


@pytest.mark.parametrize(
    ("name", "target", "out", "fixed"),
    [
        ("uci_default_credit_card.csv.gz", "default.payment.next.month", {"ID"}, {"SEX", "AGE"}),
        ("phishing_url_hannousse_B_05_2020.csv.gz", "status", {"index", "nb_or"}, {"domain_age"}),
        (
            "uci_diabetes_130us_readmission.csv.gz",
            "readmitted",
            {"encounter_id", "patient_nbr", "examide"},
            {"race", "gender", "age"},
        ),
    ],
)
def test_real_tables_load_under_their_own_guess(
    real_data: Callable[[str], Path], name: str, target: str, out: set[str], fixed: set[str]
) -> None:
    frame = read_table(real_data(name)).iloc[:20_000]
    found = inspect_table(frame, target=target)
    assert out <= {column.name for column in found.excluded}
    assert {item.feature.name for item in found.features if item.feature.mutability == "fixed"} == fixed
    assert len(load(frame, found.schema)) == len(frame)
