"""Poisson sampling, done as it is accounted: every record takes part in a step by a coin of its own."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.training.release.noise import RandomWords

RATE_BITS: Final = 32
"""Sampling rates are multiples of 2**-32, so that a coin is exactly as likely as the accountant is told."""
_COINS: Final = 2**17
"""Tossed at once: few enough for the cache."""


def rate_of(batch_size: int, records: int) -> float:
    """The sampling rate with `batch_size` of the records in a step on average, rounded up to a multiple of 2**-32."""
    return float(-(-batch_size * 2**RATE_BITS // records) * 2.0**-RATE_BITS)


class PoissonSampler:
    """The records of one step after the other.

    The coins are those of the operating system (`noise.RandomWords`); no seed repeats them, and they must stay secret.

    Args:
        records: how many there are.
        rate: the probability of each, a multiple of 2**-32.
    """

    def __init__(self, records: int, rate: float) -> None:
        self._records, self._heads = records, int(rate * 2**RATE_BITS)
        self._words = RandomWords(-(-min(records, _COINS) // 2))

    def sample(self) -> NDArray[np.int64]:
        """The numbers of the records in a step, in order, each independent of the others. It may be empty."""
        return np.concatenate([self._heads_from(start) for start in range(0, self._records, _COINS)])

    def _heads_from(self, start: int) -> NDArray[np.int64]:
        coins = min(self._records - start, _COINS)
        tossed = self._words.draw(-(-coins // 2)).view(np.uint32)[:coins]
        return np.flatnonzero(tossed < self._heads) + start
