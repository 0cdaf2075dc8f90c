"""Private ranges: between which powers of 8 the numbers of each column lie, learned with noise.

A range that is read from the records tells of their extremes. Here every column is counted into the same public
bins, from 8**-5 to 8**13 on either side of 0, and the counts are released with noise. A range reaches over the bins in
which the noise lets one see records; what lies outside is later moved to the nearest end. Where nothing can be seen
the range is `UNSEEN`, so a small table falls back to what fits columns that a person has scaled.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.data import Matrix
from holdfast.training.account.budget import Part
from holdfast.training.release.mechanism import noisy_histogram

_POWERS: Final = 8.0 ** np.arange(-5, 14)
EDGES: Final = np.concatenate([-_POWERS[::-1], [0.0], _POWERS])
"""The ends of the bins; the first and the last bin hold everything beyond as well."""
UNSEEN: Final = (-8.0, 8.0)
_VISIBLE: Final = 5.0
"""Standard deviations of the noise; among 38 bins of 100 columns, noise alone reaches it once in 900 trainings."""


def range_part(columns: int, *, share: float) -> Part:
    """What learning the ranges of so many columns takes."""
    return Part(share=share, count=1, width=columns * (len(EDGES) - 1))


def learn_ranges(X: Matrix, *, noise_multiplier: float) -> Matrix:
    """(columns, 2) the lower and upper end of a range for each column of finite numbers."""
    columns = X.shape[1]
    bins = np.searchsorted(EDGES[1:-1], X, side="right")
    (counts,) = noisy_histogram(
        bins,
        np.ones((len(X), 1)),
        size=len(EDGES) - 1,
        clip_norm=float(np.sqrt(columns)),
        noise_multiplier=noise_multiplier,
    )
    visible = counts > _VISIBLE * noise_multiplier * np.sqrt(columns)
    first, last = visible.argmax(axis=1), visible.shape[1] - 1 - visible[:, ::-1].argmax(axis=1)
    ranges = np.column_stack([EDGES[first], EDGES[last + 1]])
    return np.where(visible.any(axis=1)[:, None], ranges, UNSEEN)
