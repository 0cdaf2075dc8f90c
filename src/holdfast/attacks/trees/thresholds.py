"""The thresholds that a row can pass within a ball: the whole numbers of the exact search.

Those of a feature are nested on each side of the row's own cell: who passes one has passed the nearer ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.attacks.trees.ball import Ball
from holdfast.attacks.trees.reach import Flags
from holdfast.data import Labels, Matrix


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The thresholds that boxes know; passing one means to be in its cell or further from the row's own.

    Args:
        cell: (thresholds,) ascending.
        feature: (thresholds,) whose it is.
        up: (thresholds,) whether the cell lies above the row's own.
        known: tree * thresholds + threshold, for each threshold that a box of that tree begins or ends with.
    """

    cell: Labels
    feature: Labels
    up: Flags
    known: Labels


def thresholds_of(ball: Ball) -> Thresholds:
    """Those at which boxes begin and end, if they may be passed."""
    own, feature = ball.origin.own[ball.feature], ball.feature
    tree = np.broadcast_to(ball.tree[:, None], feature.shape)
    above, to_above = ball.first > own, ball.end > own
    below, from_below = ball.end <= own, ball.first <= own
    cell = np.concatenate([ball.first[above], ball.end[to_above], ball.end[below] - 1, ball.first[from_below] - 1])
    owner = np.concatenate([feature[above], feature[to_above], feature[below], feature[from_below]])
    known_by = np.concatenate([tree[above], tree[to_above], tree[below], tree[from_below]])
    kept = np.append(ball.cell_feature, -1)[cell] == owner  # beside the cells of a feature lie those of others
    kept &= np.append(ball.allowed, False)[cell] & (owner < len(ball.origin.x))
    cell, place = np.unique(cell[kept], return_inverse=True)
    feature = ball.cell_feature[cell]
    return Thresholds(cell, feature, cell > ball.origin.own[feature], np.unique(known_by[kept] * len(cell) + place))


def neighbours(thresholds: Thresholds) -> tuple[Labels, Labels]:
    """Pairs of thresholds next to each other on one side of a feature: the nearer to the row, and the further."""
    side = 2 * thresholds.feature + thresholds.up
    low = np.flatnonzero(side[:-1] == side[1:])
    up = thresholds.up[low]
    return np.where(up, low, low + 1), np.where(up, low + 1, low)


def nearest_of(thresholds: Thresholds) -> Labels:
    """The nearest threshold of each side of each feature."""
    further = np.zeros(len(thresholds.cell), dtype=bool)
    further[neighbours(thresholds)[1]] = True
    return np.flatnonzero(~further)


def decoded(ball: Ball, thresholds: Thresholds, passed: Matrix) -> Labels:
    """The cells of the furthest thresholds passed."""
    cells = ball.origin.own.copy()
    beyond = passed > 0.5
    up, down = beyond & thresholds.up, beyond & ~thresholds.up
    np.maximum.at(cells, thresholds.feature[up], thresholds.cell[up])
    np.minimum.at(cells, thresholds.feature[down], thresholds.cell[down])
    return cells
