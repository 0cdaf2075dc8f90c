"""Stealing a tree by finding its paths (Tramèr et al. 2016, section 4.2): an answer gives away the leaf it comes from.

A leaf is a box. From a row in it, each feature is moved by itself to both ends of its range; where the answer changes,
bisection finds the leaf's edge, and the row just beyond is in another leaf, which is explored in turn. Each split has
a leaf on either side that is explored from a row next to it, so all leaves are found where answers differ from leaf to
leaf and no relation of the schema stands in between; random rows check the copy and start the search again where it
is wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.stealing.asking import BATCH_ROWS, Asking
from holdfast.attacks.stealing.learning import Copies
from holdfast.attacks.stealing.leaves import Leaf, LeafCopy, most_trusted_first, same_answers
from holdfast.attacks.synthetic import levelled_rows, synthetic_rows
from holdfast.attacks.tables.feasible import ordered_pairs, ranges
from holdfast.data import Labels, Matrix, Schema

_PRECISION: Final = 2.0**-19
"""How exactly an edge is searched for, as a share of the feature's range."""


class PathFinding:
    """Explores leaf after leaf, checks the copy on fresh rows, and explores from those that it gets wrong.

    Args:
        share: of the queries that are left, how many it may use.
    """

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._leaves: list[Leaf] = []
        self.complete = False
        """Whether a batch of fresh rows, uniform and levelled, was answered as the copy does."""

    def ask(self, asking: Asking, rng: np.random.Generator) -> None:
        """Explore until fresh rows hold no surprise, or the share of the queries is used up."""
        last = asking.left - round(self._share * asking.left)
        rows, answers = asking.X, asking.P
        while True:
            wrong = self._surprises(asking, rows, answers)
            self.complete = len(rows) > 0 and not wrong.any()
            self._explore(asking, deque(zip(rows[wrong], answers[wrong], strict=True)), last)
            if self.complete or asking.left <= last:
                return
            half = BATCH_ROWS // 2
            rows = np.vstack([synthetic_rows(asking.schema, half, rng), levelled_rows(asking.schema, half, rng)])
            answers = asking.ask(rows)

    def _surprises(self, asking: Asking, rows: Matrix, answers: Matrix) -> npt.NDArray[np.bool_]:
        """(rows,) which rows the copy of this moment does not explain."""
        if not self._leaves:
            return np.ones(len(rows), dtype=bool)
        leaves = most_trusted_first(self._leaves, asking.X, asking.P)
        return ~LeafCopy(asking.schema, leaves).explains(rows, answers)

    def _explore(self, asking: Asking, waiting: deque[tuple[Matrix, Matrix]], last: int) -> None:
        """Explore the leaves of rows, and those that come to light."""
        while waiting and asking.left > last:
            row, answer = waiting.popleft()
            if not any(same_answers(leaf.answer, answer) and leaf.outside(row[None])[0] == 0 for leaf in self._leaves):
                leaf, beyond = _leaf_around(asking, row, answer, self._leaves)
                self._leaves.append(leaf)
                waiting.extend(beyond)

    def copies(self, schema: Schema, X: Matrix, P: Matrix, seed: int) -> Copies:
        """The leaves that were known after these answers."""
        del seed
        known = [leaf for leaf in self._leaves if leaf.asked_at <= len(X)]
        return [("path finding", LeafCopy(schema, most_trusted_first(known, X, P)))] if known else []


def _leaf_around(
    asking: Asking, row: Matrix, answer: Matrix, leaves: Sequence[Leaf]
) -> tuple[Leaf, list[tuple[Matrix, Matrix]]]:
    """The leaf that a row lies in, and rows just beyond its edges with their answers."""
    schema, row = asking.schema, row.copy()
    beyond: list[tuple[Matrix, Matrix]] = []
    missing = np.isnan(row)
    if missing.any():
        _fill(asking, row, answer, beyond)
    present = ~np.isnan(row)
    nullable = [f for f, feature in enumerate(schema.features) if feature.nullable and not missing[f]]
    missing[nullable] = _switch(asking, row, answer, [(f, np.nan) for f in nullable], beyond)
    codes = _codes(asking, row, answer, beyond)
    numbers = [int(f) for f in np.flatnonzero(present) if int(f) not in codes]
    low, high = _edges(asking, row, answer, numbers, leaves, beyond)
    leaf = Leaf(low=low, high=high, codes=codes, missing=missing, answer=answer, asked_at=asking.answered)
    return leaf, beyond


def _fill(asking: Asking, row: Matrix, answer: Matrix, beyond: list[tuple[Matrix, Matrix]]) -> None:
    """Put a value where one is missing, in place, if the leaf takes both; a model encodes a gap as the middle."""
    schema = asking.schema
    box = ranges(schema, rows=1)
    for feature in np.flatnonzero(np.isnan(row)).tolist():
        kind = schema.features[feature]
        least, most = _room(row, box.low[0], box.high[0], schema)
        middle = 0.0 if kind.kind == "category" else (kind.low + kind.high) / 2
        value = float(np.clip(np.rint(middle) if kind.kind == "integer" else middle, least[feature], most[feature]))
        if _switch(asking, row, answer, [(feature, value)], beyond)[0]:
            row[feature] = value


def _switch(
    asking: Asking, row: Matrix, answer: Matrix, moves: list[tuple[int, float]], beyond: list[tuple[Matrix, Matrix]]
) -> npt.NDArray[np.bool_]:
    """(moves,) whether the answer stays when one feature takes a value; rows where it does not join `beyond`."""
    rows = np.tile(row, (len(moves), 1))
    for position, (feature, value) in enumerate(moves):
        rows[position, feature] = value
    answers = asking.ask(rows)
    same = same_answers(answers, answer)
    beyond.extend(zip(rows[~same], answers[~same], strict=True))
    return same


def _codes(asking: Asking, row: Matrix, answer: Matrix, beyond: list[tuple[Matrix, Matrix]]) -> dict[int, Labels]:
    """The categories that belong to the leaf, by feature; none where only a missing value does."""
    kinds = asking.schema.features
    categories = {f: len(feature.categories) for f, feature in enumerate(kinds) if feature.kind == "category"}
    others = [(f, c) for f, count in categories.items() for c in range(count) if c != row[f] and not np.isnan(row[f])]
    same = _switch(asking, row, answer, [(f, float(c)) for f, c in others], beyond)
    own = {f: [int(row[f])] if not np.isnan(row[f]) else [] for f in categories}
    for (feature, code), stays in zip(others, same, strict=True):
        if stays:
            own[feature].append(code)
    return {feature: np.array(sorted(codes), dtype=np.int64) for feature, codes in own.items()}


def _edges(
    asking: Asking,
    row: Matrix,
    answer: Matrix,
    numbers: list[int],
    leaves: Sequence[Leaf],
    beyond: list[tuple[Matrix, Matrix]],
) -> tuple[Matrix, Matrix]:
    """(features,) lowest and highest values of the leaf; NaN, which holds nothing, where the row's is missing."""
    schema = asking.schema
    box = ranges(schema, rows=1)
    low, high = np.where(np.isnan(row), np.nan, box.low[0]), np.where(np.isnan(row), np.nan, box.high[0])
    least, most = _room(row, low, high, schema)
    moves = [(f, end) for f in numbers for end in (least[f], most[f]) if end != row[f]]
    said = _moved(asking, row, moves)
    left = ~same_answers(said, answer)
    search = _Search(asking, row, answer, [move for move, leaves_it in zip(moves, left, strict=True) if leaves_it])
    search.said = said[left]
    search.try_known(leaves)
    search.halve()
    for position, feature in enumerate(search.features):
        edge = search.edges[position]
        (low if search.outside[position] < row[feature] else high)[feature] = edge
        across = row.copy()
        across[feature] = search.outside[position]
        beyond.append((across, search.said[position]))
    return low, high


class _Search:
    """Moves out of a leaf: the last value known inside, the first known outside, and the answer there."""

    def __init__(self, asking: Asking, row: Matrix, answer: Matrix, moves: list[tuple[int, float]]) -> None:
        self._asking, self._row, self._answer = asking, row, answer
        self.features = np.array([feature for feature, _ in moves], dtype=np.int64)
        self.inside, self.outside = row[self.features], np.array([end for _, end in moves], dtype=np.float64)
        self.said = np.empty((0, len(answer)))
        kinds = [asking.schema.features[feature] for feature in self.features]
        self._whole = np.array([feature.kind == "integer" for feature in kinds], dtype=bool)
        self._exact = np.array([feature.width for feature in kinds]) * _PRECISION

    @property
    def edges(self) -> Matrix:
        """(moves,) the edges: the last whole number inside, or half-way between the two values."""
        return np.where(self._whole, self.inside, (self.inside + self.outside) / 2)

    def try_known(self, leaves: Sequence[Leaf]) -> None:
        """Splits are shared by many leaves: ask on both sides of the nearest edge that another leaf has there."""
        if not leaves or not len(self.features):
            return
        known = np.stack([edge for leaf in leaves for edge in (leaf.low, leaf.high)])[:, self.features]
        between = (known - self.inside) * (known - self.outside) < 0
        distance = np.where(between, np.abs(known - self.inside), np.inf)
        nearest = distance.argmin(axis=0)
        moves = np.flatnonzero(np.isfinite(distance[nearest, np.arange(len(self.features))]) & ~self._whole)
        edges = known[nearest[moves], moves]
        step = np.sign(self.outside - self.inside)[moves] * self._exact[moves]
        for values in (edges - step, edges + step):
            held = (values - self.inside[moves]) * (values - self.outside[moves]) < 0
            self._learn(moves[held], values[held])

    def halve(self) -> None:
        """Bisect all moves at once, until each is as exact as it shall be."""
        while True:
            middle = (self.inside + self.outside) / 2
            middle[self._whole] = np.trunc((middle - self.inside)[self._whole]) + self.inside[self._whole]
            open_still = (np.abs(self.outside - self.inside) > 2 * self._exact) & (middle != self.inside)
            if not open_still.any():
                return
            self._learn(np.flatnonzero(open_still), middle[open_still])

    def _learn(self, moves: Labels, values: Matrix) -> None:
        """Ask about a value of each of these moves, and draw its bracket in."""
        answers = _moved(self._asking, self._row, list(zip(self.features[moves].tolist(), values, strict=True)))
        same = same_answers(answers, self._answer)
        self.inside[moves[same]] = values[same]
        self.outside[moves[~same]], self.said[moves[~same]] = values[~same], answers[~same]


def _moved(asking: Asking, row: Matrix, moves: list[tuple[int, float]]) -> Matrix:
    """(moves, classes) the answers where one feature takes another value."""
    rows = np.tile(row, (len(moves), 1))
    rows[np.arange(len(moves)), [feature for feature, _ in moves]] = [value for _, value in moves]
    return asking.ask(rows)


def _room(row: Matrix, low: Matrix, high: Matrix, schema: Schema) -> tuple[Matrix, Matrix]:
    """(features,) how far each feature can go by itself before a relation is broken."""
    low, high = low.copy(), high.copy()
    for smaller, larger in ordered_pairs(schema):
        high[smaller] = np.fmin(high[smaller], row[larger])
        low[larger] = np.fmax(low[larger], row[smaller])
    tied = {name for relation in schema.relations if not relation.plain for name in relation.names}
    for feature in map(schema.index, tied):
        low[feature] = high[feature] = row[feature]  # sums and quotients leave a feature no room by itself
    return low, high
