"""Bounds that travel along arithmetic relations, and rows completed one value at a time.

A relation becomes links. A sum link says w · x <= c over some features; a quotient link says that a feature is at most,
at least or exactly one feature divided by another, positive one. From the bounds of all features but one each link
bounds that one (interval propagation; Lhomme 1993). Every bound is sound: no row that keeps the relations is cut off.
Where no two links share more than one feature it is also tight, so that values chosen one after the other, the bounds
tightened after each, never run into a dead end; elsewhere they can, which the caller checks.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.data import Labels, Matrix, Relation, Schema
from holdfast.data.relation_text import Quotient, Side, Sum

_SLACK: Final = 1e-12
"""By how much a bound has to move, as a share of the values, to be passed on; less is rounding, and never ends."""
_WHOLE_SLACK: Final = 1e-9
"""By how much a bound on a whole number may miss the number, as a share of it."""
_MAX_VISITS: Final = 60
"""How often one link is looked at in one pass; bounds stay sound when that ends early."""


@dataclass(frozen=True, eq=False)
class SumLink:
    """weights · x[columns] <= bound."""

    columns: Labels
    weights: Matrix
    bound: float

    def bounds(self, low: Matrix, high: Matrix) -> tuple[Matrix, Matrix]:
        """(rows, columns) twice: the lowest and the highest value that the others leave each; from their bounds."""
        least = np.where(self.weights > 0, low, high) * self.weights
        least = np.where(np.isnan(least).any(axis=1, keepdims=True), -np.inf, least)  # what is missing binds nothing
        edge = np.zeros((len(low), 1))
        before = np.hstack([edge, np.cumsum(least, axis=1)[:, :-1]])
        after = np.hstack([np.cumsum(least[:, :0:-1], axis=1)[:, ::-1], edge])
        limits = (self.bound - (before + after)) / self.weights
        return np.where(self.weights < 0, limits, -np.inf), np.where(self.weights > 0, limits, np.inf)


@dataclass(frozen=True, eq=False)
class QuotientLink:
    """quotient <= numerator / denominator where `at_most`, quotient >= it where `at_least`, or both."""

    columns: Labels
    at_most: bool
    at_least: bool

    def bounds(self, low: Matrix, high: Matrix) -> tuple[Matrix, Matrix]:
        """(rows, 3) twice: the lowest and the highest value that the other two leave each; from their bounds."""
        (q0, n0, d0), (q1, n1, d1) = low.T, high.T
        lowest, highest = np.full(low.shape, -np.inf), np.full(low.shape, np.inf)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.at_least:
                lowest[:, 0] = np.where(n0 < 0, n0 / d0, n0 / d1)
                highest[:, 1] = np.where(q1 > 0, q1 * d1, q1 * d0)
                # q d >= n: with n > 0 only a large d will do, with q < 0 only a small one
                lowest[:, 2] = np.where((n0 > 0) & (q1 > 0), n0 / q1, -np.inf)
                highest[:, 2] = np.where(q1 < 0, n0 / q1, np.inf)
            if self.at_most:
                highest[:, 0] = np.where(n1 > 0, n1 / d0, n1 / d1)
                lowest[:, 1] = np.where(q0 < 0, q0 * d1, q0 * d0)
                highest[:, 2] = np.minimum(highest[:, 2], np.where(q0 > 0, n1 / q0, np.inf))
                lowest[:, 2] = np.maximum(lowest[:, 2], np.where((n1 < 0) & (q0 < 0), n1 / q0, -np.inf))
        missing = np.isnan(low).any(axis=1)
        lowest[missing], highest[missing] = -np.inf, np.inf
        return lowest, highest


Link = SumLink | QuotientLink
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Network:
    """The links of a schema, and which of them speak of each feature.

    Args:
        links: of all relations.
        touching: for each feature in a relation, the positions of its links.
        whole: (features,) whether values are whole numbers.
        order: the features in relations: whole numbers first, what stands alone before an equality sign last.
    """

    links: tuple[Link, ...]
    touching: dict[int, tuple[int, ...]]
    whole: Mask
    order: tuple[int, ...]


@lru_cache(maxsize=32)
def network(schema: Schema) -> Network:
    """The network of a schema's relations."""
    links = tuple(link for relation in schema.relations for link in _links(relation, schema))
    touching: dict[int, list[int]] = defaultdict(list)
    for position, link in enumerate(links):
        for column in link.columns:
            touching[int(column)].append(position)
    whole = np.array([feature.kind != "real" for feature in schema.features])
    defined = {schema.index(r.left) for r in schema.relations if isinstance(r.left, str) and r.operator == "=="}
    order = sorted(touching, key=lambda column: (not whole[column], column in defined, column))
    return Network(links, {column: tuple(at) for column, at in touching.items()}, whole, tuple(order))


def propagate(low: Matrix, high: Matrix, net: Network, start: Iterable[int]) -> Mask:
    """Tighten bounds in place until nothing changes, beginning with the links at these positions.

    Returns:
        (rows, features) where no value is left. The bounds stay together there, so that nothing runs away.
    """
    waiting = deque(dict.fromkeys(start))
    queued, visits = set(waiting), [0] * len(net.links)
    empty = np.zeros(low.shape, dtype=bool)
    while waiting:
        position = waiting.popleft()
        queued.discard(position)
        if visits[position] >= _MAX_VISITS:
            continue
        visits[position] += 1
        link = net.links[position]
        moved, crossed = _tighten(low, high, link, net.whole)
        empty[:, link.columns] |= crossed
        for column in link.columns[moved].tolist():
            # what a sum bounds is never what it was bounded by, so looking at it again would change nothing
            fresh = {*net.touching[column]} - queued - ({position} if isinstance(link, SumLink) else set())
            waiting.extend(sorted(fresh))
            queued |= fresh
    return empty


def complete(X: Matrix, low: Matrix, high: Matrix, net: Network, *, upward: bool) -> Matrix:
    """Choose values one after the other: the nearest to X that the bounds, tightened after each choice, still allow.

    Args:
        X: (rows, features), inside the bounds.
        low: (rows, features) propagated.
        high: likewise.
        net: the relations.
        upward: whether features are chosen in the order of the schema, or against it; whole numbers come first anyhow.
    """
    X, low, high = X.copy(), low.copy(), high.copy()
    whole = [column for column in net.order if net.whole[column]]
    rest = [column for column in net.order if not net.whole[column]]
    for column in (*whole, *rest) if upward else (*whole[::-1], *rest[::-1]):
        X[:, column] = np.clip(X[:, column], low[:, column], high[:, column])
        if (low[:, column] < high[:, column]).any():
            low[:, column] = high[:, column] = X[:, column]
            propagate(low, high, net, net.touching[column])
    return X


def _tighten(low: Matrix, high: Matrix, link: Link, whole: Mask) -> tuple[Mask, Mask]:
    """Move the bounds of a link's columns, in place.

    Returns:
        (columns,) which moved by more than rounding; (rows, columns) where they would have crossed.
    """
    columns = link.columns
    old_low, old_high, is_whole = low[:, columns], high[:, columns], whole[columns]
    lowest, highest = link.bounds(old_low, old_high)
    if is_whole.any():
        lowest = np.where(is_whole, np.ceil(lowest - _room(lowest)), lowest)
        highest = np.where(is_whole, np.floor(highest + _room(highest)), highest)
    new_low = np.where(lowest > old_low, np.minimum(lowest, old_high), old_low)
    new_high = np.where(highest < old_high, np.maximum(highest, old_low), old_high)
    crossed = (lowest > old_high + _room(old_high)) | (highest < old_low - _room(old_low))
    moved = (new_low - old_low > _SLACK * np.abs(old_low)) | (old_high - new_high > _SLACK * np.abs(old_high))
    # where both ends moved past each other the lower one stays
    low[:, columns], high[:, columns] = new_low, np.fmax(new_high, new_low)
    return np.asarray(moved.any(axis=0)), np.asarray(crossed)


def _room(bound: Matrix) -> Matrix:
    """By how much rounding may carry one bound past another, or past a whole number."""
    return np.asarray(_WHOLE_SLACK * np.maximum(1.0, np.abs(bound)))


def _links(relation: Relation, schema: Schema) -> Iterator[Link]:
    """A relation as links; an equality is two sums or one quotient of both kinds."""
    for quotient, other in ((relation.right, relation.left), (relation.left, relation.right)):
        if isinstance(quotient, Quotient) and isinstance(other, str):
            columns = np.array([schema.index(name) for name in (other, quotient.numerator, quotient.denominator)])
            # written `other op n / d`; turned round where the quotient stands on the left
            below, above = ("<=", ">=") if other is relation.left else (">=", "<=")
            yield QuotientLink(columns, relation.operator in (below, "=="), relation.operator in (above, "=="))
            return
    yield from sum_links(relation, schema)


def sum_links(relation: Relation, schema: Schema) -> Iterator[SumLink]:
    """A relation whose sides are linear, once a quotient of features is multiplied out, as one or two sums."""
    weights: dict[str, float] = defaultdict(float)
    left, right = _multiplied_out(relation)
    for side, sign in ((left, 1.0), (right, -1.0)):
        for weight, name in side.terms:
            weights[name] += sign * weight
    names = [name for name, weight in weights.items() if weight != 0]
    if not names:
        return
    columns = np.array([schema.index(name) for name in names], dtype=np.int64)
    values, bound = np.array([weights[name] for name in names]), right.constant - left.constant
    if relation.operator in ("<=", "=="):
        yield SumLink(columns, values, bound)
    if relation.operator in (">=", "=="):
        yield SumLink(columns, -values, -bound)


def _multiplied_out(relation: Relation) -> tuple[Sum, Sum]:
    """Both sides as sums; a denominator is positive, so it may be brought to the other side."""
    left, right = relation.left, relation.right
    if isinstance(left, Quotient) and isinstance(right, Sum):
        return Sum(((1.0, left.numerator),)), _number_times(right.constant, left.denominator)
    if isinstance(right, Quotient) and isinstance(left, Sum):
        return _number_times(left.constant, right.denominator), Sum(((1.0, right.numerator),))
    return _as_sum(left), _as_sum(right)


def _number_times(number: float, name: str) -> Sum:
    return Sum(((number, name),)) if number else Sum(())


def _as_sum(side: Side) -> Sum:
    if isinstance(side, Quotient):
        raise TypeError("a quotient compared with a feature is no sum")
    return Sum(((1.0, side),)) if isinstance(side, str) else side
