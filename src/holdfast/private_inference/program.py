"""A model as arithmetic: what a front end makes of it, and a circuit computes on ciphertexts. No cryptography.

Each program takes the numbers that an `Encoding` made of a row, and gives one score per output. `clear` is what the
circuit must reproduce: exactly for trees, to a stated error for linear models and networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError

_ROWS_AT_ONCE: Final = 1024


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearProgram:
    """`scores = E @ weights.T + intercept`: linear models, and additive ones over one-hot bins.

    Args:
        weights: (outputs, width).
        intercept: (outputs,).
    """

    weights: NDArray[np.float64] = field(repr=False)
    intercept: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit, and what is not finite."""
        _check("weights", self.weights, (None, None))
        _check("intercept", self.intercept, (len(self.weights),))

    def clear(self, E: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (rows, outputs) of encoded rows (rows, width)."""
        return np.asarray(E @ self.weights.T + self.intercept)


@dataclass(frozen=True, eq=False, kw_only=True)
class TreeProgram:
    """All leaves of all trees: a leaf is reached where none of the splits on its path goes the other way.

    For a row of bits b in {0, 1}, `selection @ b + offset` counts each leaf's mismatches, from 0 to `depth`.

    Args:
        selection: (leaves, bits) integers.
        offset: (leaves,) integers.
        depth: the largest count of mismatches.
        values: (outputs, leaves) the leaf's share of each score, as fixed-point integers.
        intercept: (outputs,) fixed-point integers, added to the sum.
        scale: fixed-point integers divided by it are scores.
    """

    selection: NDArray[np.int64] = field(repr=False)
    offset: NDArray[np.int64] = field(repr=False)
    depth: int
    values: NDArray[np.int64] = field(repr=False)
    intercept: NDArray[np.int64] = field(repr=False)
    scale: float

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit."""
        _check("selection", self.selection, (None, None))
        _check("offset", self.offset, (len(self.selection),))
        _check("values", self.values, (None, len(self.selection)))
        _check("intercept", self.intercept, (len(self.values),))
        if self.depth < 1 or not 0 < self.scale < np.inf:
            raise UsageError(f"expected a depth and a scale above zero, got {self.depth} and {self.scale}")

    def clear(self, B: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exact fixed-point scores (rows, outputs) of rows of bits (rows, bits)."""
        scores = np.empty((len(B), len(self.values)), dtype=np.int64)
        selection, values = self.selection.T.astype(np.float64), self.values.T.astype(np.float64)
        for start in range(0, len(B), _ROWS_AT_ONCE):  # float64 is exact here, and has fast products
            rows = slice(start, start + _ROWS_AT_ONCE)
            reached = (B[rows].astype(np.float64) @ selection) == -self.offset
            scores[rows] = np.rint(reached @ values)
        return scores + self.intercept


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine:
    """`y = (weights ⊗ I_block) @ x + bias`: output `o * block + p` is the sum of `weights[o, i] * x[i * block + p]`.

    A plain matrix has block 1. A convolution over gathered windows has a block of places that all see the same
    weights (channels, taps).

    Args:
        weights: (out / block, in / block).
        bias: (out,).
    """

    weights: NDArray[np.float64] = field(repr=False)
    bias: NDArray[np.float64] = field(repr=False)
    block: int = 1

    def __post_init__(self) -> None:
        """Refuse shapes that do not fit, and what is not finite."""
        _check("weights", self.weights, (None, None))
        if self.block < 1 or self.block & (self.block - 1):
            raise UsageError(f"expected a block that is a power of two, got {self.block}")
        _check("bias", self.bias, (len(self.weights) * self.block,))

    @property
    def n_outputs(self) -> int:
        """The lanes that come out."""
        return len(self.bias)

    @property
    def n_inputs(self) -> int:
        """The lanes that go in."""
        return int(self.weights.shape[1]) * self.block

    def clear(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, out) of (rows, in)."""
        blocks = x.reshape(len(x), -1, self.block)
        return np.asarray(np.matmul(self.weights, blocks).reshape(len(x), -1) + self.bias)


@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkProgram:
    """Affine maps with a squaring of every lane between one and the next.

    Args:
        layers: at least one.
        bounds: the largest absolute value of each layer's output that a row may cause, before it is squared; taken from
            data with a margin. Scores beyond theirs are refused or wrong, and noise is drowned as stated for lanes
            within theirs, so they are part of the leakage statement.
        input_map: (inputs of the first layer,) which number of a row each of them is, -1 for a zero; None where they
            are the numbers themselves. It is public: it shows the shape of the first convolution's windows.
    """

    layers: tuple[Affine, ...]
    bounds: tuple[float, ...]
    input_map: NDArray[np.int64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse layers that do not follow one another."""
        if not self.layers or len(self.bounds) != len(self.layers):
            raise UsageError(f"expected a bound for each of at least one layer, got {len(self.bounds)}")
        for first, second in zip(self.layers, self.layers[1:], strict=False):
            if second.n_inputs != first.n_outputs:
                raise UsageError(f"expected a layer of {first.n_outputs} inputs, got {second.n_inputs}")
        if self.input_map is not None:
            _check("input_map", self.input_map, (self.layers[0].n_inputs,))

    def gather(self, E: NDArray[np.float64]) -> NDArray[np.float64]:
        """Inputs of the first layer (rows, inputs) from encoded rows (rows, width)."""
        if self.input_map is None:
            return E
        return np.asarray(np.where(self.input_map < 0, 0.0, E[:, self.input_map]))

    def clear(self, E: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (rows, outputs) of encoded rows (rows, width)."""
        return self._outputs(E)[-1]

    def reach(self, E: NDArray[np.float64]) -> tuple[float, ...]:
        """The largest absolute value of each layer's output on encoded rows (rows, width), to hold against `bounds`."""
        return tuple(float(np.abs(x).max(initial=0.0)) for x in self._outputs(E))

    def _outputs(self, E: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        outputs = [self.layers[0].clear(self.gather(E))]
        for layer in self.layers[1:]:
            outputs.append(layer.clear(np.square(outputs[-1])))
        return outputs


Program: TypeAlias = LinearProgram | TreeProgram | NetworkProgram


def _check(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(
        want in (None, got) and got > 0 for want, got in zip(shape, array.shape, strict=False)
    )
    if not fits:
        raise UsageError(f"expected {name} of shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise UsageError(f"expected finite {name}, got one that is not")
