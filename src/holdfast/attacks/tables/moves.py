"""Proposed rows made into ones that the threat allows, and found ones moved back towards where they came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from holdfast.attacks.tables.feasible import Box, keeps, nearest
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Labels, Matrix, Schema

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Moves:
    """What may be done to some rows: where they come from, the threat, and the boxes that follow from both.

    Args:
        origin: (rows, features) the rows as they are.
        threat: what may change.
        schema: of the rows.
    """

    origin: Matrix
    threat: FeasibleChange
    schema: Schema

    @cached_property
    def box(self) -> Box:
        """What each value could become."""
        return self.threat.box(self.origin, self.schema)

    @cached_property
    def movable(self) -> Mask:
        """(rows, features) what could change at all."""
        return np.asarray((self.box.low < self.box.high) & ~np.isnan(self.origin))

    @cached_property
    def is_category(self) -> Mask:
        """(features,) which features are categories."""
        return np.array([feature.kind == "category" for feature in self.schema.features])

    def settle(self, proposed: Matrix, current: Matrix, rows: Labels, rng: np.random.Generator) -> Matrix:
        """Rows near the proposed ones that the threat allows; where there is none at hand, the row as it stands.

        Args:
            proposed: (n, features).
            current: (n, features) allowed rows to fall back on.
            rows: (n,) the positions of these rows among `origin`.
            rng: decides which of too many swapped categories stay, and which way relations are mended.
        """
        origin, box = self.origin[rows], self.box.take(rows)
        proposed = np.where(self.movable[rows], proposed, origin)
        proposed = self._few_categories(proposed, origin, rng)
        upward = bool(rng.random() < 0.5)
        settled = nearest(proposed, box, self.schema, upward=upward)
        if self.threat.max_cost is not None:
            settled = nearest(self._cheaper(settled, origin), box, self.schema, upward=upward)
        allowed = keeps(settled, self.schema) & self.threat.affordable(origin, settled, self.schema)
        return np.where(allowed[:, None], settled, current)

    def _few_categories(self, proposed: Matrix, origin: Matrix, rng: np.random.Generator) -> Matrix:
        """Undo random swaps of categories beyond the number allowed."""
        proposed[:, self.is_category] = np.rint(proposed[:, self.is_category])
        swapped = (proposed != origin) & self.is_category & ~np.isnan(origin)
        rank = np.where(swapped, rng.random(proposed.shape), 2.0).argsort(axis=1).argsort(axis=1)
        undo = swapped & (rank >= self.threat.max_category_changes)
        return np.where(undo, origin, proposed)

    def _cheaper(self, settled: Matrix, origin: Matrix) -> Matrix:
        """Rows that cost too much with their numbers moved back towards the origin, and swaps undone if need be."""
        limit = self.threat.max_cost or 0.0
        only_swaps = np.where(self.is_category, settled, origin)
        swaps = self.threat.cost(origin, only_swaps, self.schema)
        settled = np.where(self.is_category & (swaps > limit)[:, None], origin, settled)
        left = limit - np.where(swaps > limit, 0.0, swaps)
        numbers = self.threat.cost(origin, np.where(self.is_category, origin, settled), self.schema)
        share = np.minimum(1.0, left / np.maximum(numbers, np.finfo(float).tiny))[:, None]
        moved = origin + share * (settled - origin)
        whole = np.array([feature.kind == "integer" for feature in self.schema.features])
        moved = np.where(whole, origin + np.trunc(moved - origin), moved)
        return np.where(self.is_category, settled, moved)


def shrink(
    moves: Moves,
    X: Matrix,
    rows: Labels,
    *,
    flips: Callable[[Matrix, Labels], Mask],
    steps: int,
    rng: np.random.Generator,
) -> None:
    """Move rows that flip the decision back towards their origin, in place, by bisection, while they still flip it.

    Args:
        moves: what may be done.
        X: (rows, features) the rows of `moves` as they stand.
        rows: the positions of those that flip.
        flips: (changed rows, their positions) to whether each flips.
        steps: of the bisection.
        rng: for settling.
    """
    near, far = np.zeros(len(rows)), np.ones(len(rows))
    start, end = moves.origin[rows], X[rows]
    for _ in range(steps if len(rows) else 0):
        middle = (near + far) / 2
        candidates = start + middle[:, None] * (end - start)
        candidates[:, moves.is_category] = end[:, moves.is_category]
        candidates = moves.settle(candidates, X[rows], rows, rng)
        flipped = flips(candidates, rows)
        X[rows[flipped]] = candidates[flipped]
        far, near = np.where(flipped, middle, far), np.where(flipped, near, middle)
