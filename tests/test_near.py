"""A name that there is not leads to the one that was meant, or to none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.near import did_you_mean

COLUMNS = ["mean radius", "worst radius", "outcome", "Über"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("worst radiu", "worst radius"), ("Outcome", "outcome"), ("ÜBER", "Über"), ("OUTCOMES", "outcome")],
)
def test_the_nearest_name_is_found_whatever_its_capitals(written: str, meant: str) -> None:
    assert did_you_mean(written, COLUMNS) == f"did you mean {meant}?"


@pytest.mark.parametrize("written", ["nope", "", "q"])
def test_nothing_is_guessed_where_nothing_is_near(written: str) -> None:
    assert did_you_mean(written, COLUMNS) == ""


@given(written=st.text(max_size=12), known=st.lists(st.text(max_size=12), max_size=5))
def test_only_what_there_is_is_named(written: str, known: list[str]) -> None:
    hint = did_you_mean(written, known)
    assert hint == "" or hint in {f"did you mean {name}?" for name in known}
