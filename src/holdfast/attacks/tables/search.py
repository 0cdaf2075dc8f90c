"""Black-box evasion: a random search that only asks the model for probabilities.

Per row: first each feature in turn goes to either end of what the threat allows; then groups of features, large ones
first, jump to ends, between, or back (the idea of the Square attack, Andriushchenko et al. 2020, for tables). A change
is kept where the margin of the true class does not grow. A row that stays stuck starts again from a random corner.
What it finds is real; what it does not find may exist, so it bounds robustness from above only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.oracle import Oracle
from holdfast.attacks.tables.moves import Moves, shrink
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Labels, Matrix

_SHRINK_STEPS: Final = 8
_PATIENCE: Final = 80
"""Queries without gain after which a row starts again."""


@dataclass(frozen=True)
class Found:
    """What a search found: changed rows, whether they flip the decision, and the queries spent on each."""

    X: Matrix
    flipped: npt.NDArray[np.bool_]
    queries: Labels


def search(
    oracle: Oracle, X: Matrix, y: Labels, *, threat: FeasibleChange, max_queries: int, rng: np.random.Generator
) -> Found:
    """Look for feasible changes after which the model no longer says `y`.

    Args:
        oracle: the model; all rows are asked together, once per step.
        X: (rows, features).
        y: (rows,) the classes that the model gives them now.
        threat: what may change.
        max_queries: most queries per row.
        rng: decides every step.
    """
    walk = _Walk(oracle, X, y, threat, rng)
    shrink_steps = min(_SHRINK_STEPS, (max_queries - 1) // 4)
    steps = max_queries - 1 - shrink_steps
    for step in range(steps):
        rows = np.flatnonzero(~walk.flipped & walk.can_move)
        if len(rows) == 0:
            break
        walk.step(rows, step, steps)
    walk.finish(shrink_steps)
    return Found(walk.X, walk.flipped, walk.queries)


class _Walk:
    """The state of a search over many rows at once."""

    def __init__(self, oracle: Oracle, X: Matrix, y: Labels, threat: FeasibleChange, rng: np.random.Generator) -> None:
        self.oracle, self.origin, self.y, self.rng = oracle, X, y, rng
        self.moves = Moves(X, threat, oracle.schema)
        self.box, self.movable = self.moves.box, self.moves.movable
        self.can_move = self.movable.any(axis=1)
        self.order = np.argsort(np.where(self.movable, rng.random(X.shape), 2.0), axis=1)
        self.X = X.copy()
        self.queries = np.ones(len(X), dtype=np.int64)
        self.margin, self.flipped = self._ask(X, y)
        self.stuck_for = np.zeros(len(X), dtype=np.int64)

    def step(self, rows: Labels, step: int, steps: int) -> None:
        """Try one change of each of these rows."""
        sweep = step < 2 * self.movable[rows].sum(axis=1)
        candidates = np.where(sweep[:, None], self._one_end(rows, step), self._group(rows, step / steps))
        restart = self.stuck_for[rows] >= _PATIENCE
        candidates[restart] = self._corner(rows)[restart]
        candidates = self.moves.settle(candidates, self.X[rows], rows, self.rng)
        margin, flipped = self._ask(candidates, self.y[rows])
        self.queries[rows] += 1
        better = margin < self.margin[rows]
        keep = (margin <= self.margin[rows]) | restart | flipped
        self.stuck_for[rows] = np.where(better | restart, 0, self.stuck_for[rows] + 1)
        kept = rows[keep]
        self.X[kept], self.margin[kept], self.flipped[kept] = candidates[keep], margin[keep], flipped[keep]

    def finish(self, steps: int) -> None:
        """Move the rows that flipped back towards where they came from."""

        def flips(X: Matrix, rows: Labels) -> npt.NDArray[np.bool_]:
            self.queries[rows] += 1
            return self._ask(X, self.y[rows])[1]

        rows = np.flatnonzero(self.flipped & (self.queries > 1))
        shrink(self.moves, self.X, rows, flips=flips, steps=steps, rng=self.rng)

    def _ask(self, X: Matrix, y: Labels) -> tuple[Matrix, npt.NDArray[np.bool_]]:
        """How far the class leads the best other one, and whether it has lost."""
        P = self.oracle.predict_proba(X)
        rows = np.arange(len(X))
        others = P.copy()
        others[rows, y] = -1.0
        return P[rows, y] - others.max(axis=1), P.argmax(axis=1) != y

    def _one_end(self, rows: Labels, step: int) -> Matrix:
        """One feature at one end of its box: low at even steps, high at odd ones."""
        candidates = self.X[rows].copy()
        which = self.order[rows, min(step // 2, self.X.shape[1] - 1)]
        ends = self.box.high if step % 2 else self.box.low
        candidates[np.arange(len(rows)), which] = ends[rows, which]
        return candidates

    def _group(self, rows: Labels, progress: float) -> Matrix:
        """A random group of features, smaller as the search goes on, to ends, between, or back."""
        count = self.movable[rows].sum(axis=1, keepdims=True)
        size = np.maximum(1.0, count * 0.5 * (1 - progress) ** 2)
        chosen = self.rng.random((len(rows), self.X.shape[1])) < size / np.maximum(count, 1)
        low, high = self.box.low[rows], self.box.high[rows]
        between = low + self.rng.random(low.shape) * (high - low)
        kind = self.rng.choice(4, size=low.shape, p=[0.35, 0.35, 0.2, 0.1])
        jumps = np.choose(kind, [low, high, between, self.origin[rows]])
        return np.where(chosen, jumps, self.X[rows])

    def _corner(self, rows: Labels) -> Matrix:
        """A random corner of the box."""
        up = self.rng.random((len(rows), self.X.shape[1])) < 0.5
        return np.where(up, self.box.high[rows], self.box.low[rows])
