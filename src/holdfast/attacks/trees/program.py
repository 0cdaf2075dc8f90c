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
from scipy.optimize import Bounds, milp

from holdfast.attacks.quiet import quiet
from holdfast.attacks.trees.ball import Ball
from holdfast.attacks.trees.joining import join
from holdfast.attacks.trees.system import System
from holdfast.attacks.trees.thresholds import Thresholds, decoded, nearest_of, neighbours, thresholds_of
from holdfast.attacks.trees.ties import Phantom, Ties
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
        row: (features,) in these cells that keeps the ties; None where there are none, or rounding broke them.
        phantom: of ties, where the answer was none.
    """

    cells: Labels | None
    at_least: float
    row: Matrix | None = None
    phantom: Phantom | None = None


def solve(ball: Ball, *, nearest: bool, at_least: float, time_limit_s: float, ties: Ties | None = None) -> Answer:
    """Find cells in the ball that flip the row.

    Args:
        ball: what may be done.
        nearest: whether to find the nearest, or any.
        at_least: a distance below which there is known to be none.
        time_limit_s: after which the solver gives up, with what it knows.
        ties: what joins the features beside the trees.
    """
    thresholds = thresholds_of(ball)
    answer = _minimised(ball, thresholds, ties, nearest=nearest, at_least=at_least, time_limit_s=time_limit_s)
    if answer.status == _INFEASIBLE:
        return Answer(None, np.inf)
    cells = None if answer.x is None else decoded(ball, thresholds, answer.x[: len(thresholds.cell)])
    if ties is not None and cells is not None:
        cells, row, phantom = _tied(ball, thresholds, ties, cells, answer.x)
        return Answer(cells, _bound(answer, at_least), row, phantom)
    if cells is not None and float(ball.margins(cells)) > ball.need:
        cells = None  # the solver's whole numbers are whole up to 1e-6 only, and that was not enough
    if not nearest:
        return Answer(cells, at_least)
    if cells is not None and answer.status == _SOLVED:
        return Answer(cells, ball.origin.distance(cells))
    return Answer(cells, _bound(answer, at_least))


def _bound(answer: Any, at_least: float) -> float:
    """What the solver knows of the distance, whether it came to an end or not."""
    bound = answer.mip_dual_bound
    return at_least if bound is None or not np.isfinite(bound) else max(at_least, float(bound))


def _tied(
    ball: Ball, thresholds: Thresholds, ties: Ties, cells: Labels, found: Matrix
) -> tuple[Labels | None, Matrix | None, Phantom | None]:
    """The cells and the row of an answer, or what it was instead: its rows are kept up to 1e-6 only."""
    n, passed = len(thresholds.cell), found[: len(thresholds.cell)] > 0.5
    if float(ball.margins(cells)) > ball.need:
        return None, None, Phantom(np.arange(n), passed)
    near = ball.origin.moved(cells)
    room = ties.room(thresholds, passed, near)
    if room is None:
        which = np.flatnonzero(np.isin(thresholds.feature, ties.columns))
        return None, None, Phantom(which, passed[which])
    first = n + len(ball.value) + 1
    return cells, ties.settled(room, near, found[first : first + len(ties.columns)]), None


def _minimised(
    ball: Ball, thresholds: Thresholds, ties: Ties | None, *, nearest: bool, at_least: float, time_limit_s: float
) -> Any:
    """HiGHS's answer. Variables: thresholds passed (0 or 1), boxes (shares), the distance, and those of the ties."""
    n, boxes, joined = len(thresholds.cell), len(ball.value), 0 if ties is None else len(ties.columns)
    system = System(n + boxes + 1 + 2 * joined)
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
        _steps_of_distance(system, ball, thresholds, distance=n + boxes)
    low, high = np.append(np.zeros(n + boxes), at_least), np.append(np.ones(n + boxes), max(ball.radius, at_least))
    whole = np.append(np.ones(n), np.zeros(boxes + 1))
    if ties is not None:
        join(system, ties, ball, thresholds, distance=n + boxes)
        variables = ties.variables
        low, high = np.append(low, variables.low[0]), np.append(high, variables.high[0])
        whole = np.concatenate([whole, ties.whole, np.zeros(joined)])
    cost = np.zeros(system.width)
    cost[n + boxes] = 1.0 if nearest else 0.0

    def answer(*, presolve: bool) -> Any:
        with quiet():
            return milp(
                cost,
                constraints=system.constraints(),
                bounds=Bounds(low, high),
                integrality=whole.astype(np.int64),
                options={"time_limit": time_limit_s, "mip_rel_gap": 0.0, "presolve": presolve},
            )

    if ties is None:
        return answer(presolve=True)
    # HiGHS 1.12 presolved one in eight hundred tied programs to an answer that was not the best one, and called one in
    # ten thousand infeasible that it did not presolve and that had an answer: only where both say so there is none.
    found = answer(presolve=False)
    return answer(presolve=True) if found.status == _INFEASIBLE else found


def _boxes_of_trees(system: System, ball: Ball, n: int) -> None:
    """A row is in one box of each tree: at most and at least."""
    trees, tree = np.unique(ball.tree, return_inverse=True)
    column = n + np.arange(len(tree))
    for sign in (1.0, -1.0):
        system.add(tree, column, np.full(len(tree), sign), sign, rows=len(trees))


def _boxes_and_thresholds(system: System, ball: Ball, thresholds: Thresholds) -> None:
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


def _order_of_thresholds(system: System, ball: Ball, thresholds: Thresholds) -> None:
    """Who passes a threshold has passed the nearer ones, and none on the other side; and few categories switch."""
    nearer, further = neighbours(thresholds)
    n = len(nearer)
    system.add(np.tile(np.arange(n), 2), np.append(further, nearer), np.repeat([1.0, -1.0], n), 0.0, rows=n)
    nearest = nearest_of(thresholds)
    features, row = np.unique(thresholds.feature[nearest], return_inverse=True)
    system.add(row, nearest, np.ones(len(nearest)), 1.0, rows=len(features))
    if ball.max_switches:
        switches = nearest[ball.switch[thresholds.feature[nearest]]]
        system.add(
            np.zeros(len(switches), dtype=np.int64), switches, np.ones(len(switches)), float(ball.max_switches), rows=1
        )


def _steps_of_distance(system: System, ball: Ball, thresholds: Thresholds, *, distance: int) -> None:
    """The distance is at least that of the furthest threshold passed, feature by feature and side by side."""
    cost = ball.origin.cost[thresholds.cell]
    step = cost.copy()
    nearer, further = neighbours(thresholds)
    step[further] -= cost[nearer]
    sides, row = np.unique(2 * thresholds.feature + thresholds.up, return_inverse=True)
    rows = np.append(row, np.arange(len(sides)))
    columns = np.append(np.arange(len(cost)), np.full(len(sides), distance))
    system.add(rows, columns, np.append(step, np.full(len(sides), -1.0)), 0.0, rows=len(sides))
