"""The native noise once more, in NumPy: the same words give the same numbers, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from holdfast.training.release.noise import (
    CELL_BITS,
    CHOOSER_BITS,
    FIRST_BITS,
    ROW,
    SCALE_BITS,
    SPARES,
    Tables,
)

FRACTION_BITS = SCALE_BITS - CELL_BITS


class ReserveEmpty(Exception):
    """More bits are needed than there are."""


def gaussian_row(words: NDArray[np.uint64], tables: Tables) -> NDArray[np.int64]:
    """The numbers that one row of words gives: at most `ROW`, fewer where spares or the reserve run out."""
    slots, thresholds = tables.slots.tolist(), tables.thresholds.tolist()
    candidates, reserve = iter(words[:ROW].tolist()), iter(words[ROW + SPARES :].tolist())
    spares = iter(words[ROW : ROW + SPARES].tolist())
    numbers = []
    for candidate in candidates:
        try:
            number = value(candidate, slots, thresholds, reserve)
            while number is None and (spare := next(spares, None)) is not None:
                number = value(spare, slots, thresholds, reserve)
        except ReserveEmpty:
            break
        if number is None:
            break
        numbers.append(number)
    return np.array(numbers, dtype=np.int64)


def value(word: int, slots: list[int], thresholds: list[int], reserve: Iterator[int]) -> int | None:
    """The number that a candidate stands for; None where it is dropped."""
    index, word = word % 1024, word >> 10
    negative, word = word % 2, word >> 1
    fraction, word = word % 2**FRACTION_BITS, word >> FRACTION_BITS
    chooser, first = word % 2**CHOOSER_BITS, word >> CHOOSER_BITS
    slot, threshold = slots[index], thresholds[index]
    own = chooser < threshold >> (64 - CHOOSER_BITS)
    if chooser == threshold >> (64 - CHOOSER_BITS):
        own = (chooser << 64 | more(reserve)) < threshold << CHOOSER_BITS
    cell = index if own else slot >> 16 & 0xFFFF
    sure = slot & 0xFF if own else slot >> 8 & 0xFF
    if first >= sure:
        x = (fraction + 0.5) * 2.0**-FRACTION_BITS
        decider = (first + np.float64(more(reserve)) * 2.0**-64) * 2.0**-FIRST_BITS
        if not decider < np.exp((2.0 * cell + x) * x * -(2.0 ** -(2 * CELL_BITS + 1))):
            return None
    size = (cell << FRACTION_BITS) + fraction
    return -size - 1 if negative else size


def more(reserve: Iterator[int]) -> int:
    """The next word."""
    word = next(reserve, None)
    if word is None:
        raise ReserveEmpty
    return word
