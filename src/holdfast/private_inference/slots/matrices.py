"""The matrices of a program over slots: their diagonals, the steps that reach them, the transforms that apply them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

from holdfast.he.steps import Gain, Steps
from holdfast.private_inference.slots.geometry import Entries, Geometry, power_of_two

_NORM_MARGIN: Final = 1.02


@dataclass(frozen=True, eq=False, kw_only=True)
class SlotMatrix:
    """A matrix over the slots of `interleave` samples.

    Args:
        geometry: of one sample.
        interleave: samples side by side.
        parts: for each ciphertext of the input the diagonals that are not zero, of one sample.
    """

    geometry: Geometry
    interleave: int
    parts: tuple[Mapping[int, NDArray[np.generic]], ...] = field(repr=False)

    @classmethod
    def of(cls, entries: Entries, geometry: Geometry, *, interleave: int, n_parts: int = 1) -> SlotMatrix:
        """The matrix with these entries."""
        firsts = range(0, n_parts * geometry.period, geometry.period)
        parts = tuple(geometry.matrix_diagonals(entries, first=first) for first in firsts)
        return cls(geometry=geometry, interleave=interleave, parts=parts)

    def steps(self, *, baby: int) -> Steps:
        """The rotations that it takes, with so many baby steps."""
        rotations = sorted({d * self.interleave for part in self.parts for d in part}) or [0]
        return Steps.of(rotations, baby=baby, folds=tuple(f * self.interleave for f in self.geometry.foldings))

    def diagonals(self) -> list[dict[int, NDArray[np.generic]]]:
        """The diagonals (rows, N/2) of each part, for all samples."""
        return [{d * self.interleave: self.widened(v) for d, v in part.items()} for part in self.parts]

    def widened(self, slots: NDArray[np.generic]) -> NDArray[np.generic]:
        """What holds for one sample (rows, columns), for all of them."""
        return np.repeat(slots, self.interleave, axis=1)

    def repeated(self, numbers: NDArray[np.generic]) -> NDArray[np.generic]:
        """A vector of outputs, in every slot that holds one of them: (rows, N/2)."""
        padded = np.zeros(self.geometry.outputs, dtype=numbers.dtype)
        padded[: len(numbers)] = numbers
        copies = self.geometry.columns // self.geometry.outputs
        return self.widened(np.tile(padded, (self.geometry.rows, copies)))


def matrix_entries(weights: NDArray[np.generic], *, block: int = 1) -> Entries:
    """The entries of `weights ⊗ I_block`, zero outside of it."""
    padded = np.zeros((weights.shape[0] + 1, weights.shape[1] + 1), dtype=weights.dtype)
    padded[:-1, :-1] = weights

    def entries(outputs: NDArray[np.int64], inputs: NDArray[np.int64]) -> NDArray[np.generic]:
        row = np.minimum(outputs // block, weights.shape[0])
        column = np.minimum(inputs // block, weights.shape[1])
        return np.asarray(padded[row, column] * (outputs % block == inputs % block))

    return entries


def gain_of(matrix: SlotMatrix) -> Gain:
    """By how much a real matrix makes noise larger, with its foldings done.

    What a later plaintext sees of the noise need not repeat as the matrix does, so that the norm is of the matrix over
    all slots; it is the largest singular value as iteration finds it, and one part in fifty for what that is short of.
    """
    rows = np.stack([np.asarray(d, dtype=np.float64).reshape(-1) for part in matrix.parts for d in part.values()])
    sums, squares = np.abs(rows).sum(axis=0), np.square(rows).sum(axis=0)
    slot = float(np.sqrt(squares.max()))
    for fold in matrix.geometry.foldings:
        sums, squares = sums + np.roll(sums, -fold), squares + np.roll(squares, -fold)
    norm = svds(_operator(matrix, rows), k=1, tol=1e-2, v0=np.ones(rows.shape[1]), return_singular_vectors=False)
    return Gain(
        l1=float(sums.max()), l2=float(np.sqrt(squares.max())), slot=slot, operator=float(norm[0]) * _NORM_MARGIN
    )


def _operator(matrix: SlotMatrix, rows: NDArray[np.float64]) -> LinearOperator:
    """The matrix over the slots of one sample, from all inputs to the folded outputs; `rows` are its diagonals."""
    columns, foldings = rows.shape[1], matrix.geometry.foldings
    slots = np.arange(columns)
    sources = [i * columns + (slots + d) % columns for i, part in enumerate(matrix.parts) for d in part]
    pointers = len(rows) * np.arange(columns + 1)
    shape = (columns, len(matrix.parts) * columns)
    unfolded = sparse.csr_array((rows.T.reshape(-1), np.stack(sources, axis=1).reshape(-1), pointers), shape=shape)
    transposed = sparse.csr_array(unfolded.T)

    def forward(x: NDArray[np.float64]) -> NDArray[np.float64]:
        y = unfolded @ x.reshape(-1)
        for fold in foldings:
            y = y + np.roll(y, -fold)
        return np.asarray(y)

    def backward(y: NDArray[np.float64]) -> NDArray[np.float64]:
        y = y.reshape(-1)
        for fold in reversed(foldings):
            y = y + np.roll(y, fold)
        return np.asarray(transposed @ y)

    return LinearOperator(shape, matvec=forward, rmatvec=backward, dtype=np.float64)


def next_geometry(geometry: Geometry, n_outputs: int) -> Geometry:
    """Of a matrix on the result of another."""
    outputs = power_of_two(n_outputs)
    return Geometry(
        rows=geometry.rows,
        columns=geometry.columns,
        period=geometry.outputs,
        outputs=outputs,
        diagonals=min(geometry.outputs, outputs),
    )
