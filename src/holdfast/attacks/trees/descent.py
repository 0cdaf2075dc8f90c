"""The fast search: flipping a row by moving one feature after the other, and by entering leaves.

A row is a cell for each feature. In one pass over the boxes the change of the margin is known for every cell that one
feature could move to: a box is entered by that move where it is the only demand that it misses, and left where it no
longer meets one. When no single move helps, several features move together, into a leaf that two or more of them kept
the row out of (the neighbourhood of Zhang, Zhang and Hsieh, "An efficient adversarial attack for tree ensembles",
NeurIPS 2020, section 3), and single moves go on from there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.attacks.trees.ball import Ball
from holdfast.attacks.trees.reach import Flags
from holdfast.data import Labels, Matrix

_ROUNDS: Final = 2
_TRIED: Final = 4
"""Leaves entered in one round, those with the lowest margins; more rounds and leaves found next to nothing more."""
_MAX_DEMANDS: Final = 2_000_000
"""Demands of boxes compared at once, which bounds memory."""


def descend(ball: Ball, cells: Labels) -> tuple[Labels, float]:
    """Move one feature at a time, to where the margin falls most, until it flips the row or nothing helps.

    Args:
        ball: what may be done.
        cells: (features + 1,) where to start, all allowed.

    Returns:
        The cells reached and their margin.
    """
    before, reached = np.inf, cells
    while True:
        missed = ball.missed(cells)
        count = missed.sum(axis=1)
        margin = ball.base + float(ball.value[count == 0].sum())
        if not margin < before:  # a gain that was rounding only
            return reached, before
        if margin <= ball.need or not len(count):
            return cells, margin
        gains = _gains(ball, missed, count)
        if ball.max_switches:
            gains[_barred(ball, cells)] = np.inf
        best = int(np.argmin(gains))
        if gains[best] >= 0:
            return cells, margin
        before, reached, cells = margin, cells, cells.copy()
        cells[ball.cell_feature[best]] = best


def flip(ball: Ball, cells: Labels) -> Labels | None:
    """Cells that flip the row, or None where the search finds none."""
    cells, margin = descend(ball, cells)
    seen = {cells.tobytes()}
    for _ in range(_ROUNDS):
        if margin <= ball.need:
            return cells
        found = []
        for entered in _entered(ball, cells)[:_TRIED]:
            reached, margin = descend(ball, entered)
            if margin <= ball.need:
                return reached
            if reached.tobytes() not in seen:
                seen.add(reached.tobytes())
                found.append((margin, reached))
        if not found:
            return None
        margin, cells = min(found, key=lambda pair: pair[0])
    return None


def _gains(ball: Ball, missed: Flags, count: Labels) -> Matrix:
    """(cells + 1,) how the margin changes when the feature of that cell moves there; infinite where it may not."""
    near, inside = count == 1, count == 0
    only = missed[near]
    entered, left = ball.value[near], np.repeat(ball.value[inside], missed.shape[1])
    edges = np.concatenate(
        [ball.first[near][only], ball.end[near][only], ball.first[inside].ravel(), ball.end[inside].ravel()]
    )
    steps = np.bincount(edges, np.concatenate([entered, -entered, left, -left]), len(ball.allowed) + 1)
    given_up = np.bincount(ball.feature[inside].ravel(), left, len(ball.origin.own))
    gains = np.cumsum(steps)[:-1] - given_up[ball.cell_feature]
    return np.where(ball.allowed, gains, np.inf)


def _barred(ball: Ball, cells: Labels) -> Flags:
    """(cells + 1,) the cells of categories that would be switched beside as many as may be."""
    switched = ball.switched(cells)
    full = switched.sum() >= ball.max_switches
    return np.asarray((full & ball.switch & ~switched)[ball.cell_feature])


def _entered(ball: Ball, cells: Labels) -> Labels:
    """(leaves, features + 1) the cells after entering each leaf that several features keep the row out of.

    Each of these features moves to the nearest cell that the leaf asks for. Lowest margin first.
    """
    missed = ball.missed(cells)
    to = np.where(cells[ball.feature] < ball.first, ball.first, ball.end - 1)
    open_ = (missed.sum(axis=1) > 1) & (ball.allowed[to] | ~missed).all(axis=1)
    chosen = np.flatnonzero(open_)
    most = max(1, _MAX_DEMANDS // max(1, missed.size))
    if len(chosen) > most:
        chosen = chosen[np.argsort(ball.value[chosen], kind="stable")[:most]]
    after = np.repeat(cells[None], len(chosen), axis=0)
    rows, columns = np.nonzero(missed[chosen])
    after[rows, ball.feature[chosen][rows, columns]] = to[chosen][rows, columns]
    if ball.max_switches:
        after = after[ball.switched(after).sum(axis=1) <= ball.max_switches]
    return after[np.argsort(ball.margins(after), kind="stable")]
