"""Where numbers, weights and scores sit among the coefficients of a polynomial.

A product of polynomials sums `x[i]·w[j]` at coefficient i + j. With the m numbers of a row in rising order and the m
weights of a score in falling order, coefficient m - 1 holds their dot product. Several scores and several rows share
one polynomial, side by side (g scores to a part, stride S = g·m):

    number i of row r    at  r·S + i
    weight i of score j  at  j·m + m - 1 - i
    score j of row r     at  r·S + j·m + m - 1

Every other pair of a row and a score meets below `r·S + m - 1` or above the last score, where nothing is revealed; what
wraps around at N comes back below m - 1, because all rows and scores of a part take at most N coefficients.

A row of more than N numbers takes several ciphertexts, whose products are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.limits import MAX_CIPHERTEXTS, MAX_CLASSES

DEGREE: Final = 8192
MAX_OUTPUTS: Final = 16
"""Coefficients that one answer reveals; each may give a hint of the mask to a client with a crafted key."""
MAX_WIDTH: Final = 2**18
"""Numbers of a row: 32 ciphertexts."""


@dataclass(frozen=True, kw_only=True)
class Packing:
    """The places of rows of `width` numbers and `n_outputs` scores.

    Raises:
        UsageError: a row does not fit into one query, or its scores into one answer.
    """

    width: int
    n_outputs: int

    def __post_init__(self) -> None:
        """Refuse what cannot be packed."""
        check_int("width", self.width, 1, MAX_WIDTH)
        check_int("n_outputs", self.n_outputs, 1, MAX_CLASSES)
        if self.max_rows == 0:
            raise UsageError(f"{self.n_outputs} scores of {self.width} numbers do not fit into one answer")

    @property
    def block(self) -> int:
        """Numbers of a row in one ciphertext."""
        return min(self.width, DEGREE)

    @property
    def n_blocks(self) -> int:
        """Ciphertexts that a row takes."""
        return -(-self.width // DEGREE)

    @property
    def scores_per_part(self) -> int:
        """Scores that one answer can hold."""
        return min(self.n_outputs, MAX_OUTPUTS, DEGREE // self.block)

    @property
    def n_parts(self) -> int:
        """Answers to a group of rows, so that each score is in one of them."""
        return -(-self.n_outputs // self.scores_per_part)

    @property
    def rows_per_group(self) -> int:
        """Rows that share a ciphertext."""
        return min(MAX_OUTPUTS, DEGREE // self.block) // self.scores_per_part

    @property
    def max_rows(self) -> int:
        """Rows of one query; zero where not even one group could be answered in full."""
        return self.rows_per_group * (MAX_CIPHERTEXTS // max(self.n_parts, self.n_blocks))

    def n_groups(self, n_rows: int) -> int:
        """Groups of rows."""
        return -(-n_rows // self.rows_per_group)

    def n_ciphertexts(self, n_rows: int) -> int:
        """Ciphertexts of a query: those of the first group, block by block, then those of the next."""
        return self.n_groups(n_rows) * self.n_blocks

    def n_answers(self, n_rows: int) -> int:
        """Answers: those to the first group, part by part, then those to the next."""
        return self.n_groups(n_rows) * self.n_parts

    def rows_of(self, group: int, *, n_rows: int) -> slice:
        """The rows of a group."""
        first = group * self.rows_per_group
        return slice(first, min(first + self.rows_per_group, n_rows))

    def outputs_of(self, part: int) -> slice:
        """The scores that a part answers."""
        first = part * self.scores_per_part
        return slice(first, min(first + self.scores_per_part, self.n_outputs))

    def arrange(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers (rows, width) to coefficients (ciphertexts, N)."""
        n_rows = len(values)
        blocks = np.zeros((n_rows, self.n_blocks, self.block))
        blocks.reshape(n_rows, -1)[:, : self.width] = values
        coefficients = np.zeros((self.n_groups(n_rows), self.n_blocks, DEGREE))
        for row in range(n_rows):
            group, place = divmod(row, self.rows_per_group)
            start = place * self.scores_per_part * self.block
            coefficients[group, :, start : start + self.block] = blocks[row]
        return coefficients.reshape(-1, DEGREE)

    def plaintext(self, weights: NDArray[np.float64], *, part: int, block: int) -> NDArray[np.float64]:
        """The polynomial (N,) of a part's weights in a block, from all weights (n_outputs, width)."""
        piece = weights[self.outputs_of(part), block * self.block : (block + 1) * self.block]
        filled = np.zeros((len(piece), self.block))
        filled[:, : piece.shape[1]] = piece
        coefficients = np.zeros(DEGREE)
        coefficients[: filled.size] = filled[:, ::-1].ravel()
        return coefficients

    def positions(self, answer: int, *, n_rows: int) -> NDArray[np.int64]:
        """The coefficients of an answer's scores, row by row."""
        group, part = divmod(answer, self.n_parts)
        rows, outputs = self.rows_of(group, n_rows=n_rows), self.outputs_of(part)
        places = np.arange(rows.stop - rows.start)[:, None] * self.scores_per_part
        places = places + np.arange(outputs.stop - outputs.start)
        return places.ravel() * self.block + self.block - 1

    def scores(self, revealed: Sequence[NDArray[np.float64]], *, n_rows: int) -> NDArray[np.float64]:
        """What the answers revealed, to scores (rows, n_outputs)."""
        scores = np.empty((n_rows, self.n_outputs))
        for answer, numbers in enumerate(revealed):
            group, part = divmod(answer, self.n_parts)
            block = scores[self.rows_of(group, n_rows=n_rows), self.outputs_of(part)]
            block[:] = numbers.reshape(block.shape)
        return scores


def check_int(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is no integer in a range.

    Raises:
        UsageError: it is none.
    """
    if type(value) is not int or not low <= value <= high:
        raise UsageError(f"expected {name} between {low} and {high}, got {value!r:.40}")
