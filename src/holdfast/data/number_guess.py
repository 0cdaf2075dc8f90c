"""What the numbers of a column read like: codes, whole numbers or any, and in which range."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

import numpy as np
import pandas as pd

from holdfast import limits

_SIGNIFICANT_DIGITS: Final = 2
_MOST_CODES: Final = 12
_MANY_ROWS: Final = 50


def few_codes(values: pd.Series[Any]) -> int:
    """How many different whole numbers a column has, where so few among so many rows read like codes; else 0."""
    if values.dtype.kind not in "iuf" or has_fractions(values) or len(values) < _MANY_ROWS:
        return 0
    different = int(values.nunique())
    return different if different <= _MOST_CODES else 0


def has_fractions(values: pd.Series[Any]) -> bool:
    """Whether any of the numbers is not whole."""
    if values.dtype.kind != "f":
        return False
    numbers = values.dropna().to_numpy()
    return bool((numbers != np.round(numbers)).any())


def whole_range(values: pd.Series[Any]) -> tuple[Any, float, float]:
    """The kind of number and a range that holds all of them, its ends rounded outwards."""
    whole = not has_fractions(values) and float(values.abs().max()) <= limits.MAX_WHOLE / 10  # room to round out
    return (
        "integer" if whole else "real",
        _round_out(float(values.min()), ROUND_FLOOR),
        _round_out(float(values.max()), ROUND_CEILING),
    )


def _round_out(number: float, rounding: str) -> float:
    """The next number of two significant digits, downwards or upwards: 143.5 to 140 or 150."""
    if number == 0:
        return 0.0
    exponent = math.floor(math.log10(abs(number))) - (_SIGNIFICANT_DIGITS - 1)
    return float(Decimal(repr(number)).quantize(Decimal(1).scaleb(exponent), rounding=rounding))
