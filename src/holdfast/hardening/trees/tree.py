"""One tree as flat arrays, and the lowest and highest leaves that a box reaches in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from holdfast.data import Labels, Matrix
from holdfast.hardening.trees.box import Box, Mask, Single


@dataclass(frozen=True, kw_only=True, eq=False)
class RobustTree:
    """A binary tree of (nodes,) arrays; a node comes before its children, the root first.

    Args:
        column: the column of a split, -1 for a leaf.
        cut: a split sends a float32 value of at most this to the left.
        left, right: the children of a split, 0 for a leaf.
        value: of a leaf; for a split what it would be as one.
    """

    column: Labels
    cut: Single
    left: Labels
    right: Labels
    value: Matrix

    @property
    def is_leaf(self) -> Mask:
        """(nodes,) which nodes are leaves."""
        return self.column < 0

    def times(self, factor: float) -> RobustTree:
        """The same tree with its values multiplied."""
        return replace(self, value=self.value * factor)

    def extremes(self, box: Box) -> tuple[Matrix, Matrix]:
        """(rows,) the lowest and the highest value of the leaves that each box reaches.

        Both are exact for one tree: the region of a leaf is a box too, and boxes meet where all their intervals do.
        """
        rows = box.low.shape[1]
        lowest, highest = np.full(rows, np.inf), np.full(rows, -np.inf)
        reached: list[Mask] = [np.ones(rows, dtype=bool)] * len(self.column)
        for node, (column, cut) in enumerate(zip(self.column, self.cut, strict=True)):
            here = reached[node]
            if column >= 0:
                reached[self.left[node]] = here & (box.low[column] <= cut)
                reached[self.right[node]] = here & (box.high[column] > cut)
            else:
                np.minimum(lowest, self.value[node], out=lowest, where=here)
                np.maximum(highest, self.value[node], out=highest, where=here)
        return lowest, highest


def worst_scores(trees: Sequence[RobustTree], box: Box, positive: Mask, *, base: float) -> Matrix:
    """(rows,) a score that is no better for its row than any score inside its box.

    The lowest for rows of the positive class and the highest for the others, tree by tree: a bound, because no one
    point need be worst for all trees at once (Andriushchenko and Hein 2019, equation 8).

    Args:
        trees: whose values add up.
        box: the rows.
        positive: (rows,) whose class has scores above 0.
        base: where the sum starts.
    """
    total = np.full(len(positive), base)
    for tree in trees:
        lowest, highest = tree.extremes(box)
        total += np.where(positive, lowest, highest)
    return total
