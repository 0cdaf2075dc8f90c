"""The native noise once more, in NumPy: the same words give the same numbers, bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdfast.training.release.noise import CANDIDATES, CELL_BITS, FIRST_BITS, ROW, SCALE_BITS, Tables

FRACTION_BITS = SCALE_BITS - CELL_BITS


def gaussian_row(words: NDArray[np.uint64], tables: Tables) -> NDArray[np.int64]:
    """The numbers that one row of words gives: at most `ROW`, fewer where candidates or the reserve run out."""
    chooser, bits = words[: 2 * CANDIDATES].reshape(-1, 2).T
    reserve = words[2 * CANDIDATES :]
    index = (bits & np.uint64(1023)).astype(np.int64)
    cell = np.where(chooser < tables.thresholds[index], index, tables.aliases[index])
    fraction = ((bits >> np.uint64(11)) & np.uint64(2**FRACTION_BITS - 1)).astype(np.int64)
    first = (bits >> np.uint64(64 - FIRST_BITS)).astype(np.int64)

    unsure = first >= tables.sure[cell]
    place = np.cumsum(unsure) - 1
    enough = ~unsure | (place < len(reserve))
    if not enough.all():
        last = int(np.argmin(enough))
        cell, fraction, first, bits = cell[:last], fraction[:last], first[:last], bits[:last]
        unsure, place = unsure[:last], place[:last]
    rest = np.where(unsure, reserve[np.clip(place, 0, len(reserve) - 1)], 0)
    x = (fraction + 0.5) * 2.0**-FRACTION_BITS
    decider = (first + rest.astype(np.float64) * 2.0**-64) * 2.0**-FIRST_BITS
    kept = ~unsure | (decider < np.exp((2.0 * cell + x) * x * -(2.0 ** -(2 * CELL_BITS + 1))))

    size = (cell << FRACTION_BITS) + fraction
    negative = ((bits >> np.uint64(10)) & np.uint64(1)).astype(bool)
    return np.asarray(np.where(negative, -size - 1, size)[kept][:ROW], dtype=np.int64)
