"""The one door between records and what is released: a sum of clipped vectors plus Gaussian noise.

Everything that a record contributes is computed on a grid, where float64 arithmetic is exact in any order. So a
record's contribution depends on nothing but the record and what was released before, and not, through rounding
inside a matrix product, on which other records are there. The sum itself is one of whole numbers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.data import Matrix
from holdfast.errors import UsageError
from holdfast.training.release.noise import SCALE_BITS, gaussian_integers

Bins = npt.NDArray[np.int64]

GRID_BITS: Final = 16
"""Rows and weights are multiples of 2**-16."""
LARGEST_ENTRY: Final = 8.0
"""Entries of a row are moved into [-8, 8]: squares of 2**14 of them add up below 2**53 units, so exactly."""
LARGEST_COEFFICIENT: Final = 2.0**10
"""A coefficient that is larger, or not a number, counts as 0; those of the logistic loss lie in [-1, 1]."""
LARGEST_WEIGHT_NORM: Final = 1_000.0
"""Weights are moved into a ball, so that a score is below 2**21 and its sum exact (Cauchy-Schwarz)."""
SMALLEST_NOISE_MULTIPLIER: Final = 0.25
"""Below it the whole numbers of the largest table could pass 63 bits."""

_COEFFICIENT_BITS: Final = SCALE_BITS - GRID_BITS
_MARGIN: Final = 1 - 2.0**-40
_CHUNK_ROWS: Final = 2**14


def on_grid(values: Matrix) -> Matrix:
    """Values as multiples of 2**-16 in [-8, 8]; what is not a number becomes 0."""
    clean = np.clip(np.nan_to_num(values, nan=0.0), -LARGEST_ENTRY, LARGEST_ENTRY)
    return np.asarray(np.rint(clean * 2.0**GRID_BITS) * 2.0**-GRID_BITS, dtype=np.float64)


def weights_on_grid(weights: Matrix) -> Matrix:
    """Weights as multiples of 2**-16 within the largest norm."""
    norm = float(np.linalg.norm(weights))
    return np.asarray(
        np.trunc(weights * min(1.0, LARGEST_WEIGHT_NORM / max(norm, 1.0)) * 2.0**GRID_BITS) * 2.0**-GRID_BITS
    )


def clipped_integers(rows: Matrix, coefficients: Matrix, *, clip_norm: float, noise_multiplier: float) -> Matrix:
    """(rows, k) whole numbers F so that F ⊗ (row in grid units) is the clipped contribution c ⊗ row.

    The vector of a record, all k * d numbers of it, has an L2 norm of at most 2**SCALE_BITS / noise_multiplier units;
    the units are such that this is `clip_norm`. Rounding is towards zero and so never past the bound.
    """
    coefficients = np.where(np.abs(coefficients) <= LARGEST_COEFFICIENT, coefficients, 0.0)
    size = np.sqrt((coefficients**2).sum(axis=1)) * np.sqrt((rows**2).sum(axis=1))
    shrink = np.minimum(1.0, clip_norm / np.maximum(size, clip_norm)) * _MARGIN
    unit = clip_norm * noise_multiplier * 2.0**-_COEFFICIENT_BITS
    return np.asarray(np.trunc(coefficients * shrink[:, None] / unit))


def exact_sum(rows: Matrix, coefficients: Matrix, *, clip_norm: float, noise_multiplier: float) -> np.ndarray:
    """(k, d) int64: the sum of the clipped contributions without noise. It is not private; only `noisy_sum` uses it.

    Args:
        rows: (n, d) on the grid.
        coefficients: (n, k) any finite numbers.
        clip_norm: L2 bound on one record's contribution.
        noise_multiplier: of the noise to come; it decides the unit.
    """
    total = np.zeros((coefficients.shape[1], rows.shape[1]), dtype=np.int64)
    for start in range(0, len(rows), _CHUNK_ROWS):
        chunk = slice(start, start + _CHUNK_ROWS)
        integers = clipped_integers(
            rows[chunk], coefficients[chunk], clip_norm=clip_norm, noise_multiplier=noise_multiplier
        )
        total += np.rint(integers.T @ (rows[chunk] * 2.0**GRID_BITS)).astype(np.int64)  # each partial sum < 2**53
    return total


def noisy_sum(rows: Matrix, coefficients: Matrix, *, clip_norm: float, noise_multiplier: float) -> Matrix:
    """(k, d): the sum over records of c ⊗ row, each clipped to `clip_norm` in L2, plus Gaussian noise.

    The Gaussian mechanism with noise_multiplier = standard deviation / clip_norm, for neighbours that differ by one
    record added or removed; a change of units and the rounding of `noise` come after it.

    Raises:
        UsageError: a noise multiplier below `SMALLEST_NOISE_MULTIPLIER`.
    """
    _check_noise(noise_multiplier)
    total = exact_sum(rows, coefficients, clip_norm=clip_norm, noise_multiplier=noise_multiplier)
    return _with_noise(total, clip_norm=clip_norm, noise_multiplier=noise_multiplier)


def exact_histogram(
    bins: Bins, coefficients: Matrix, *, size: int, clip_norm: float, noise_multiplier: float
) -> np.ndarray:
    """(k, f, size) int64: as `exact_sum` for rows that are 0 but for one 1 in each of f groups of `size` columns.

    Args:
        bins: (n, f) where the 1 of each group is, 0 to size - 1.
        coefficients: (n, k) any finite numbers.
        size: columns of a group.
        clip_norm: L2 bound on one record's contribution, which has the norm of its coefficients times the root of f.
        noise_multiplier: of the noise to come; it decides the unit.
    """
    integers = clipped_integers(
        np.ones(bins.shape), coefficients, clip_norm=clip_norm, noise_multiplier=noise_multiplier
    )
    total = [[np.bincount(place, weights, size) for place in bins.T] for weights in integers.T]  # exact: below 2**53
    return np.rint(total).astype(np.int64) << GRID_BITS


def noisy_histogram(
    bins: Bins, coefficients: Matrix, *, size: int, clip_norm: float, noise_multiplier: float
) -> Matrix:
    """(k, f, size): `noisy_sum` of rows that are 0 but for one 1 in each of f groups, without writing them out.

    Raises:
        UsageError: a noise multiplier below `SMALLEST_NOISE_MULTIPLIER`.
    """
    _check_noise(noise_multiplier)
    total = exact_histogram(bins, coefficients, size=size, clip_norm=clip_norm, noise_multiplier=noise_multiplier)
    return _with_noise(total, clip_norm=clip_norm, noise_multiplier=noise_multiplier)


def _check_noise(noise_multiplier: float) -> None:
    if not noise_multiplier >= SMALLEST_NOISE_MULTIPLIER:
        raise UsageError(f"expected a noise multiplier of {SMALLEST_NOISE_MULTIPLIER} or more, got {noise_multiplier}")


def _with_noise(total: np.ndarray, *, clip_norm: float, noise_multiplier: float) -> Matrix:
    noisy = total + gaussian_integers(total.size).reshape(total.shape)
    return np.asarray(noisy * (clip_norm * noise_multiplier * 2.0**-SCALE_BITS), dtype=np.float64)
