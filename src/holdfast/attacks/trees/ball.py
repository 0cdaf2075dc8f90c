"""One row, and all that can happen to an ensemble's margin within a radius around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.attacks.trees.reach import Flags, Reach
from holdfast.attacks.trees.regions import Regions
from holdfast.data import Labels, Matrix


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a row stands among the cells and boxes.

    Args:
        x: (features,) the row.
        own: (features + 1,) the cell of each value; the last cell for a missing one.
        cost: (cells + 1,) the distance to each cell, infinite where it cannot be reached.
        target: (cells + 1,) the nearest value of each cell.
        feature: (boxes, width) the features that a box asks for, as far as they are not missing.
        first: (boxes, width) the first cell of each.
        end: (boxes, width) the cell after the last of each.
        box_cost: (boxes,) the distance to each box.
    """

    x: Matrix
    own: Labels
    cost: Matrix
    target: Matrix
    feature: Labels
    first: Labels
    end: Labels
    box_cost: Matrix

    def distance(self, cells: Labels) -> float:
        """The distance of these cells (features + 1,)."""
        return float(self.cost[cells].max())

    def moved(self, cells: Labels) -> Matrix:
        """The row with the nearest values in these cells."""
        there = cells[:-1]
        return np.where(self.own[:-1] == there, self.x, self.target[there])


def origin(regions: Regions, reach: Reach, x: Matrix) -> Origin:
    """Where the row `x` (features,) stands; NaN is a missing value, and stays one."""
    nothing = len(regions.cell_feature) - 1
    absent = np.append(np.isnan(x), False)
    cost, target, own = _cells(regions, reach, x)
    own[absent] = nothing
    ignored = absent[regions.feature]
    feature = np.where(ignored, len(x), regions.feature)
    first = np.where(ignored, nothing, regions.first)
    end = np.where(ignored, nothing + 1, regions.end)
    here = own[feature]
    empty = first >= end
    costs = np.where(end <= here, cost[end - 1], np.where(first > here, cost[np.minimum(first, nothing)], 0.0))
    costs[empty | (ignored & ~regions.missing)] = np.inf
    return Origin(x, own, cost, target, feature, first, end, costs.max(axis=1))


def _cells(regions: Regions, reach: Reach, x: Matrix) -> tuple[Matrix, Matrix, Labels]:
    """Of each cell its distance and nearest value, and of each feature its own cell."""
    low, high = regions.cell_low, regions.cell_high
    feature = regions.cell_feature[:-1]
    value = np.append(x[feature], np.nan)
    up, down = low > value, high <= value
    whole = np.append(reach.whole[feature], False)
    below = np.where(whole, high - 1.0, np.nextafter(high, -np.inf))
    target = np.where(up, low, np.where(down, below, value))
    moves = np.append(np.abs(target[:-1] - value[:-1]) / reach.unit[feature], 0.0)
    barred = np.zeros(len(moves), dtype=bool)
    barred[:-1] = (up[:-1] & ~(reach.up[feature] & (target[:-1] <= reach.high[feature]))) | (
        down[:-1] & ~(reach.down[feature] & (target[:-1] >= reach.low[feature]))
    )
    cost = np.where(barred | np.isnan(moves), np.inf, moves)
    here = np.flatnonzero(~up & ~down)  # the row's own cell of each feature, and all cells of a missing value
    own = np.full(len(x) + 1, len(cost) - 1)
    own[regions.cell_feature[here]] = here
    return cost, target, own


@dataclass(frozen=True, eq=False)
class Ball:
    """The boxes of the trees that are not yet decided within a radius, and the margin that the others have together.

    Args:
        origin: the row.
        radius: cells up to this distance may be taken.
        allowed: (cells + 1,) whether a cell may be taken.
        cell_feature: (cells + 1,) whose it is.
        switch: (features + 1,) whether the feature is a category that may be switched.
        max_switches: of one row.
        base: the margin of the decided trees; the margin is the score of the row's class less that of the other.
        need: the decision is flipped where the margin is at most this.
        feature, first, end: (boxes, width) what the boxes ask for.
        value: (boxes,) what each adds to the margin.
        tree: (boxes,) the tree of each, ascending.
    """

    origin: Origin
    radius: float
    allowed: Flags
    cell_feature: Labels
    switch: Flags
    max_switches: int
    base: float
    need: float
    feature: Labels
    first: Labels
    end: Labels
    value: Matrix
    tree: Labels

    def missed(self, cells: Labels) -> Flags:
        """(…, boxes, width) which demands of each box these cells (…, features + 1) do not meet."""
        here = cells[..., self.feature]
        return np.asarray((here < self.first) | (here >= self.end))

    def margins(self, cells: Labels) -> Matrix:
        """(…,) the margin at these cells (…, features + 1)."""
        return np.asarray(self.base + ~self.missed(cells).any(axis=-1) @ self.value)

    def switched(self, cells: Labels) -> Flags:
        """(…, features + 1) which categories are switched at these cells."""
        return np.asarray(self.switch & (cells != self.origin.own))

    def pulled_in(self, cells: Labels) -> Labels:
        """The cells moved towards the row's own until each may be taken."""
        cells = cells.copy()
        while (outside := ~self.allowed[cells]).any():
            cells[outside] += np.sign(self.origin.own - cells)[outside]
        return cells


@dataclass(frozen=True, eq=False)
class Margin:
    """One wrong class for one row, over all trees: what a ball of any radius is cut from.

    Args:
        regions: of the ensemble.
        reach: what features may do.
        origin: the row.
        base: the margin without trees.
        value: (boxes,) what each box adds to the margin.
        need: see `Ball`.
    """

    regions: Regions
    reach: Reach
    origin: Origin
    base: float
    value: Matrix
    need: float

    def lowest(self, radius: float) -> float:
        """A bound below the margin within a radius: every tree at its worst box, whatever the others do."""
        reached = np.where(self.origin.box_cost <= radius, self.value, np.inf)
        return self.base + float(np.minimum.reduceat(reached, self.regions.starts).sum())

    def at_least(self) -> float:
        """The smallest distance at which that bound allows a flip; infinite where none does."""
        distances = np.unique(self.origin.box_cost[np.isfinite(self.origin.box_cost)])
        if self.lowest(distances[-1]) > self.need:
            return float("inf")
        low, high = 0, len(distances) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.lowest(distances[middle]) <= self.need else (middle + 1, high)
        return float(distances[low])

    def ball(self, radius: float) -> Ball:
        """What is not decided within a radius."""
        row, tree = self.origin, self.regions.tree
        inside = row.box_cost <= radius
        most = np.maximum.reduceat(np.where(inside, self.value, -np.inf), self.regions.starts)
        least = np.minimum.reduceat(np.where(inside, self.value, np.inf), self.regions.starts)
        kept = inside & (most > least)[tree]
        return Ball(
            origin=row,
            radius=radius,
            allowed=row.cost <= radius,
            cell_feature=self.regions.cell_feature,
            switch=np.append(self.reach.switch, False),
            max_switches=self.reach.max_switches,
            base=self.base + float(least[most == least].sum()),
            need=self.need,
            feature=row.feature[kept],
            first=row.first[kept],
            end=row.end[kept],
            value=self.value[kept],
            tree=tree[kept],
        )
