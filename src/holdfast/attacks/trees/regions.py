"""An ensemble as boxes: the cells into which its thresholds cut each feature, and the box of cells of every leaf.

Cells of all features are numbered one after the other. A whole number's cells begin and end at whole numbers. A leaf
that asks for several intervals of one feature is several boxes, so that a box is one interval for each feature; the
boxes of a tree part the space. One cell more, of a feature that does not exist, stands where a box asks for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Final

import numpy as np

from holdfast.attacks.trees.reach import Flags, Reach
from holdfast.data import Labels, Matrix
from holdfast.errors import UnsupportedError, UsageError
from holdfast.models.trees import Ensemble, Rule, Tree

MAX_BOXES: Final = 2_000_000
"""Boxes of an ensemble; each takes some hundred bytes."""

Interval = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Regions:
    """Cells and boxes.

    Args:
        cell_low: (cells + 1,) where each cell begins.
        cell_high: (cells + 1,) where it ends; that is not in it.
        cell_feature: (cells + 1,) whose it is; the number of features for the last.
        feature: (boxes, width) the features that a box asks for.
        first: (boxes, width) the first cell of each.
        end: (boxes, width) the cell after the last of each; `first` where only a missing value is asked for.
        missing: (boxes, width) whether a missing value is also in the box.
        values: (boxes, outputs) what the leaf adds to the scores.
        starts: (trees,) the first box of each tree.
    """

    cell_low: Matrix
    cell_high: Matrix
    cell_feature: Labels
    feature: Labels
    first: Labels
    end: Labels
    missing: Flags
    values: Matrix
    starts: Labels

    @cached_property
    def tree(self) -> Labels:
        """(boxes,) the tree of each box."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.values)))


def regions(ensemble: Ensemble, reach: Reach) -> Regions:
    """The cells and boxes of an ensemble.

    Raises:
        UsageError: `reach` is about another number of features.
        UnsupportedError: there are more than `MAX_BOXES` boxes.
    """
    if reach.n_features != ensemble.n_features:
        raise UsageError(f"expected a reach over {ensemble.n_features} features, got one over {reach.n_features}")
    cuts = _cuts(ensemble, reach)
    low = np.concatenate([*(np.append(-np.inf, own) for own in cuts), [-np.inf]])
    high = np.concatenate([*(np.append(own, np.inf) for own in cuts), [np.inf]])
    sizes = np.array([len(own) + 1 for own in cuts] + [1])
    offsets = np.cumsum(sizes) - sizes
    boxes: list[_Box] = []
    starts = []
    for tree in ensemble.trees:
        starts.append(len(boxes))
        boxes += _boxes(tree, cuts, reach, missing=[column.missing for column in ensemble.columns])
        if len(boxes) > MAX_BOXES:
            raise UnsupportedError(
                f"expected trees of at most {MAX_BOXES} leaves", hint="attack fewer or smaller trees"
            )
    width = max((len(box.asks) for box in boxes), default=0) or 1
    feature = np.full((len(boxes), width), ensemble.n_features, dtype=np.int64)
    first, length = np.zeros((2, len(boxes), width), dtype=np.int64)
    length[:] = 1
    missing = np.ones((len(boxes), width), dtype=bool)
    for row, box in enumerate(boxes):
        for column, (asked, ((begin, end), also_missing)) in enumerate(box.asks.items()):
            feature[row, column], missing[row, column] = asked, also_missing
            first[row, column], length[row, column] = begin, end - begin
    first += offsets[feature]
    return Regions(
        cell_low=low,
        cell_high=high,
        cell_feature=np.repeat(np.arange(len(sizes)), sizes),
        feature=feature,
        first=first,
        end=first + length,
        missing=missing,
        values=np.array([box.value for box in boxes]).reshape(len(boxes), ensemble.n_outputs),
        starts=np.array(starts, dtype=np.int64),
    )


@dataclass(frozen=True)
class _Box:
    asks: dict[int, tuple[Interval, bool]]
    value: Matrix


@dataclass(frozen=True)
class _Asked:
    """The cells of one feature on a path, as disjoint intervals, and whether a missing value takes the path."""

    intervals: tuple[Interval, ...]
    missing: bool


def _cuts(ensemble: Ensemble, reach: Reach) -> list[Matrix]:
    """The finite cuts of each feature, ascending; those of whole numbers moved up to the next whole number."""
    found: list[set[float]] = [set() for _ in ensemble.columns]
    for tree in ensemble.trees:
        for rule in tree.rules:
            found[rule.feature].update(_edges(rule))
    cuts = [np.array(sorted(edges - {np.inf, -np.inf}), dtype=np.float64) for edges in found]
    return [np.unique(np.ceil(own)) if whole else own for own, whole in zip(cuts, reach.whole, strict=True)]


def _edges(rule: Rule) -> tuple[float, ...]:
    """The edges of a rule; for a category, those around the runs of codes that go left."""
    if rule.categories is None:
        return rule.edges
    ends = np.array([[code, code + 1] for code in sorted(rule.categories)], dtype=np.float64).ravel()
    values, counts = np.unique(ends, return_counts=True)
    return (-np.inf, *map(float, values[counts == 1]))


def _boxes(tree: Tree, cuts: Sequence[Matrix], reach: Reach, *, missing: Sequence[bool]) -> list[_Box]:
    boxes = []
    waiting: list[tuple[int, dict[int, _Asked]]] = [(0 if tree.rules else ~0, {})]
    while waiting:
        node, path = waiting.pop()
        if node < 0:
            boxes += [_Box(asks, tree.leaves[~node]) for asks in _single_intervals(path)]
            continue
        rule = tree.rules[node]
        own, cells = rule.feature, len(cuts[rule.feature]) + 1
        before = path.get(own, _Asked(((0, cells),), missing[own]))
        edges = np.ceil(_edges(rule)) if reach.whole[own] else np.array(_edges(rule))
        places = [int(place) for place in np.searchsorted(cuts[own], edges) + np.isfinite(edges) + (edges == np.inf)]
        for child, odd in zip(tree.children[node], (0, 1), strict=True):
            asked = _Asked(
                _both(before.intervals, _sides(places, cells)[odd]), before.missing and rule.missing_left != bool(odd)
            )
            if asked.intervals or asked.missing:
                waiting.append((int(child), path | {own: asked}))
    return boxes


def _sides(places: Sequence[int], cells: int) -> tuple[list[Interval], list[Interval]]:
    """The cells that go left and right, where edges begin with these cells: even and odd counts of edges."""
    ends = [0, *places, cells]
    between = list(pairwise(ends))
    return between[0::2], between[1::2]


def _both(some: Sequence[Interval], others: Sequence[Interval]) -> tuple[Interval, ...]:
    pairs = ((max(a, c), min(b, d)) for (a, b), (c, d) in product(some, others))
    return tuple((begin, end) for begin, end in pairs if begin < end)


def _single_intervals(path: dict[int, _Asked]) -> list[dict[int, tuple[Interval, bool]]]:
    """The boxes of a path; a missing value is in the first of each feature's intervals, so in one box only."""
    choices = [
        [(interval, asked.missing and place == 0) for place, interval in enumerate(asked.intervals or ((0, 0),))]
        for asked in path.values()
    ]
    return [dict(zip(path, chosen, strict=True)) for chosen in product(*choices)]
