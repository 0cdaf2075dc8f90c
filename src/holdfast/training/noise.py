"""Gaussian noise in whole numbers, from the operating system's random bytes and nothing else.

Floating-point noise gives away low-order bits of what it hides (Mironov, "On significance of the least significant
bits for differential privacy", CCS 2012). Here sums of records are whole numbers S, and the noise is floor(N) of a
normal deviate N. For a whole number S, S + floor(N) = floor(S + N): the result is a function of the Gaussian
mechanism's, so the analysis of the Gaussian mechanism holds for it as it stands.
"""

from __future__ import annotations

import os
from decimal import Decimal, localcontext
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

SCALE_BITS: Final = 36
"""The standard deviation of the noise is 2**36 units, so a unit is far below anything that can be seen."""

MULTIPLICATIVE_GAP: Final = 2.0**-44
"""Each probability of a noise value below is right to within this factor: rounding of exp and of its argument."""
ADDITIVE_GAP: Final = 2.0**-59
"""And to within this amount: what lies beyond nine standard deviations, and the 64 bits of the table."""

_LARGEST_WHOLE: Final = 8


def gaussian_integers(count: int) -> npt.NDArray[np.int64]:
    """`count` independent draws of floor(2**SCALE_BITS * N), N standard normal and below 9 in size.

    Rejection: the whole part k has probability proportional to exp(-k²/2), the fraction x is uniform, and k + x is
    kept with probability exp(-x (2k + x) / 2); their product is proportional to exp(-(k + x)²/2). The fraction has 63
    bits and the scale is a power of two, so the scaling only moves the point and rounds nothing. The idea of drawing
    whole part and fraction apart is Karney's ("Sampling exactly from the normal distribution", 2016).
    """
    kept: list[npt.NDArray[np.int64]] = []
    missing = count
    while missing > 0:
        drawn = _candidates(missing + missing // 2 + 16)
        kept.append(drawn[:missing])
        missing -= len(kept[-1])
    return np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)


def _candidates(count: int) -> npt.NDArray[np.int64]:
    """Those of `count` candidates that the rejection keeps, about 71 in 100."""
    words = np.frombuffer(os.urandom(24 * count), dtype=np.uint64).reshape(3, count)
    whole = np.searchsorted(_cumulative(), words[0], side="right").astype(np.int64)
    negative = (words[1] & np.uint64(1)).astype(bool)
    bits = (words[1] >> np.uint64(1)).astype(np.int64)
    fraction = bits * 2.0**-63
    accepted = words[2] * 2.0**-64 < np.exp(-fraction * (2 * whole + fraction) / 2)
    size = (whole << SCALE_BITS) + (bits >> (63 - SCALE_BITS))
    return np.asarray(np.where(negative, -size - 1, size)[accepted], dtype=np.int64)


@cache
def _cumulative() -> npt.NDArray[np.uint64]:
    """Where in 64 bits each whole part ends, the last one excepted: P(k) proportional to exp(-k²/2)."""
    with localcontext() as context:
        context.prec = 50
        weights = [(Decimal(-k * k) / 2).exp() for k in range(_LARGEST_WHOLE + 1)]
        ends = [sum(weights[: k + 1]) / sum(weights) for k in range(_LARGEST_WHOLE)]
        return np.array([int(end * 2**64) for end in ends], dtype=np.uint64)
