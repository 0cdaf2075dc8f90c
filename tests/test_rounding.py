"""Bounds are shown so that they never say more than was found."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.drawing.words import share as on_a_card
from holdfast.evidence import Figure
from holdfast.rounding import share

BOUNDS: tuple[Literal["estimate", "upper", "lower"], ...] = ("estimate", "upper", "lower")


@given(value=st.floats(0, 1))
def test_a_bound_in_per_cent_errs_to_its_own_side(value: float) -> None:
    upper, lower = (float(share(value, bound=side).rstrip("%")) for side in BOUNDS[1:])
    assert lower - 1e-6 <= 100 * value <= upper + 1e-6
    assert upper - lower <= 0.1 + 1e-6


@pytest.mark.parametrize("bound", BOUNDS)
@given(value=st.floats(0.001, 0.998))
def test_a_sentence_and_a_card_show_the_same_share(bound: Literal["estimate", "upper", "lower"], value: float) -> None:
    card = on_a_card(Figure(value=value, bound=bound))
    assert float(card.removesuffix("\u00a0%")) == float(share(value, bound=bound).rstrip("%"))
