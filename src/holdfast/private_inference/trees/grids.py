"""The public grid of an ensemble: its thresholds among decoys, so that the grid does not give them away.

Every number gets the same count of cuts where its thresholds fit; one with more gets a size from a coarse ladder. What
still leaks: such a larger size; where thresholds crowd; and, to someone who has the training rows and repeats the
training's binning, which cuts it could not have chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError
from holdfast.models.trees.ensemble import Column, Ensemble
from holdfast.private_inference.trees.bins import Bins, CategoryBins, NumberBins
from holdfast.private_inference.trees.decoys import decoy_candidates, thresholds_of, with_decoys
from holdfast.private_inference.trees.encoding import BinEncoding, Block

Cuts: TypeAlias = NDArray[np.float64]

WIDTHS: Final = (512, 1_024, 2_048, 4_096)
"""Bits of a row for which trees are compiled; an ensemble takes the first that it fits."""
_FULL: Final = (0.8, 0.9, 1.0)
"""The share of a grid that may be thresholds: the first that fits; the later ones only where a width costs much."""


def choose_bins(ensemble: Ensemble, X: Cuts | None) -> BinEncoding:
    """The thermometer encoding of an ensemble, its decoys taken from rows (rows, features) like those it learned from.

    Raises:
        UnsupportedError: the thresholds do not fit into the largest width.
    """
    thresholds = thresholds_of(ensemble)
    candidates = ensemble.cut_points or decoy_candidates(ensemble, X)
    codes = {j: _codes(ensemble, j, X) for j, c in enumerate(ensemble.columns) if c.categories is not None}
    fixed = sum(len(some) for some in codes.values()) + sum(column.missing for column in ensemble.columns)
    numbers = [j for j in range(ensemble.n_features) if j not in codes]
    width, sizes = _sizes([len(thresholds[j]) for j in numbers], fixed)
    room = dict(zip(numbers, sizes, strict=True))
    grids = with_decoys(thresholds, candidates, [room.get(j, 0) for j in range(ensemble.n_features)], ensemble=ensemble)
    blocks = []
    for j, column in enumerate(ensemble.columns):
        if j in codes:
            bins: Bins = CategoryBins(codes=codes[j], open=column.open, missing=column.missing)
        else:
            grid = tuple(map(float, grids[j]))
            bins = NumberBins(grid=grid, missing=column.missing, low=column.low, high=column.high)
        blocks.append(Block(features=(j,), bins=(bins,), coding="thermometer"))
    return BinEncoding(n_features=ensemble.n_features, blocks=tuple(blocks), width=width)


def _codes(ensemble: Ensemble, j: int, X: Cuts | None) -> tuple[int, ...]:
    """The codes of a category: those that the model names, those of its rules, and where it is open those of X."""
    column: Column = ensemble.columns[j]
    codes = set(column.categories or ())
    for tree in ensemble.trees:
        codes.update(code for rule in tree.rules if rule.feature == j for code in rule.categories or ())
    if X is not None and column.open:
        x = X[:, j]
        codes.update(int(code) for code in np.unique(x[np.isfinite(x) & (x >= 0) & (x == np.floor(x))]))
    return tuple(sorted(codes))


def _sizes(counts: Sequence[int], fixed: int) -> tuple[int, list[int]]:
    """The width, and how many cuts each number gets: as many as all others, or more from the ladder."""
    for width in WIDTHS:
        for share in _FULL if width >= 2_048 else _FULL[:1]:
            room = width - fixed
            for common in range(room // max(1, len(counts)), -1, -1):
                sizes = [common if n <= share * common else _ladder(n / share) for n in counts]
                if sum(sizes) <= room:
                    return width, sizes
    raise UnsupportedError(
        f"the trees split at {sum(counts)} different thresholds, and with {fixed} bits for categories and missing"
        f" values they do not fit into {WIDTHS[-1]} bits",
        hint="train with fewer bins (max_bin=64 in XGBoost and LightGBM, max_bins=64 in scikit-learn), or fewer trees",
    )


def _ladder(n: float) -> int:
    """The next of the numbers 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32, 40 and so on."""
    step = 1
    while 8 * step < n:
        step *= 2
    return int(np.ceil(n / step) * step)
