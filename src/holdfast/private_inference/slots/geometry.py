"""Matrices over slots: which slot adds what to which output, in as few diagonals as there is room for.

A row of slots holds the numbers of `interleave` samples side by side: number u of sample s is in slot
`u·interleave + s`, so that every rotation by a multiple of `interleave` moves all samples alike. In the following a
slot is one such number, and there are `columns` of them in each of `rows` rows.

A vector of `period` numbers repeats over the slots. Slot u adds to output `u mod outputs`, and with D diagonals

    y[u] = Σ_{d < D} diagonal_d[u] · x[u + d]

sees D neighbouring numbers of it. All slots of one output see all numbers once if the client rotates the numbers of
block b, of max(period, outputs) slots, by b·D; folding then adds these slots up, and y repeats with period `outputs`.
More copies need fewer diagonals, D = period·outputs / slots at least, and more foldings; D = min(period, outputs) works
on a vector that repeats without rotated copies.

The diagonal method is that of Halevi and Shoup 2014 ("Algorithms in HElib"), and of Juvekar, Vaikuntanathan and
Chandrakasan 2018 ("GAZELLE") for matrices with fewer rows than columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError

Entries = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.generic]]
"""The entries of a matrix at (outputs, inputs), zero outside of it."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a matrix lies over the slots. All figures are powers of two.

    Args:
        rows, columns: the slots of one sample.
        period: numbers of the input in one ciphertext.
        outputs: numbers of the output.
        diagonals: D.

    Raises:
        UsageError: figures that do not fit the slots.
    """

    rows: int
    columns: int
    period: int
    outputs: int
    diagonals: int

    def __post_init__(self) -> None:
        """Refuse what does not fit."""
        figures = (self.rows, self.columns, self.period, self.outputs, self.diagonals)
        if any(n < 1 or n & (n - 1) for n in figures):
            raise UsageError(f"expected powers of two for a matrix over slots, got {figures}")
        if self.diagonals > min(self.period, self.outputs) or self.block > self.columns or self.span > self.slots:
            raise UsageError(f"expected a matrix that fits over the slots, got {figures}")

    @property
    def slots(self) -> int:
        """Slots in all rows."""
        return self.rows * self.columns

    @property
    def block(self) -> int:
        """Slots between two rotations of the input."""
        return max(self.period, self.outputs)

    @property
    def span(self) -> int:
        """Slots that see every number once for every output; it all repeats with this period."""
        return self.period * self.outputs // self.diagonals

    @property
    def foldings(self) -> tuple[int, ...]:
        """Rotations that, each added to what was there, make y repeat with period `outputs`; `columns` swaps rows."""
        return tuple(1 << i for i in range(self.outputs.bit_length() - 1, self.span.bit_length() - 1))

    def gather(self) -> NDArray[np.int64]:
        """Which number of the period each slot holds, (rows, columns)."""
        slot = np.arange(self.slots)
        turned = slot % self.period + slot % self.span // self.block * self.diagonals
        return (turned % self.period).reshape(self.rows, self.columns)

    def matrix_diagonals(self, entries: Entries, *, first: int = 0) -> dict[int, NDArray[np.generic]]:
        """The diagonals (rows, columns) that are not zero, by d; `first` is the number that the period begins with."""
        gathered = self.gather()
        outputs = (np.arange(self.slots) % self.outputs).reshape(gathered.shape)
        every = ((d, entries(outputs, first + np.roll(gathered, -d, axis=1))) for d in range(self.diagonals))
        return {d: diagonal for d, diagonal in every if diagonal.any()}


def power_of_two(number: int) -> int:
    """The smallest power of two that is no smaller."""
    return 1 << max(number - 1, 0).bit_length()
