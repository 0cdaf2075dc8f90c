"""Arithmetic relations as links, which bound each of their features by the bounds of the others.

A sum link says w · x <= c over some features; a quotient link says that a feature is at most, at least or exactly one
feature divided by another, positive one. Links hold exactly where rows are made. Where it is asked which rows there
could be at all, they leave as much open as the check of a relation does (`holdfast.data.relation.TOLERANCE`); of values
that may have either sign a little more, so that no row which passes the check is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from holdfast.data import Labels, Matrix, Relation, Schema
from holdfast.data.relation_text import Quotient, Side, Sum


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
    """quotient <= numerator / denominator where `at_most`, quotient >= it where `at_least`, or both.

    Args:
        columns: of quotient, numerator and denominator.
        at_most: see above.
        at_least: see above.
        share: of its size that a quotient keeps at the least where it misses the other side, 1 where it may not.
    """

    columns: Labels
    at_most: bool
    at_least: bool
    share: float = 1.0

    def down(self, quotient: Matrix | float) -> Matrix:
        """The least that numerator / denominator may be where a quotient is at most that."""
        return np.where(quotient > 0, quotient * self.share, quotient / self.share)

    def up(self, quotient: Matrix | float) -> Matrix:
        """The most that numerator / denominator may be where a quotient is at least that; the inverse of `down`."""
        return np.where(quotient > 0, quotient / self.share, quotient * self.share)

    def bounds(self, low: Matrix, high: Matrix) -> tuple[Matrix, Matrix]:
        """(rows, 3) twice: the lowest and the highest value that the other two leave each; from their bounds."""
        (q0, n0, d0), (q1, n1, d1) = low.T, high.T
        q0, q1 = self.down(q0), self.up(q1)
        lowest, highest = np.full(low.shape, -np.inf), np.full(low.shape, np.inf)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.at_least:
                lowest[:, 0] = self.down(np.where(n0 < 0, n0 / d0, n0 / d1))
                highest[:, 1] = np.where(q1 > 0, q1 * d1, q1 * d0)
                # q d >= n: with n > 0 only a large d will do, with q < 0 only a small one
                lowest[:, 2] = np.where((n0 > 0) & (q1 > 0), n0 / q1, -np.inf)
                highest[:, 2] = np.where(q1 < 0, n0 / q1, np.inf)
            if self.at_most:
                highest[:, 0] = self.up(np.where(n1 > 0, n1 / d0, n1 / d1))
                lowest[:, 1] = np.where(q0 < 0, q0 * d1, q0 * d0)
                highest[:, 2] = np.minimum(highest[:, 2], np.where(q0 > 0, n1 / q0, np.inf))
                lowest[:, 2] = np.maximum(lowest[:, 2], np.where((n1 < 0) & (q0 < 0), n1 / q0, -np.inf))
        missing = np.isnan(low).any(axis=1)
        lowest[missing], highest[missing] = -np.inf, np.inf
        return lowest, highest


Link = SumLink | QuotientLink


def links_of(relation: Relation, schema: Schema, tolerance: float) -> Iterator[Link]:
    """A relation as links; an equality is two sums or one quotient of both kinds.

    Args:
        relation: of features of the schema.
        schema: whose ranges say which signs values have.
        tolerance: what the links leave open, as a share of all terms without their signs.
    """
    for quotient, other in ((relation.right, relation.left), (relation.left, relation.right)):
        if isinstance(quotient, Quotient) and isinstance(other, str):
            columns = np.array([schema.index(name) for name in (other, quotient.numerator, quotient.denominator)])
            # written `other op n / d`; turned round where the quotient stands on the left
            below, above = ("<=", ">=") if other is relation.left else (">=", "<=")
            # of two numbers of one sign, a - b <= t (|a| + |b|) says that a (1 - t) <= b (1 + t)
            share = (1 - tolerance) / (1 + tolerance)
            yield QuotientLink(columns, relation.operator in (below, "=="), relation.operator in (above, "=="), share)
            return
    yield from _sum_links(relation, schema, tolerance)


def _sum_links(relation: Relation, schema: Schema, tolerance: float) -> Iterator[SumLink]:
    """A relation whose sides are linear, once a quotient of features is multiplied out, as one or two sums.

    What it leaves open, a share of all |weight * value|, is no sum; of each |value| the chord over the range is, which
    is the same for values of one sign, and otherwise more.
    """
    left, right = _multiplied_out(relation)
    terms = [(weight, name) for weight, name in left.terms] + [(-weight, name) for weight, name in right.terms]
    names = tuple(dict.fromkeys(name for _, name in terms))
    columns = np.array([schema.index(name) for name in names], dtype=np.int64)
    weights = np.array([sum(weight for weight, named in terms if named == name) for name in names])
    sizes = np.array([sum(abs(weight) for weight, named in terms if named == name) for name in names])
    low, high = np.array([(schema.features[at].low, schema.features[at].high) for at in columns]).reshape(-1, 2).T
    slopes = (np.abs(high) - np.abs(low)) / (high - low)
    open_at_0 = abs(left.constant) + abs(right.constant) + float(sizes @ (np.abs(high) - slopes * high))
    for sign, operators in ((1.0, ("<=", "==")), (-1.0, (">=", "=="))):
        values = sign * weights - tolerance * sizes * slopes
        if relation.operator in operators and (told := values != 0).any():
            bound = sign * (right.constant - left.constant) + tolerance * open_at_0
            yield SumLink(columns[told], values[told], bound)


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
