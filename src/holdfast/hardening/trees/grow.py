"""Growing one tree against an attacker who moves every row inside its box.

A split is judged at the worst point of each row (Andriushchenko and Hein 2019, section 4, with the second-order loss of
Chen and Guestrin 2016 in place of the exponential one). If the right side has the larger value, a positive row goes
left wherever its box reaches, and a negative row right: that is an ordinary split with each positive row at the low end
of its box and each negative row at the high end. If the left side has it, the ends change places. Both are tried, and
each is accepted only where its values come out in the order that was assumed, so the judgement is exact.
Below a split, a row belongs to every side that its box reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.data import Labels, Matrix
from holdfast.hardening.trees.box import Mask
from holdfast.hardening.trees.places import Places
from holdfast.hardening.trees.tree import RobustTree

_LEAST_GAIN: Final = 1e-9
"""Of the score of a node; a smaller one is rounding."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How far trees grow.

    Args:
        depth: splits on a path, at most.
        l2: added to the curvature of each leaf.
        min_weight: curvature that each side of a split needs.
        offered: columns that a split chooses from, drawn anew for each; None for all of them.
    """

    depth: int
    l2: float
    min_weight: float
    offered: int | None = None


@dataclass(frozen=True)
class _Split:
    """A split with the values of its two sides, and what it gains."""

    gain: float
    column: int
    cut: int
    values: tuple[float, float]


def grow(
    places: Places,
    positive: Mask,
    gradient: Matrix,
    curvature: Matrix,
    *,
    growth: Growth,
    rng: np.random.Generator | None = None,
) -> RobustTree:
    """The tree whose leaves are Newton steps at the worst points, split greedily.

    Args:
        places: of the boxes of the rows among the cuts.
        positive: (rows,) whose class an attacker wants to lower the values of; those of the others it wants to raise.
        gradient: (rows,) of the loss by the score, at the worst score so far.
        curvature: (rows,) likewise.
        growth: how far.
        rng: draws the columns that each split is offered, where not all are.
    """
    both = np.stack([gradient, curvature], axis=1)
    weights = np.hstack([both * positive[:, None], both * ~positive[:, None]])
    draft = _Draft(_value(both.sum(axis=0), growth.l2))
    waiting = [(0, np.arange(len(positive)), growth.depth)]
    while waiting:
        node, rows, depth = waiting.pop()
        split = _best_split(places, rows, weights[rows], growth, rng) if depth else None
        if split is not None:
            left, right = draft.split(node, split, float(places.cuts[split.column, split.cut]))
            goes_left = places.low.places[split.column, rows] <= split.cut
            goes_right = places.high.places[split.column, rows] > split.cut
            waiting += [(right, rows[goes_right], depth - 1), (left, rows[goes_left], depth - 1)]
    return draft.tree()


def _best_split(
    places: Places, rows: Labels, weights: Matrix, growth: Growth, rng: np.random.Generator | None
) -> _Split | None:
    """The split of these rows that gains most, or None where none gains."""
    allowed = np.isfinite(places.cuts)
    if growth.offered is not None and rng is not None:
        drawn = rng.permutation(len(allowed))[: growth.offered]
        allowed &= np.isin(np.arange(len(allowed)), drawn)[:, None]
    low, high = places.low.sums(rows, weights), places.high.sums(rows, weights)
    total = weights.sum(axis=0).reshape(2, 2).sum(axis=0)
    rising = _scan(low[..., :2] + high[..., 2:], total, allowed, growth, rising=True)
    falling = _scan(high[..., :2] + low[..., 2:], total, allowed, growth, rising=False)
    best = max(rising, falling, key=lambda split: split.gain)
    score = total[0] * -_value(total, growth.l2)
    return best if best.gain > score + _LEAST_GAIN * max(1.0, score) else None


def _scan(left: Matrix, total: Matrix, allowed: Mask, growth: Growth, *, rising: bool) -> _Split:
    """The best of all cuts, whose left sides have the sums `left` (columns, cuts, 2)."""
    right = total - left
    low, high = _value(left, growth.l2), _value(right, growth.l2)
    in_order = low < high if rising else low > high
    heavy = np.minimum(left[..., 1], right[..., 1]) >= growth.min_weight
    gain = np.where(allowed & in_order & heavy, -left[..., 0] * low - right[..., 0] * high, -np.inf)
    column, cut = divmod(int(gain.argmax()), gain.shape[1])
    return _Split(float(gain[column, cut]), column, cut, (float(low[column, cut]), float(high[column, cut])))


def _value(sums: Matrix, l2: float) -> Matrix:
    """The Newton step of sums (…, 2) of gradient and curvature."""
    return np.asarray(-sums[..., 0] / np.maximum(sums[..., 1] + l2, np.finfo(np.float64).tiny))


class _Draft:
    """A tree while it grows."""

    def __init__(self, value: Matrix) -> None:
        self.column, self.cut, self.left, self.right = [-1], [0.0], [0], [0]
        self.value = [float(value)]

    def split(self, node: int, split: _Split, cut: float) -> tuple[int, int]:
        """Make a leaf into a split; the positions of its children."""
        left = len(self.column)
        self.column[node], self.cut[node], self.left[node], self.right[node] = split.column, cut, left, left + 1
        self.column += [-1, -1]
        self.cut += [0.0, 0.0]
        self.left += [0, 0]
        self.right += [0, 0]
        self.value += split.values
        return left, left + 1

    def tree(self) -> RobustTree:
        """The tree as it is."""
        return RobustTree(
            column=np.array(self.column, dtype=np.int64),
            cut=np.array(self.cut, dtype=np.float32),
            left=np.array(self.left, dtype=np.int64),
            right=np.array(self.right, dtype=np.int64),
            value=np.array(self.value),
        )
