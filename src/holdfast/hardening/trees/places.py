"""Where the ends of each row's box lie among the cuts that a tree may choose from, and sums over rows by these places.

A cut at c sends a value left where it is at most c. A box whose low end has place p reaches the left side of every cut
from p on, and one whose high end has place q lies wholly to the left of every cut from q on. So whatever a split needs
to know is a running sum over places. Most columns have one place that most rows share (an empty pixel, an amount of
zero): it is left out of a sparse matrix, and its sum is what the other places leave of the total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from holdfast.data import Labels, Matrix
from holdfast.hardening.trees.box import Box, Single

Small = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Ends:
    """The places of one end of all boxes.

    Args:
        places: (columns, rows) position of the first cut that is at least the end.
        usual: (columns,) the place that most rows share.
        others: (rows, columns * bins) sparse, 1 at each place that is not the usual one.
    """

    places: Small
    usual: Labels
    others: Any

    def sums(self, rows: Labels, weights: Matrix) -> Matrix:
        """(columns, cuts, k) for each cut, the summed weights (rows, k) of the rows whose place is at most its own."""
        columns, k = len(self.usual), weights.shape[1]
        table = (self.others[rows].T @ weights).reshape(columns, -1, k)
        table[np.arange(columns), self.usual] = weights.sum(axis=0) - table.sum(axis=1)
        return np.cumsum(table, axis=1)[:, :-1]


@dataclass(frozen=True, eq=False)
class Places:
    """The cuts of each column, and the places of both ends of the boxes.

    Args:
        cuts: (columns, bins - 1) ascending; infinite where a column has fewer.
        low, high: the ends.
    """

    cuts: Single
    low: Ends
    high: Ends


def places_of(box: Box, *, bins: int) -> Places:
    """Choose cuts between the ends of the boxes, at most bins - 1 a column, and find the places of the ends."""
    cuts = np.stack([_cuts(np.concatenate(both), bins) for both in zip(box.low, box.high, strict=True)])
    return Places(cuts, _ends(box.low, cuts), _ends(box.high, cuts))


def _cuts(values: Single, bins: int) -> Single:
    """Midway between neighbouring values, those that share the rows out evenly where there are too many."""
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) > bins:
        reached = np.cumsum(counts)
        after = np.unique(np.searchsorted(reached, len(values) * np.arange(1, bins) / bins))
    else:
        after = np.arange(len(levels))
    after = after[after < len(levels) - 1]
    below, above = levels[after], levels[after + 1]
    middle = (below / 2 + above / 2).astype(np.float32)
    chosen = np.full(bins - 1, np.inf, dtype=np.float32)
    chosen[: len(after)] = np.where((middle < above) & (middle >= below), middle, below)
    return chosen


def _ends(values: Single, cuts: Single) -> Ends:
    columns, bins = len(cuts), cuts.shape[1] + 1
    places = np.stack([np.searchsorted(*pair) for pair in zip(cuts, values, strict=True)]).astype(np.uint8)
    usual = np.array([np.bincount(row).argmax() for row in places], dtype=np.int64)
    unusual = (places != usual[:, None]).T
    positions = (places.T + np.arange(columns, dtype=np.int32) * bins)[unusual]
    starts = np.concatenate([[0], np.cumsum(unusual.sum(axis=1))])
    ones = np.ones(len(positions))
    others = sparse.csr_matrix((ones, positions, starts), shape=(values.shape[1], columns * bins))
    return Ends(places, usual, others)
