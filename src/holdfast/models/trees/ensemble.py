"""Tree ensembles, neutral of the library that made them: frozen values, and their scores in float64.

A reader turns what a library wrote into an `Ensemble`; private inference compiles that, and attacks search it. Every
rule of a split is exact in float64 (see `cuts`), so an ensemble takes each row to the leaf to which its library does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataError, UnsupportedError, WireError
from holdfast.limits import MAX_MAGNITUDE
from holdfast.models.links import Link

Key = TypeVar("Key", bound=Hashable)

MAX_TREES: Final = 100_000
"""Trees of one ensemble; what is larger has more leaves than are read."""
MAX_LEAVES: Final = 100_000
"""Leaves of one tree, for the same reason."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """What a feature is to the model.

    Args:
        name: as the model calls it, "" where it does not.
        categories: codes that a category has, ascending; None for a number.
        open: whether the model takes categories beside those.
        missing: whether the model takes a missing value.
        low, high: the range of a number, both ends included, outside which the model is not asked.
    """

    name: str = ""
    categories: tuple[int, ...] | None = None
    open: bool = False
    missing: bool = False
    low: float = -MAX_MAGNITUDE
    high: float = MAX_MAGNITUDE


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which values of a feature go left.

    Args:
        feature: its position.
        edges: ascending: a number goes left where the count of edges up to it is even; one edge is `x < edge`.
        categories: the codes that go left where the feature is a category; None where it is a number.
        missing_left: whether a missing value goes left.
    """

    feature: int
    edges: tuple[float, ...] = ()
    categories: frozenset[int] | None = None
    missing_left: bool = False

    def goes_left(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each value goes left; NaN is a missing one."""
        if self.categories is None:
            left = np.searchsorted(self.edges, x, side="right") % 2 == 0
        else:
            left = np.isin(x, np.array(sorted(self.categories), dtype=np.float64))
        return np.where(np.isnan(x), self.missing_left, left)


@dataclass(frozen=True, eq=False, kw_only=True)
class Tree:
    """A binary tree.

    Args:
        rules: of the splits; the first is the root's.
        children: (splits, 2) where left and right lead: to a split, or to leaf i as ~i.
        leaves: (leaves, outputs) the value of each leaf; a tree without splits has one.
    """

    rules: tuple[Rule, ...] = field(repr=False)
    children: NDArray[np.int64] = field(repr=False)
    leaves: NDArray[np.float64] = field(repr=False)

    def reached(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        """(rows,) the leaf that each row reaches."""
        leaf = np.zeros(len(X), dtype=np.int64)
        waiting = [(0 if self.rules else ~0, np.arange(len(X)))]
        while waiting:
            node, rows = waiting.pop()
            if node < 0:
                leaf[rows] = ~node
            elif len(rows):
                rule, (left, right) = self.rules[node], self.children[node]
                goes = rule.goes_left(X[rows, rule.feature])
                waiting += [(int(left), rows[goes]), (int(right), rows[~goes])]
        return leaf


@dataclass(frozen=True, eq=False, kw_only=True)
class Ensemble:
    """A sum of trees: `scores = base + sum of the leaves reached`.

    Args:
        columns: what the features are.
        trees: at least none.
        base: (outputs,) added to each row's scores.
        link: from scores to predictions.
        classes: names of the classes in order; none for regression. Two classes may share one output.
        kind: what the model is, in words for reports.
        cut_points: the thresholds among which training chose, as cuts, for each feature; none where that is unknown.
        cut: how the library's thresholds become cuts (see `cuts`).
    """

    columns: tuple[Column, ...] = field(repr=False)
    trees: tuple[Tree, ...] = field(repr=False)
    base: NDArray[np.float64] = field(repr=False)
    link: Link
    classes: tuple[str, ...]
    kind: str
    cut: Callable[[NDArray[np.float64]], NDArray[np.float64]] = field(repr=False)
    cut_points: tuple[NDArray[np.float64], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Refuse what is not finite, and trees that do not fit the columns and outputs."""
        n = len(self.columns)
        for tree in self.trees:
            if tree.leaves.shape[1] != len(self.base) or not np.isfinite(tree.leaves).all():
                raise WireError(f"expected finite leaf values of {len(self.base)} outputs in every tree")
            if any(not 0 <= rule.feature < n or np.isnan(rule.edges).any() for rule in tree.rules):
                raise WireError(f"expected every split on one of {n} features, at a number")
        if not np.isfinite(self.base).all():
            raise WireError("expected a finite base score")
        if len(self.trees) > MAX_TREES:
            raise UnsupportedError(f"expected at most {MAX_TREES} trees, got {len(self.trees)}", hint="use fewer trees")

    @property
    def n_features(self) -> int:
        """Features of a row."""
        return len(self.columns)

    @property
    def n_outputs(self) -> int:
        """Scores of a row."""
        return len(self.base)

    @property
    def n_leaves(self) -> int:
        """Leaves of all trees."""
        return sum(len(tree.leaves) for tree in self.trees)

    @property
    def depth(self) -> int:
        """Splits on the longest path, 0 for an ensemble of constants."""
        return max((_depth(tree) for tree in self.trees), default=0)

    def scores(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, outputs) of rows (rows, features) in float64, NaN where a value is missing, before the link.

        Raises:
            DataError: the rows have another shape.
        """
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise DataError(f"expected rows of {self.n_features} features, got an array of shape {X.shape}")
        total = np.tile(self.base, (len(X), 1))
        for tree in self.trees:
            total += tree.leaves[tree.reached(X)]
        return total


def count(value: Any, *, most: int, what: str) -> int:
    """A count out of a file, of which memory is taken.

    Raises:
        WireError: it is below 1 or above `most`.
    """
    if not 1 <= int(value) <= most:
        raise WireError(f"expected 1 to {most} {what} of a model, got {value!r:.80}")
    return int(value)


@dataclass(frozen=True)
class Fork:
    """A split as a reader found it: its rule, and its children as the library names them."""

    rule: Rule
    left: Hashable
    right: Hashable


def grow(root: Key, node: Callable[[Key], Fork | Sequence[float]]) -> Tree:
    """The tree below a root: `node` gives the split of that name, or the values of that leaf.

    Raises:
        WireError: a node is reached twice, so it is no tree.
        UnsupportedError: there are more leaves than are read.
    """
    rules: list[Rule] = []
    children: list[list[int]] = []
    leaves: list[Sequence[float]] = []
    seen = set()
    waiting: list[tuple[Key, int, int]] = [(root, -1, 0)]
    while waiting:
        key, parent, side = waiting.pop()
        if key in seen:
            raise WireError(f"the model's trees are no trees: node {key!r} is reached twice")
        seen.add(key)
        found = node(key)
        if parent >= 0:
            children[parent][side] = len(rules) if isinstance(found, Fork) else ~len(leaves)
        if isinstance(found, Fork):
            waiting += [(found.right, len(rules), 1), (found.left, len(rules), 0)]  # type: ignore[list-item]
            rules.append(found.rule)
            children.append([0, 0])
        else:
            leaves.append(found)
        if len(seen) > 2 * MAX_LEAVES:
            raise UnsupportedError(f"expected trees of at most {MAX_LEAVES} leaves", hint="limit the trees' depth")
    return Tree(
        rules=tuple(rules),
        children=np.array(children, dtype=np.int64).reshape(-1, 2),
        leaves=np.array(leaves, dtype=np.float64),
    )


def _depth(tree: Tree) -> int:
    deepest, waiting = 0, [(0, 1)] if tree.rules else []
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(int(child), depth + 1) for child in tree.children[node] if child >= 0]
    return deepest
