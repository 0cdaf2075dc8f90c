"""Trees whose leaves are known, for the tests of extraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.data import Feature, Matrix, Schema


def mixed_schema() -> Schema:
    """Two real features, a whole number, and a category that may be missing, without relations."""
    return Schema(
        features=(
            Feature(name="a", kind="real", low=0, high=10),
            Feature(name="b", kind="real", low=0, high=1, nullable=True),
            Feature(name="n", kind="integer", low=0, high=20),
            Feature(name="c", kind="category", categories=("x", "y", "z"), nullable=True),
        ),
        target="t",
        classes=("no", "yes"),
    )


@dataclass
class Node:
    """A split of a feature at a threshold, or of a category against the rest; else a leaf with a probability.

    A missing number goes where the middle of its range goes, as in an encoded row; a missing category with the rest.
    """

    feature: int = -1
    at: float = 0.0
    left: Node | None = None
    right: Node | None = None
    yes: float = 0.0

    def answer(self, row: Matrix) -> float:
        if self.left is None or self.right is None:
            return self.yes
        value = row[self.feature]
        goes_left = value == self.at if self.feature == 3 else (0.5 if np.isnan(value) else value) <= self.at
        return (self.left if goes_left else self.right).answer(row)


def random_tree(rng: np.random.Generator, depth: int) -> Node:
    """A tree whose leaves all answer differently, as the random floats that they are."""
    if depth == 0:
        return Node(yes=float(rng.random()))
    feature = int(rng.integers(4))
    at = [rng.uniform(1, 9), rng.uniform(0.05, 0.95), rng.integers(0, 20), rng.integers(0, 3)][feature]
    return Node(feature, float(at), random_tree(rng, depth - 1), random_tree(rng, depth - 1))


@dataclass
class Tree:
    """The tree as a model."""

    root: Node
    schema: Schema

    def predict_proba(self, X: Matrix) -> Matrix:
        yes = np.array([self.root.answer(row) for row in X])
        return np.column_stack([1 - yes, yes])
