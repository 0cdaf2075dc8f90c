"""A network while it is read: the lanes of every level so far, and what they are on the reference rows.

The words of a reader: `apply`, `convolve`, `add`, `multiply`, `power`. All of them take and give a `Value`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from holdfast.errors import UnsupportedError
from holdfast.private_inference.networks.operators import Geometry, Linear, convolution
from holdfast.private_inference.networks.values import (
    Root,
    Value,
    Vector,
    added,
    channels,
    multiplied,
    proportion,
    stacked,
)

MAX_SQUARINGS: Final = 6
"""Squarings one after another; more do not fit into a ciphertext of 2^14 coefficients with its noise."""
_MAX_OFFSET: Final = 64.0
"""A square is completed while its vertex is at most this many times the largest value away; else two are used."""


class Trace:
    """Reads a network on reference rows.

    Args:
        numbers: (rows, width) encoded reference rows; they set the ranges of all lanes.
    """

    def __init__(self, numbers: Vector) -> None:
        self._roots: list[list[Root]] = []
        self._lanes: list[Vector] = [numbers]
        self._settled: dict[int, tuple[Value, Value]] = {}
        self.windows: NDArray[np.int64] | None = None
        """(places, taps) which number each tap of the first convolution sees, -1 in the padding; None without one."""

    def source(self, shape: tuple[int, ...], *, scale: Vector) -> Value:
        """The network's input: the numbers of a row, each times its scale (width,)."""
        weights = sparse.csr_array(sparse.diags_array(scale))
        return Value(shape=shape, level=0, linear=Root(weights, np.zeros(len(scale))), channel=channels(shape))

    def apply(self, value: Value, linear: Linear, bias: Vector | None = None) -> Value:
        """A linear operator, and a bias for each element that comes out."""
        settled = self.plain(value)
        weights = sparse.csr_array(linear.matrix @ settled.linear.weights)
        offset = linear.matrix @ settled.linear.bias
        root = Root(weights, offset if bias is None else offset + bias)
        return Value(
            shape=linear.shape, level=settled.level, linear=root, channel=channels(linear.shape), since=settled.level
        )

    def convolve(
        self, value: Value, kernel: Vector, bias: Vector | None, *, geometry: Geometry, groups: int = 1
    ) -> Value:
        """A convolution of kernel (out channels, in channels / groups, height, width) and bias (out channels,).

        Raises:
            UnsupportedError: the kernel does not fit the value.
        """
        linear, windows = convolution(value.shape, kernel, geometry=geometry, groups=groups)
        if self.windows is None and value.level == 0 and not value.squares:
            self.windows = _as_numbers(windows, value.linear.weights)
        places = linear.matrix.shape[0] // len(kernel)
        return self.apply(value, linear, None if bias is None else np.repeat(bias, places))

    def add(self, u: Value, v: Value | Vector) -> Value:
        """The sum, element by element; an array is broadcast."""
        if not isinstance(v, Value):
            return u.shifted(_spread(v, u.shape))
        self._check_same_shape(u, v)
        return added(*self._level(u, v))

    def multiply(self, u: Value, v: Value | Vector) -> Value:
        """The product, element by element; an array is broadcast.

        Raises:
            UnsupportedError: the product's degree is too high.
        """
        if not isinstance(v, Value):
            return u.scaled(_spread(v, u.shape))
        self._check_same_shape(u, v)
        return multiplied(*self._level(self.plain(u), self.plain(v)))

    def power(self, value: Value, exponent: int) -> Value:
        """The value to a power from 1 to 4, element by element."""
        if exponent not in (1, 2, 3, 4):
            raise UnsupportedError(
                f"expected a power of 1 to 4, got {exponent}", hint="use polynomials of degree 2 as activations"
            )
        if exponent == 1:
            return value
        square = self.multiply(value, value)
        if exponent == 2:
            return square
        return self.multiply(square, value if exponent == 3 else square)

    def plain(self, value: Value) -> Value:
        """The value without squares: itself, or from the lanes of the next level."""
        return self.settle(value) if value.squares else value

    def lanes(self, level: int) -> Vector:
        """(rows, lanes) what the reference rows make of the lanes of a level."""
        return self._lanes[level]

    def layers(self, output: Value) -> list[Root]:
        """The affine maps between the squarings, up to the output."""
        last = self.plain(output)
        return [*(stacked(roots) for roots in self._roots[: last.level]), last.linear]

    def settle(self, value: Value) -> Value:
        """The value as an affine function of squares, at the next level.

        Raises:
            UnsupportedError: there are too many squarings one after another.
        """
        if id(value) in self._settled:
            return self._settled[id(value)][1]
        if value.level + 1 > MAX_SQUARINGS:
            raise UnsupportedError(
                f"expected at most {MAX_SQUARINGS} squarings one after another, got more",
                hint="use fewer layers with activations, or activations of degree 2",
            )
        result = self._squared(value)
        self._settled[id(value)] = (value, result)  # the value is kept, so that its id stays its own
        return result

    def _squared(self, value: Value) -> Value:
        first = value.squares[0] if value.squares else (np.zeros(value.size), value.linear)
        coefficient, root = first
        slope, offset, fits = proportion(value.linear, root)
        constant = Root(sparse.csr_array((value.size, 0)), np.where(fits, offset, 0.0))
        total = replace(value, level=value.level + 1, linear=constant, squares=())
        total = added(total, self._quadratic(value, coefficient, np.where(fits, slope, 0.0), root))
        if not fits.all():
            total = added(total, self._quadratic(value, np.zeros(value.size), np.where(fits, 0.0, 1.0), value.linear))
        for coefficient, root in value.squares[1:]:
            total = added(total, self._quadratic(value, coefficient, np.zeros(value.size), root))
        return total

    def _quadratic(self, value: Value, c2: Vector, c1: Vector, root: Root) -> Value:
        """`c2 x^2 + c1 x` of a root: one square where completing it is well conditioned, else two.

        With two, `c2 x^2 + c1 x = a (x + s)^2 + b (x - s)^2 - c2 s^2` for `a + b = c2` and `2 s (a - b) = c1`.
        """
        reach = self._reach(root, value)
        vertex = np.divide(c1, 2 * c2, out=np.full(value.size, np.inf), where=c2 != 0)
        one = (c2 != 0) & (np.abs(vertex) <= _MAX_OFFSET * reach)
        two = ~one & ((c1 != 0) | (c2 != 0))
        vertex = np.where(one, vertex, 0.0)
        lean = c1 / (4 * reach)
        parts = [
            self._square(value, root, vertex, np.where(one, c2, 0.0)),
            self._square(value, root, reach, np.where(two, c2 / 2 + lean, 0.0)),
            self._square(value, root, -reach, np.where(two, c2 / 2 - lean, 0.0)),
        ]
        total = added(added(parts[0], parts[1]), parts[2])
        return total.shifted(-np.where(one, c2 * vertex**2, np.where(two, c2 * reach**2, 0.0)))

    def _square(self, value: Value, root: Root, offset: Vector, coefficient: Vector) -> Value:
        """`coefficient (root + offset)^2` from new lanes, each scaled so that its channel reaches 1."""
        used = np.flatnonzero(coefficient)
        moved = root.shifted(offset)
        reach = self._reach(moved, value)
        start = 0 if len(self._roots) <= value.level else self._lanes[value.level + 1].shape[1]
        if len(used):
            self._append(value.level, Root(moved.scaled(1 / reach).weights[used], (moved.bias / reach)[used]))
        entries = (coefficient * reach**2)[used]
        weights = sparse.csr_array(
            (entries, (used, start + np.arange(len(used)))), shape=(value.size, start + len(used))
        )
        return replace(value, level=value.level + 1, linear=Root(weights, np.zeros(value.size)), squares=())

    def _append(self, level: int, root: Root) -> None:
        if len(self._roots) == level:
            self._roots.append([])
            self._lanes.append(np.empty((len(self._lanes[0]), 0)))
        self._roots[level].append(root)
        squares = np.square(root.at(self._lanes[level]))
        self._lanes[level + 1] = np.hstack([self._lanes[level + 1], squares])

    def _reach(self, root: Root, value: Value) -> Vector:
        """(elements,) the largest absolute value on the reference rows, of the whole channel; 1 where it is 0."""
        largest = np.abs(root.at(self._lanes[value.level])).max(axis=0)
        shared = np.zeros(value.channel.max() + 1)
        np.maximum.at(shared, value.channel, largest)
        return np.asarray(np.where(shared > 0, shared, 1.0)[value.channel])

    def _level(self, u: Value, v: Value) -> tuple[Value, Value]:
        while u.level < v.level:
            u = self.settle(u)
        while v.level < u.level:
            v = self.settle(v)
        return u, v

    def _check_same_shape(self, u: Value, v: Value) -> None:
        if u.shape != v.shape:
            raise UnsupportedError(f"expected two values of one shape, got {u.shape} and {v.shape}")


def _spread(array: NDArray[np.generic], shape: tuple[int, ...]) -> Vector:
    """An array broadcast over the elements of a value."""
    numbers = np.asarray(array, dtype=np.float64)
    try:
        return np.asarray(np.broadcast_to(numbers, (1, *shape)).ravel())
    except ValueError:
        raise UnsupportedError(f"expected a constant that fits a value of shape {shape}, got {numbers.shape}") from None


def _as_numbers(windows: NDArray[np.int64], weights: sparse.csr_array) -> NDArray[np.int64] | None:
    """Windows over elements as windows over numbers, where each element is one number times a weight."""
    if not (np.diff(weights.indptr) == 1).all():
        return None
    return np.asarray(np.where(windows < 0, -1, weights.indices[windows]))
