"""The exact search: flipping a row within a ball as a mixed-integer program, which HiGHS solves (scipy.optimize.milp).

It is the program of Kantchelian, Tygar and Joseph, "Evasion and hardening of tree ensemble classifiers", ICML 2016,
section 3, over what the ball leaves open only: a variable for each threshold that a reachable box knows, and one for
each such box. Here the thresholds of a feature are nested (who passes one has passed the nearer ones), which makes the
relaxation tight: the distance is a sum of steps, and a box counts against every threshold that it lies beyond.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, vstack

from holdfast.attacks.quiet import quiet
from holdfast.attacks.trees.ball import Ball
from holdfast.attacks.trees.reach import Flags
from holdfast.data import Labels, Matrix

_SCORE_UNIT: Final = 1e3
"""The largest margin of a ball in the program's unit; its rows are kept to 1e-6, so margins to a part in 1e9."""
_INFEASIBLE: Final = 2
_SOLVED: Final = 0


@dataclass(frozen=True)
class Answer:
    """What the solver says about a ball.

    Args:
        cells: (features + 1,) that flip the row, the nearest where those were asked for; None where it found none.
        at_least: no flip is nearer than this; infinite where the ball has none.
    """

    cells: Labels | None
    at_least: float


def solve(ball: Ball, *, nearest: bool, at_least: float, time_limit_s: float) -> Answer:
    """Find cells in the ball that flip the row.

    Args:
        ball: what may be done.
        nearest: whether to find the nearest, or any.
        at_least: a distance below which there is known to be none.
        time_limit_s: after which the solver gives up, with what it knows.
    """
    thresholds = _thresholds(ball)
    answer = _minimised(ball, thresholds, nearest=nearest, at_least=at_least, time_limit_s=time_limit_s)
    if answer.status == _INFEASIBLE:
        return Answer(None, np.inf)
    cells = None if answer.x is None else _decoded(ball, thresholds, answer.x[: len(thresholds.cell)])
    if cells is not None and float(ball.margins(cells)) > ball.need:
        cells = None  # the solver's whole numbers are whole up to 1e-6 only, and that was not enough
    if not nearest:
        return Answer(cells, at_least)
    if cells is not None and answer.status == _SOLVED:
        return Answer(cells, ball.origin.distance(cells))
    bound = answer.mip_dual_bound
    return Answer(cells, at_least if bound is None or not np.isfinite(bound) else max(at_least, float(bound)))


@dataclass(frozen=True, eq=False)
class _Thresholds:
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


def _thresholds(ball: Ball) -> _Thresholds:
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
    return _Thresholds(cell, feature, cell > ball.origin.own[feature], np.unique(known_by[kept] * len(cell) + place))


def _minimised(ball: Ball, thresholds: _Thresholds, *, nearest: bool, at_least: float, time_limit_s: float) -> Any:
    """HiGHS's answer. Variables: thresholds passed (0 or 1), boxes (shares), the distance."""
    n, boxes = len(thresholds.cell), len(ball.value)
    system = _System(n + boxes + 1)
    _boxes_of_trees(system, ball, n)
    _boxes_and_thresholds(system, ball, thresholds)
    _order_of_thresholds(system, ball, thresholds)
    scale = _SCORE_UNIT / max(float(np.abs(ball.value).max(initial=0.0)), abs(ball.base), np.finfo(float).tiny)
    system.add(
        np.zeros(boxes, dtype=np.int64),
        n + np.arange(boxes),
        scale * ball.value,
        scale * (ball.need - ball.base),
        rows=1,
    )
    if nearest:
        _steps_of_distance(system, ball, thresholds)
    with quiet():
        return milp(
            np.append(np.zeros(n + boxes), 1.0 if nearest else 0.0),
            constraints=system.constraints(),
            bounds=Bounds(
                np.append(np.zeros(n + boxes), at_least), np.append(np.ones(n + boxes), max(ball.radius, at_least))
            ),
            integrality=np.append(np.ones(n), np.zeros(boxes + 1)),
            options={"time_limit": time_limit_s, "mip_rel_gap": 0.0},
        )


class _System:
    """Rows `A v <= b`, collected block by block."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.blocks: list[Any] = []
        self.limits: list[Matrix] = []

    def add(self, row: Any, column: Any, value: Any, limit: Any, *, rows: int) -> None:
        """A block of so many rows from its entries."""
        self.blocks.append(coo_array((value, (row, column)), shape=(rows, self.width)))
        self.limits.append(np.broadcast_to(np.asarray(limit, dtype=np.float64), (rows,)))

    def constraints(self) -> LinearConstraint:
        """All rows."""
        return LinearConstraint(vstack(self.blocks, format="csr"), -np.inf, np.concatenate(self.limits))


def _boxes_of_trees(system: _System, ball: Ball, n: int) -> None:
    """A row is in one box of each tree: at most and at least."""
    trees, tree = np.unique(ball.tree, return_inverse=True)
    column = n + np.arange(len(tree))
    for sign in (1.0, -1.0):
        system.add(tree, column, np.full(len(tree), sign), sign, rows=len(trees))


def _boxes_and_thresholds(system: _System, ball: Ball, thresholds: _Thresholds) -> None:
    """The boxes of a tree beyond a threshold need it passed, those short of it need it not passed."""
    n, width = len(thresholds.cell), ball.feature.shape[1]
    which, demand = _beside(thresholds.feature, ball.feature.ravel())
    box = demand // width
    key = ball.tree[box] * n + which
    known = np.isin(key, thresholds.known)  # of the other thresholds the program says nothing new
    which, demand, box, key = which[known], demand[known], box[known], key[known]
    first, end = ball.first.ravel()[demand], ball.end.ravel()[demand]
    cell, up = thresholds.cell[which], thresholds.up[which]
    beyond = np.where(up, first >= cell, end <= cell + 1)
    short = np.where(up, end <= cell, first > cell)
    for chosen, sign in ((beyond, -1.0), (short, 1.0)):
        keys, row = np.unique(key[chosen], return_inverse=True)
        rows = np.append(row, np.arange(len(keys)))
        columns = np.append(n + box[chosen], keys % max(n, 1))
        values = np.append(np.ones(len(row)), np.full(len(keys), sign))
        system.add(rows, columns, values, max(sign, 0.0), rows=len(keys))


def _beside(some: Labels, others: Labels) -> tuple[Labels, Labels]:
    """All pairs of places with equal entries."""
    order = np.argsort(others, kind="stable")
    start = np.searchsorted(others[order], some)
    count = np.searchsorted(others[order], some, side="right") - start
    which = np.repeat(np.arange(len(some)), count)
    return which, order[np.arange(len(which)) + np.repeat(start - np.cumsum(count) + count, count)]


def _order_of_thresholds(system: _System, ball: Ball, thresholds: _Thresholds) -> None:
    """Who passes a threshold has passed the nearer ones, and none on the other side; and few categories switch."""
    nearer, further = _neighbours(thresholds)
    n = len(nearer)
    system.add(np.tile(np.arange(n), 2), np.append(further, nearer), np.repeat([1.0, -1.0], n), 0.0, rows=n)
    nearest = _nearest(thresholds)
    features, row = np.unique(thresholds.feature[nearest], return_inverse=True)
    system.add(row, nearest, np.ones(len(nearest)), 1.0, rows=len(features))
    if ball.max_switches:
        switches = nearest[ball.switch[thresholds.feature[nearest]]]
        system.add(
            np.zeros(len(switches), dtype=np.int64), switches, np.ones(len(switches)), float(ball.max_switches), rows=1
        )


def _steps_of_distance(system: _System, ball: Ball, thresholds: _Thresholds) -> None:
    """The distance is at least that of the furthest threshold passed, feature by feature and side by side."""
    cost = ball.origin.cost[thresholds.cell]
    step = cost.copy()
    nearer, further = _neighbours(thresholds)
    step[further] -= cost[nearer]
    sides, row = np.unique(2 * thresholds.feature + thresholds.up, return_inverse=True)
    rows = np.append(row, np.arange(len(sides)))
    columns = np.append(np.arange(len(cost)), np.full(len(sides), system.width - 1))
    system.add(rows, columns, np.append(step, np.full(len(sides), -1.0)), 0.0, rows=len(sides))


def _neighbours(thresholds: _Thresholds) -> tuple[Labels, Labels]:
    """Pairs of thresholds next to each other on one side of a feature: the nearer to the row, and the further."""
    side = 2 * thresholds.feature + thresholds.up
    low = np.flatnonzero(side[:-1] == side[1:])
    up = thresholds.up[low]
    return np.where(up, low, low + 1), np.where(up, low + 1, low)


def _nearest(thresholds: _Thresholds) -> Labels:
    """The nearest threshold of each side of each feature."""
    further = np.zeros(len(thresholds.cell), dtype=bool)
    further[_neighbours(thresholds)[1]] = True
    return np.flatnonzero(~further)


def _decoded(ball: Ball, thresholds: _Thresholds, passed: Matrix) -> Labels:
    """The cells of the furthest thresholds passed."""
    cells = ball.origin.own.copy()
    beyond = passed > 0.5
    up, down = beyond & thresholds.up, beyond & ~thresholds.up
    np.maximum.at(cells, thresholds.feature[up], thresholds.cell[up])
    np.minimum.at(cells, thresholds.feature[down], thresholds.cell[down])
    return cells
