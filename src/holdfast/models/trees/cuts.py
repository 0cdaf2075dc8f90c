"""Comparisons as one rule. Every split of every library becomes `x < cut` in float64, exactly.

XGBoost rounds a value to float32 and takes the left side below the threshold; LightGBM and histogram gradient boosting
compare in float64 and take the left side up to it; scikit-learn's other trees and ONNX round and take it up to the
threshold. Each of these sides is {x : x < cut} for one float64, as rounding never changes the order of two numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Cuts: TypeAlias = NDArray[np.float64]

_INFINITY: Final = np.float32(np.inf)
_OVERFLOW: Final = 2.0**128 - 2.0**103
"""From here on a float64 rounds to infinity in float32 (IEEE 754, 4.3.1: ties to even)."""


def below(thresholds: ArrayLike) -> Cuts:
    """Cuts for `x < threshold` in float64."""
    return np.asarray(thresholds, dtype=np.float64)


@np.errstate(over="ignore")
def up_to(thresholds: ArrayLike) -> Cuts:
    """Cuts for `x <= threshold` in float64."""
    return np.nextafter(np.asarray(thresholds, dtype=np.float64), np.inf)


@np.errstate(over="ignore")
def below_float32(thresholds: ArrayLike) -> Cuts:
    """Cuts for `float32(x) < threshold`."""
    bounds = np.asarray(thresholds, dtype=np.float64)
    upper = bounds.astype(np.float32)
    upper = np.where(upper < bounds, np.nextafter(upper, _INFINITY), upper)
    return np.asarray(np.where(np.isinf(bounds), bounds, _first_that_rounds_to(upper)))


@np.errstate(over="ignore")
def up_to_float32(thresholds: ArrayLike) -> Cuts:
    """Cuts for `float32(x) <= threshold`."""
    bounds = np.asarray(thresholds, dtype=np.float64)
    upper = bounds.astype(np.float32)
    upper = np.where(upper <= bounds, np.nextafter(upper, _INFINITY), upper)
    return np.asarray(np.where(np.isinf(bounds), bounds, _first_that_rounds_to(upper)))


@np.errstate(over="ignore")
def largest_float32_below(cuts: ArrayLike) -> NDArray[np.float32]:
    """Thresholds t in float32: a float32 number is `x < cut` just where it is `x <= t`."""
    bounds = np.asarray(cuts, dtype=np.float64)
    nearest = bounds.astype(np.float32)
    return np.where(nearest < bounds, nearest, np.nextafter(nearest, -_INFINITY))


@np.errstate(over="ignore", invalid="ignore")
def _first_that_rounds_to(upper: NDArray[np.float32]) -> Cuts:
    """The smallest float64 that rounds to a float32 number or more: the middle below it, or its neighbour."""
    lower = np.nextafter(upper, -_INFINITY).astype(np.float64)
    middle = (lower + upper.astype(np.float64)) / 2
    middle = np.where(np.isposinf(upper), _OVERFLOW, np.where(np.isneginf(lower), -_OVERFLOW, middle))
    return np.asarray(np.where(middle.astype(np.float32) >= upper, middle, np.nextafter(middle, np.inf)))


def smallest_that(reaches: Callable[[Cuts], NDArray[np.bool_]], low: Cuts, high: Cuts) -> Cuts:
    """The smallest numbers from low to high for which a condition holds that then holds for all larger ones.

    Each is found exactly, by halving the float64 numbers between; infinite where all of the range do, or none does.
    """
    below, above = _place(low), _place(high)
    all_do, none_does = reaches(low), ~reaches(high)
    while (below < above).any():
        middle = (below >> 1) + (above >> 1) + (below & above & 1)
        there = reaches(_value(middle))
        below, above = np.where(there, below, np.minimum(middle + 1, above)), np.where(there, middle, above)
    return np.select([all_do, none_does], [np.float64(-np.inf), np.float64(np.inf)], _value(above))


def _place(values: Cuts) -> NDArray[np.int64]:
    """Positions of float64 numbers in their order (IEEE 754: the bits of one sign are ordered)."""
    bits = (values + 0.0).view(np.int64)
    return np.where(bits >= 0, bits, np.int64(-(2**63)) - bits)


def _value(places: NDArray[np.int64]) -> Cuts:
    """The inverse of `_place`."""
    return np.where(places >= 0, places, np.int64(-(2**63)) - places).view(np.float64)
