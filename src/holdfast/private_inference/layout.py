"""Where features, weights and scores sit among the coefficients of a polynomial.

A product of polynomials sums `x[i]·w[j]` at coefficient i + j. With the m features of a row in rising order and the m
weights of a score in falling order, coefficient m - 1 holds their dot product. Several scores and several rows share
one polynomial, side by side (g scores to a part, stride S = g·m):

    feature i of row r   at  r·S + i
    weight i of score j  at  j·m + m - 1 - i
    score j of row r     at  r·S + j·m + m - 1

Every other pair of a row and a score meets below `r·S + m - 1` or above the last score, where nothing is revealed; what
wraps around at N comes back below m - 1, because all rows and scores of a part take at most N coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.he import EXACT_8192
from holdfast.limits import MAX_CIPHERTEXTS

_DEGREE = EXACT_8192.degree


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The packing of a linear model with n_features (1 to N) and n_scores; one answer per ciphertext and part."""

    n_features: int
    n_scores: int

    @property
    def scores_per_part(self) -> int:
        """Scores that one answer can hold."""
        return min(self.n_scores, self._outputs)

    @property
    def n_parts(self) -> int:
        """Answers that a ciphertext is given, so that each score is in one of them."""
        return -(-self.n_scores // self.scores_per_part)

    @property
    def rows_per_ciphertext(self) -> int:
        """Rows that one ciphertext holds."""
        return self._outputs // self.scores_per_part

    @property
    def max_rows(self) -> int:
        """Rows of one query; zero where not even one ciphertext could be answered in full."""
        return self.rows_per_ciphertext * (MAX_CIPHERTEXTS // self.n_parts)

    @property
    def _outputs(self) -> int:
        return min(EXACT_8192.max_outputs, _DEGREE // self.n_features)

    def n_ciphertexts(self, n_rows: int) -> int:
        """Ciphertexts that carry so many rows."""
        return -(-n_rows // self.rows_per_ciphertext)

    def rows_of(self, ciphertext: int, *, n_rows: int) -> slice:
        """The rows that a ciphertext carries."""
        first = ciphertext * self.rows_per_ciphertext
        return slice(first, min(first + self.rows_per_ciphertext, n_rows))

    def scores_of(self, part: int) -> slice:
        """The scores that a part answers."""
        first = part * self.scores_per_part
        return slice(first, min(first + self.scores_per_part, self.n_scores))

    def message(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The polynomial of at most `rows_per_ciphertext` rows of features."""
        coefficients = np.zeros(_DEGREE, dtype=np.int64)
        starts = np.arange(len(rows)) * self.scores_per_part * self.n_features
        coefficients[starts[:, None] + np.arange(self.n_features)] = rows
        return coefficients

    def plaintext(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        """The polynomial of at most `scores_per_part` rows of weights."""
        coefficients = np.zeros(_DEGREE, dtype=np.int64)
        coefficients[: weights.size] = weights[:, ::-1].ravel()
        return coefficients

    def positions(self, *, n_rows: int, n_scores: int) -> NDArray[np.int64]:
        """The coefficients of the scores, row by row."""
        slots = np.arange(n_rows)[:, None] * self.scores_per_part + np.arange(n_scores)
        return slots.ravel() * self.n_features + self.n_features - 1
