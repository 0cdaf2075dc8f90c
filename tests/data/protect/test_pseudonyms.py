"""Pseudonyms: one for one identifier within a project, nothing in common between projects, nothing to guess with."""

from __future__ import annotations

import pickle
import re
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data.protect import DataKey, ProjectKey, Pseudonyms
from holdfast.data.protect.vault import VaultTransit
from holdfast.errors import DataError, UnsupportedError, UsageError

SHAPE = re.compile("p1[0-9a-f]{32}")
FIXED = ProjectKey(service=DataKey(bytes(range(32))), project="loans")
TEXTS = st.text(max_size=30).filter(lambda text: bool(text.strip()))


@given(TEXTS | st.integers(-(10**30), 10**30))
def test_a_pseudonym_has_one_shape_and_is_the_same_each_time(identifier: str | int) -> None:
    first = Pseudonyms(FIXED).of(identifier)
    assert first is not None
    assert SHAPE.fullmatch(first)
    assert Pseudonyms(FIXED).of(identifier) == first


@given(TEXTS, TEXTS)
def test_two_identifiers_have_two_pseudonyms(one: str, other: str) -> None:
    same = unicodedata.normalize("NFC", one).strip() == unicodedata.normalize("NFC", other).strip()
    assert (Pseudonyms(FIXED).of(one) == Pseudonyms(FIXED).of(other)) is same


def test_none_of_twenty_thousand_collide() -> None:
    numbers = pd.Series(range(20_000))
    replaced = Pseudonyms(FIXED).replace(pd.DataFrame({"id": numbers}), ["id"])["id"]
    assert replaced.nunique() == len(numbers)


@pytest.mark.parametrize(
    "spellings",
    [
        ("Ada", " Ada ", "Ada\t"),
        ("José", "Jose\u0301"),
        (7, 7.0, "7", np.int32(7), np.float64(7), np.uint8(7)),
        (-7, "-7", -7.0),
        (2**53, float(2**53), str(2**53)),
    ],
)
def test_spellings_of_one_identifier_have_one_pseudonym(spellings: tuple[Any, ...]) -> None:
    assert len({Pseudonyms(FIXED).of(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("007", "7"), ("Ada", "ada"), ("7", "7.0"), ("ﬁ", "fi"), ("0", "-0"), ("a b", "ab")]
)
def test_identifiers_that_only_look_alike_have_two(one: str, other: str) -> None:
    assert Pseudonyms(FIXED).of(one) != Pseudonyms(FIXED).of(other)


@pytest.mark.parametrize("nothing", [None, float("nan"), np.nan, pd.NA, pd.NaT, "", "  "])
def test_what_has_no_value_stays_without(nothing: object) -> None:
    assert Pseudonyms(FIXED).of(nothing) is None


@pytest.mark.parametrize(
    "wrong", [True, np.bool_(False), 1.5, float("inf"), 1e300, 2.0**54, b"7", [7], (7,), 1j, pd.Timestamp(0)]
)
def test_what_is_neither_text_nor_whole_number_is_refused(wrong: object) -> None:
    with pytest.raises(DataError, match="expected identifiers that are texts or whole numbers"):
        Pseudonyms(FIXED).of(wrong)


def test_projects_and_keys_cannot_be_linked() -> None:
    people = [f"person {number}" for number in range(2_000)]
    keys = [
        FIXED,
        ProjectKey(service=FIXED.service, project="loan"),
        ProjectKey(service=FIXED.service, project="loans2"),
        ProjectKey(service=DataKey.generate(), project="loans"),
    ]
    made = [{Pseudonyms(key).of(person) for person in people} for key in keys]
    assert len(set().union(*made)) == len(keys) * len(people)


def test_pseudonyms_keep_no_order_and_no_bit_of_the_identifier() -> None:
    """Each of the 128 bits is set for about half of the identifiers, whatever they have in common."""
    made = [str(Pseudonyms(FIXED).of(number)) for number in range(4_096)]
    digests = np.array([list(bytes.fromhex(name[2:])) for name in made], dtype=np.uint8)
    shares = np.unpackbits(digests, axis=1).mean(axis=0)
    assert np.abs(shares - 0.5).max() < 6 / (2 * np.sqrt(len(made)))  # six standard deviations of 128 fair bits
    assert sorted(made) != made


def test_two_tables_of_a_project_still_join() -> None:
    patients = pd.DataFrame({"id": ["007", "12", None], "age": [30, 40, 50]})
    visits = pd.DataFrame({"patient": ["12", "12", "007"], "cost": [1.0, 2.0, 4.0]})
    names = Pseudonyms(FIXED)
    joined = names.replace(visits, ["patient"]).merge(names.replace(patients, ["id"]), left_on="patient", right_on="id")
    assert sorted(zip(joined["age"], joined["cost"], strict=True)) == [(30, 4.0), (40, 1.0), (40, 2.0)]


def test_only_the_columns_that_are_named_change_and_the_table_given_does_not() -> None:
    frame = pd.DataFrame({"id": [1.0, np.nan, 3.0], "age": [1, 2, 3]}, index=[5, 6, 7])
    replaced = Pseudonyms(FIXED).replace(frame, ["id"])
    assert frame["id"].tolist()[0] == 1.0
    assert replaced["age"].tolist() == [1, 2, 3]
    assert replaced.index.tolist() == [5, 6, 7]
    assert replaced["id"].isna().tolist() == [False, True, False]
    assert replaced["id"].iloc[0] == Pseudonyms(FIXED).of("1")


@pytest.mark.parametrize(
    ("column", "why"), [("absent", "expected a column 'absent'"), ("share", "column 'share': expected")]
)
def test_a_column_that_cannot_be_replaced_is_named(column: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        Pseudonyms(FIXED).replace(pd.DataFrame({"id": [1], "share": [0.5]}), [column])


def test_a_key_service_cannot_make_pseudonyms_and_says_what_can() -> None:
    service = VaultTransit("https://vault.example/v1/transit", "master", token="t")
    with pytest.raises(
        UnsupportedError, match="need a master key from a file or the environment, vault:master is neither"
    ):
        Pseudonyms(ProjectKey(service=service))


def test_pseudonyms_do_not_leave_their_process() -> None:
    with pytest.raises(UsageError, match="do not leave their process"):
        pickle.dumps(Pseudonyms(FIXED))
