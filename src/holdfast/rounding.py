"""Bounds in figures: rounded the way they err, so that what is shown never says more than what was found."""

from __future__ import annotations

from typing import Literal


def outward(value: float, *, places: int, bound: Literal["estimate", "upper", "lower"]) -> float:
    """A number to so many decimal places: an upper bound rounded up, a lower one down, an estimate to the nearest.

    `places` below 0 round to tens, hundreds and so on.
    """
    near, step = round(value, places), 10.0**-places
    if bound == "estimate" or abs(near - value) <= 1e-9 * step or (near > value) == (bound == "upper"):
        return near
    return round(near + step if bound == "upper" else near - step, places)


def share(value: float, *, bound: Literal["estimate", "upper", "lower"]) -> str:
    """A share between 0 and 1 in per cent, to one decimal, as `outward` rounds: at most 0.6803 is 68.1%."""
    return f"{outward(value, places=3, bound=bound):.1%}"
