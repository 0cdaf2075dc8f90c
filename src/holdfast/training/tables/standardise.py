"""Private standardisation: where the encoded records lie and how far they spread, learned with noise.

Public ranges are wide, so encoded records fill a small corner of [-1, 1]^width far from 0. Moving that corner to 0
and stretching it to unit length makes the useful part of each gradient large beside its clipping norm, and so beside
the noise. It takes three noisy sums: the mean, a histogram of distances from it, and the mean squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.data import Matrix
from holdfast.training.account.budget import Part
from holdfast.training.release.mechanism import LARGEST_ENTRY, noisy_sum, on_grid

RADII: Final = 2.0 ** (np.arange(-20, 17) / 2)
"""The radii that the histogram of distances tells apart: powers of the square root of 2 from 2**-10 to 2**8."""

SHARES: Final = (0.15, 0.03, 0.07)
"""Of the budget of a training: for the mean, the distances and the mean squares."""

_LARGEST_SQUARE: Final = 4.0
_VISIBLE: Final = 2.0
"""Standard deviations of the noise; a column whose mean square is smaller cannot be told from one that is constant."""
_SMALLEST_VARIANCE: Final = 0.02
"""Of the mean variance; a column that spreads less is not stretched further, however well it is seen."""


@dataclass(frozen=True, eq=False)
class Standardiser:
    """A shift and a stretch of encoded records, released with noise.

    Args:
        centre: (width,) the noisy mean.
        stretch: (width,) one over the noisy standard deviation, scaled so that a typical row has length 1.
        rows: the noisy number of records, 1 or more.
    """

    centre: Matrix
    stretch: Matrix
    rows: float

    def apply(self, encoded: Matrix) -> Matrix:
        """(rows, width) encoded records to standardised ones on the grid of `mechanism`."""
        return on_grid((encoded - self.centre) * self.stretch)


def learn_standardiser(encoded: Matrix, *, features: int, noise_multipliers: Sequence[float]) -> Standardiser:
    """Learn where encoded records lie and how far they spread.

    Args:
        encoded: (n, width) in [-1, 1].
        features: how many features they were encoded from. Each feature has at most one column that is not 0, or one
            number in [-1, 1], so a record's norm is at most the root of this.
        noise_multipliers: of the mean, of the histogram of distances and of the mean squares.
    """
    for_mean, for_radius, for_spread = noise_multipliers
    centre, rows = _centre(encoded, features, noise_multiplier=for_mean)
    moved = on_grid(encoded - centre)
    radius = _radius(moved, noise_multiplier=for_radius)
    stretch = _stretch(moved / radius, rows, noise_multiplier=for_spread) / radius
    return Standardiser(centre=centre, stretch=stretch, rows=rows)


def standardiser_parts(width: int) -> tuple[Part, ...]:
    """What the three noisy sums take, for encoded records of this width."""
    widths = (width + 1, len(RADII), width)
    return tuple(Part(share=share, count=1, width=width) for share, width in zip(SHARES, widths, strict=True))


def _centre(encoded: Matrix, features: int, *, noise_multiplier: float) -> tuple[Matrix, float]:
    """The noisy mean of the records and their noisy number, which is as secret as they are."""
    one = on_grid(np.array([min(np.sqrt(features) / 2, LARGEST_ENTRY)]))[0]
    rows = np.hstack([on_grid(encoded), np.full((len(encoded), 1), one)])
    bound = float(np.sqrt(features + one**2))
    (total,) = noisy_sum(rows, _ones(rows), clip_norm=bound, noise_multiplier=noise_multiplier)
    number = max(float(total[-1] / one), 1.0)
    seen = max(
        number, _VISIBLE * bound * noise_multiplier
    )  # of so few rows that noise hides them, the centre is near 0
    return np.clip(total[:-1] / seen, -1.0, 1.0), number


def _radius(moved: Matrix, *, noise_multiplier: float) -> float:
    """The distance from 0 that most records have, up to a factor of root 2. Its unit does not matter."""
    which = np.searchsorted(RADII[:-1] ** 2, (moved**2).sum(axis=1))
    bins = np.zeros((len(moved), len(RADII)))
    bins[np.arange(len(moved)), which] = 1.0
    (histogram,) = noisy_sum(bins, _ones(bins), clip_norm=1.0, noise_multiplier=noise_multiplier)
    return float(RADII[histogram.argmax()])


def _stretch(scaled: Matrix, rows: float, *, noise_multiplier: float) -> Matrix:
    """What to multiply each column by so that all spread alike, as far as the noise lets one see their spread.

    It leaves the sum of the mean squares as it was, so a typical row keeps its length of about 1.
    """
    squares = on_grid(np.minimum(scaled**2, _LARGEST_SQUARE))
    (total,) = noisy_sum(squares, _ones(squares), clip_norm=1.0, noise_multiplier=noise_multiplier)
    seen = np.maximum(total / rows, 0.0)
    spread = np.maximum(seen, max(_VISIBLE * noise_multiplier / rows, _SMALLEST_VARIANCE / len(total)))
    length = seen.sum() / (seen / spread).sum() if seen.any() else 1.0
    return np.asarray(np.sqrt(length / spread))


def _ones(rows: Matrix) -> Matrix:
    return np.ones((len(rows), 1))
