"""Poisson sampling, done as it is accounted: every record takes part in a step by a coin of its own."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.training.release.noise import random_words

RATE_BITS: Final = 32
"""Sampling rates are multiples of 2**-32, so that a coin is exactly as likely as the accountant is told."""


def rate_of(batch_size: int, records: int) -> float:
    """The sampling rate with `batch_size` of the records in a step on average, rounded up to a multiple of 2**-32."""
    return float(-(-batch_size * 2**RATE_BITS // records) * 2.0**-RATE_BITS)


def poisson_sample(records: int, rate: float) -> NDArray[np.int64]:
    """The numbers of the records in one step, in order: each with probability `rate`, independently. It may be empty.

    The coins are those of the operating system (`noise.random_words`); no seed repeats them, and they must stay secret.
    """
    coins = random_words((records + 1) // 2).view(np.uint32)[:records]
    return np.flatnonzero(coins < int(rate * 2**RATE_BITS))
