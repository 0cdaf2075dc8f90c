"""Bins: the few values that a feature has to a model. A value falls into exactly one cell, in float64, for both sides.

A number's cells are the intervals between the cuts of its grid, lower end included; a category has one cell for each
code, and one for all others where the model is open to them; either has a last cell for a missing value where the model
takes one. Numbers go over the cells in one of two codings:

    thermometer  a number as the bits [x < cut], a category and what is missing one bit each; all zero for the other
                 codes. Whatever a function gives for each cell is linear in these bits.
    one-hot      one bit for each cell
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataError, UsageError
from holdfast.limits import MAX_CATEGORIES, MAX_MAGNITUDE

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NumberBins:
    """The cells of a number.

    Args:
        grid: cuts, ascending.
        missing: whether a value may be missing.
        low, high: the range that values may have, both ends included.
    """

    grid: tuple[float, ...] = field(repr=False)
    missing: bool
    low: float = -MAX_MAGNITUDE
    high: float = MAX_MAGNITUDE

    def __post_init__(self) -> None:
        """Refuse cuts out of order, and a range without a value."""
        if not all(a < b for a, b in zip((-np.inf, *self.grid), (*self.grid, np.inf), strict=True)):
            raise UsageError("expected the cuts of a grid ascending and finite")
        if not -np.inf < self.low <= self.high < np.inf:
            raise UsageError(f"expected a finite range, got [{self.low}, {self.high}]")

    @property
    def n_cells(self) -> int:
        """Intervals, and the cell of a missing value."""
        return len(self.grid) + 1 + self.missing

    @property
    def values(self) -> Floats:
        """A value of each cell."""
        return np.array([-np.inf, *self.grid] + [np.nan] * self.missing)

    def cells(self, x: Floats, *, name: str) -> NDArray[np.int64]:
        """The cell of each value; NaN is a missing one.

        Raises:
            DataError: a value is missing where none may, or is outside the range.
        """
        absent = _check_missing(x, self.missing, name)
        outside = ~absent & ~((x >= self.low) & (x <= self.high))
        if outside.any():
            raise DataError(
                f"expected {name} between {self.low:g} and {self.high:g}, got {x[outside][0]:g} in row"
                f" {int(np.flatnonzero(outside)[0])}"
            )
        return np.where(absent, len(self.grid) + 1, np.searchsorted(self.grid, x, side="right"))

    @property
    def n_bits(self) -> int:
        """Bits of the thermometer."""
        return len(self.grid) + self.missing

    def thermometer(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(rows, bits) the bits of each row's cell (rows,): [x < cut] for each cut, then whether it is missing."""
        n = len(self.grid)
        return np.column_stack([cells[:, None] <= np.arange(n), cells[:, None] == np.arange(n + 1, self.n_cells)])

    def linear(self, f: Floats) -> tuple[Floats, Floats]:
        """A function of the cell (cells, …) as weights of the thermometer's bits (bits, …) and a constant (…)."""
        n = len(self.grid)
        steps = f[:n] - f[1 : n + 1]
        return np.concatenate([steps, f[n + 1 :] - f[n]]), f[n]


@dataclass(frozen=True, kw_only=True)
class CategoryBins:
    """The cells of a category.

    Args:
        codes: of the categories, ascending.
        open: whether other codes share a cell, or are refused.
        missing: whether a value may be missing.
    """

    codes: tuple[int, ...] = field(repr=False)
    open: bool
    missing: bool

    def __post_init__(self) -> None:
        """Refuse codes out of order."""
        if not all(a < b for a, b in zip(self.codes, self.codes[1:], strict=False)):
            raise UsageError("expected the codes of a category ascending")
        if not (self.codes or self.open) or len(self.codes) > MAX_CATEGORIES:
            raise UsageError(f"expected 1 to {MAX_CATEGORIES} codes of a category, got {len(self.codes)}")

    @property
    def n_cells(self) -> int:
        """Codes, the cell of the others, the cell of a missing value."""
        return len(self.codes) + self.open + self.missing

    @property
    def values(self) -> Floats:
        """A value of each cell; for the others a code that no category has."""
        return np.array(
            [*self.codes] + [min((0, *self.codes)) - 1] * self.open + [np.nan] * self.missing, dtype=np.float64
        )

    def cells(self, x: Floats, *, name: str) -> NDArray[np.int64]:
        """The cell of each value; NaN is a missing one.

        Raises:
            DataError: a value is missing where none may, is no code, or is one that the model does not know.
        """
        absent = _check_missing(x, self.missing, name)
        if not (absent | (x == np.floor(x))).all():
            raise DataError(f"expected whole numbers as categories of {name}, got others")
        codes = np.array([*self.codes, np.inf])
        cells = np.searchsorted(codes, np.where(absent, np.inf, x))
        known = absent | (codes[np.minimum(cells, len(self.codes))] == x)
        if not self.open and not known.all():
            row = int(np.flatnonzero(~known)[0])
            raise DataError(f"expected a category of {name} that the model knows, got {x[row]:g} in row {row}")
        cells = np.where(known, cells, len(self.codes))
        return np.where(absent, len(self.codes) + self.open, cells)

    @property
    def n_bits(self) -> int:
        """Bits of the thermometer."""
        return len(self.codes) + self.missing

    def thermometer(self, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(rows, bits) the bits of each row's cell (rows,): which code it is, then whether it is missing."""
        own = np.arange(self.n_cells)
        return np.asarray(cells[:, None] == own[(own != len(self.codes)) | (not self.open)])

    def linear(self, f: Floats) -> tuple[Floats, Floats]:
        """A function of the cell (cells, …) as weights of the thermometer's bits (bits, …) and a constant (…)."""
        n = len(self.codes)
        if not self.open:
            return f, np.zeros_like(f[0])
        return np.delete(f, n, axis=0) - f[n], f[n]


Bins: TypeAlias = NumberBins | CategoryBins


def _check_missing(x: Floats, may_be_missing: bool, name: str) -> NDArray[np.bool_]:  # noqa: FBT001
    absent = np.isnan(x)
    if absent.any() and not may_be_missing:
        row = int(np.flatnonzero(absent)[0])
        raise DataError(f"expected a value of {name}, got a missing one in row {row}, which the model does not know")
    return absent
