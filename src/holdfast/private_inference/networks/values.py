"""What flows through a network while it is read: every element as an affine function of lanes, plus squares of such.

    value = weights @ lanes + bias + sum of coefficient * square(root.weights @ lanes + root.bias)

The lanes of level 0 are the numbers of a row; those of level k + 1 are the squares that the circuit computes from
level k. Linear operators need a value without squares; `Trace.settle` makes it one, at the next level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holdfast.errors import UnsupportedError

Vector = NDArray[np.float64]

MAX_DEGREE: Final = 4
"""Degree of one activation; above it the values span more bits than a ciphertext has."""
_SAME: Final = 1e-9
"""Relative distance up to which two rows of weights count as proportional."""


@dataclass(frozen=True, eq=False)
class Root:
    """An affine function of the lanes of a level, one element per row."""

    weights: sparse.csr_array = field(repr=False)
    bias: Vector = field(repr=False)

    def __add__(self, other: Root) -> Root:
        left, right = same_width(self.weights, other.weights)
        return Root((left + right).tocsr(), self.bias + other.bias)

    def scaled(self, factor: Vector) -> Root:
        """Each element times its factor."""
        return Root(scale_rows(self.weights, factor), self.bias * factor)

    def shifted(self, offset: Vector) -> Root:
        """Each element plus its offset."""
        return Root(self.weights, self.bias + offset)

    def picked(self, order: NDArray[np.int64]) -> Root:
        """The elements at the positions `order`."""
        return Root(sparse.csr_array(self.weights[order]), self.bias[order])

    def at(self, lanes: Vector) -> Vector:
        """(rows, elements) on rows of lanes (rows, lanes)."""
        width = self.weights.shape[1]
        return np.asarray((self.weights @ lanes[:, :width].T).T + self.bias)


@dataclass(frozen=True, eq=False, kw_only=True)
class Value:
    """One tensor of the network, its rows' axis left out.

    Args:
        shape: of the tensor without rows.
        level: whose lanes it is a function of.
        linear: its affine part.
        squares: coefficients and roots of its squares.
        channel: (elements,) elements of a channel get one scale, so that a convolution keeps one kernel for all places.
        since: the level at the last linear operator before it.
        degree: in the values that that operator gave.
    """

    shape: tuple[int, ...]
    level: int
    linear: Root = field(repr=False)
    channel: NDArray[np.int64] = field(repr=False)
    squares: tuple[tuple[Vector, Root], ...] = field(default=(), repr=False)
    since: int = 0
    degree: int = 1

    @property
    def size(self) -> int:
        """Elements."""
        return len(self.linear.bias)

    def at(self, lanes: Vector) -> Vector:
        """(rows, elements) on rows of the level's lanes."""
        total = self.linear.at(lanes)
        for coefficient, root in self.squares:
            total = total + coefficient * np.square(root.at(lanes))
        return total

    def scaled(self, factor: Vector) -> Value:
        """Each element times its factor."""
        squares = tuple((coefficient * factor, root) for coefficient, root in self.squares)
        return replace(self, linear=self.linear.scaled(factor), squares=squares)

    def shifted(self, offset: Vector) -> Value:
        """Each element plus its offset."""
        return replace(self, linear=self.linear.shifted(offset))

    def rearranged(self, order: NDArray[np.int64], shape: tuple[int, ...]) -> Value:
        """The elements at the positions `order`, in another shape."""
        squares = tuple((coefficient[order], root.picked(order)) for coefficient, root in self.squares)
        linear, channel = self.linear.picked(order), self.channel[order]
        return replace(self, shape=shape, linear=linear, channel=channel, squares=squares)


def channels(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(elements,) the channel of each element of a tensor, which is its first axis."""
    return np.repeat(np.arange(shape[0]), math.prod(shape[1:]))


def added(u: Value, v: Value) -> Value:
    """The sum of two values of one level and shape; squares of the same root are joined."""
    squares = list(u.squares)
    for coefficient, root in v.squares:
        known = next((i for i, (_, other) in enumerate(squares) if other is root), None)
        if known is None:
            squares.append((coefficient, root))
        else:
            squares[known] = (squares[known][0] + coefficient, root)
    since = max(u.since, v.since)
    degree = max(value.degree for value in (u, v) if value.since == since)
    return replace(u, linear=u.linear + v.linear, squares=tuple(squares), since=since, degree=degree)


def multiplied(u: Value, v: Value) -> Value:
    """The product, element by element, of two values of one level and shape that have no squares.

    Where one is a multiple of the other plus a number, as in a polynomial, one square is enough; elsewhere
    `u * v = (u + v)^2 / 4 - (u - v)^2 / 4`.

    Raises:
        UnsupportedError: the degree is above 4.
    """
    degree = u.degree + v.degree
    if degree > MAX_DEGREE:
        raise UnsupportedError(
            f"expected activations of degree {MAX_DEGREE} or less, got a product of degree {degree}",
            hint="use polynomials of degree 2, as holdfast.swap_activations does",
        )
    slope, offset, fits = proportion(v.linear, u.linear)
    if fits.all():
        linear = u.linear.scaled(offset)
        squares: tuple[tuple[Vector, Root], ...] = ((slope, u.linear),)
    else:
        quarter, minus = np.full(u.size, 0.25), v.linear.scaled(np.full(u.size, -1.0))
        linear = Root(sparse.csr_array(u.linear.weights.shape), np.zeros(u.size))
        squares = ((quarter, u.linear + v.linear), (-quarter, u.linear + minus))
    return replace(u, linear=linear, squares=squares, since=max(u.since, v.since), degree=degree)


def proportion(root: Root, other: Root) -> tuple[Vector, Vector, NDArray[np.bool_]]:
    """Slope and offset with `root = slope * other + offset`, element by element, and where that holds."""
    left, right = same_width(root.weights, other.weights)
    norm = _row_sums(right.multiply(right))
    slope = np.divide(_row_sums(left.multiply(right)), norm, out=np.zeros(len(norm)), where=norm > 0)
    gap = left - scale_rows(right, slope)
    fits = _row_sums(gap.multiply(gap)) <= _SAME**2 * _row_sums(left.multiply(left))
    return slope, root.bias - slope * other.bias, fits


def same_width(left: sparse.csr_array, right: sparse.csr_array) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Both with as many columns as the wider has; lanes join a level while it is read."""
    width = max(left.shape[1], right.shape[1])
    return widened(left, width), widened(right, width)


def widened(weights: sparse.csr_array, width: int) -> sparse.csr_array:
    """With zero columns up to a width."""
    if weights.shape[1] == width:
        return weights
    return sparse.csr_array((weights.data, weights.indices, weights.indptr), shape=(weights.shape[0], width))


def scale_rows(weights: sparse.csr_array, factor: Vector) -> sparse.csr_array:
    """Each row times its factor."""
    return sparse.csr_array(sparse.diags_array(factor) @ weights)


def stacked(roots: Sequence[Root]) -> Root:
    """The elements of several roots behind one another."""
    width = max(root.weights.shape[1] for root in roots)
    weights = sparse.vstack([widened(root.weights, width) for root in roots], format="csr")
    return Root(sparse.csr_array(weights), np.concatenate([root.bias for root in roots]))


def _row_sums(weights: sparse.csr_array) -> Vector:
    return np.asarray(weights.sum(axis=1), dtype=np.float64).ravel()
