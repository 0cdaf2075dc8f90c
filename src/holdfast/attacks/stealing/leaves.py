"""Leaves of a tree as an outsider knows them: boxes of values with one answer, and the copy that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.data import Labels, Matrix, Schema

_SAME: Final = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class Leaf:
    """What a tree answers inside a box.

    Args:
        low, high: (features,) of numbers; a category's are not looked at.
        codes: the categories that belong to the box, by feature.
        missing: (features,) whether a missing value belongs to it.
        answer: (classes,) probabilities.
        asked_at: rows that had been answered when it was known.
    """

    low: Matrix
    high: Matrix
    codes: Mapping[int, Labels]
    missing: npt.NDArray[np.bool_]
    answer: Matrix
    asked_at: int

    def outside(self, X: Matrix) -> Labels:
        """(rows,) how many features of each row lie outside the box."""
        inside = (self.low <= X) & (self.high >= X)
        for feature, codes in self.codes.items():
            inside[:, feature] = np.isin(X[:, feature], codes)
        inside |= np.isnan(X) & self.missing
        return np.asarray((~inside).sum(axis=1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class LeafCopy:
    """A model made of leaves: a row gets the answer of the first box that it lies in, else of the least far off."""

    schema: Schema
    leaves: Sequence[Leaf]

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities."""
        outside = np.stack([leaf.outside(X) for leaf in self.leaves])
        return np.asarray(np.stack([leaf.answer for leaf in self.leaves])[outside.argmin(axis=0)])

    def explains(self, X: Matrix, P: Matrix) -> npt.NDArray[np.bool_]:
        """(rows,) whether a row lies in a box and was answered as the copy answers."""
        inside = np.stack([leaf.outside(X) == 0 for leaf in self.leaves]).any(axis=0)
        return np.asarray(inside & same_answers(self.predict_proba(X), P))


def most_trusted_first(leaves: Sequence[Leaf], X: Matrix, P: Matrix) -> list[Leaf]:
    """Leaves by how seldom rows inside their boxes were answered otherwise, of equals the latest first.

    Where two leaves answer alike, a search along one feature runs from one into the other and takes both, and what lies
    between them, for one box.
    """

    def broken(leaf: Leaf) -> float:
        inside = leaf.outside(X) == 0
        return float(np.mean(~same_answers(P[inside], leaf.answer))) if inside.any() else 0.0

    order = sorted(range(len(leaves)), key=lambda number: (broken(leaves[number]), -number))
    return [leaves[number] for number in order]


def same_answers(P: Matrix, answer: Matrix) -> npt.NDArray[np.bool_]:
    """(rows,) whether answers are those of one leaf: the same numbers, apart from how they were written down."""
    return np.asarray((np.abs(P - answer) <= _SAME).all(axis=-1))
