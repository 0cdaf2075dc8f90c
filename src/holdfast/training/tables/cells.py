"""Cells: each feature cut into a few pieces that hold records enough to be seen through the noise.

public range or categories ── candidates ──> fine pieces     (nothing is read from the records)
noisy counts of the pieces ── merged ──────> cells           (post-processing of one noisy histogram)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.data import Feature, Matrix
from holdfast.training.release.mechanism import Bins

_EVEN: Final = 64
"""Pieces of equal length in which a range is cut, for columns that fill it."""
_OCTAVES: Final = 16
"""Below the longest end of a range, pieces halve towards 0 so often, for columns that crowd near it."""
_NUMBER_PIECES: Final = _EVEN + 2 * (2 * _OCTAVES - 1) + 1
"""Pieces of a number, at most, whatever its range: ends of equal pieces, of halving ones on both sides, and 0."""
_MOST_CELLS: Final = 32
_VISIBLE: Final = 1.0
"""Standard deviations of the noise that a cell's count must reach. One is enough: an empty cell does no harm."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The pieces of one feature: of its range, in order, or its categories; and one more for a missing value.

    Args:
        feature: the feature.
        cuts: ascending; a number is in the piece with as many cuts up to it. A category has none.
    """

    feature: Feature
    cuts: Matrix

    @property
    def present(self) -> int:
        """Pieces without that for a missing value."""
        return len(self.feature.categories) if self.feature.kind == "category" else len(self.cuts) + 1

    def __len__(self) -> int:
        return self.present + self.feature.nullable

    def of(self, values: Matrix) -> Bins:
        """(rows,) the piece that each value is in; a missing one is in the last."""
        missing = np.isnan(values)
        if self.feature.kind == "category":
            found = np.where(missing, 0, values)
        else:
            found = np.searchsorted(self.cuts, values, side="right")
        return np.where(missing, self.present, found).astype(np.int64)


def candidate_cells(feature: Feature) -> Cells:
    """Where a feature may be cut: evenly over its range, and ever closer towards 0."""
    if feature.kind == "category":
        return Cells(feature, np.empty(0))
    even = np.linspace(feature.low, feature.high, _EVEN + 1)
    powers = max(abs(feature.low), abs(feature.high)) * 2.0 ** (-np.arange(1, 2 * _OCTAVES) / 2)
    cuts = np.unique(np.concatenate([even, powers, -powers, [0.0]]))
    return Cells(feature, cuts[(cuts > feature.low) & (cuts < feature.high)])


def most_pieces(features: Sequence[Feature]) -> int:
    """A number of pieces that no feature passes, the same whatever the ranges of numbers are."""
    return max((len(f.categories) if f.kind == "category" else _NUMBER_PIECES) + f.nullable for f in features)


def merged(candidate: Cells, counts: Matrix, *, rows: float, noise: float) -> Cells:
    """Cells of neighbouring pieces that each seem to hold records enough; categories stay as they are.

    Args:
        candidate: the pieces.
        counts: the noisy number of records in each.
        rows: the noisy number of all records.
        noise: standard deviation of the noise in a count.
    """
    ends, size, pieces = [], 0.0, 0
    for end, count in enumerate(counts[: len(candidate.cuts) + 1]):
        size, pieces = size + float(count), pieces + 1
        if size > max(rows / _MOST_CELLS, _VISIBLE * noise * pieces**0.5):
            ends.append(end)
            size, pieces = 0.0, 0
    return Cells(candidate.feature, candidate.cuts[ends[:-1]])  # what is left over joins the last cell
