"""Linear regression with differential privacy: one noisy matrix of second moments, and a ridge fitted to it.

    rows, target ── learn_standardiser ──> centre, spread, number          (three noisy sums)
                 ── noisy_sum ──> second moments of features and target     (one noisy sum)
                 ── ridge ──> coefficients                                  (no record is looked at again)

Wang, "Revisiting differentially private linear regression", UAI 2018 (AdaSSP): the moments are sufficient, and a ridge
that grows with their noise keeps it from blowing up. A record is clipped as a whole, so one that lies far out counts
less in all moments alike: the fit is then a weighted one and not a crooked one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast import limits
from holdfast.data import Matrix
from holdfast.errors import UnsupportedError
from holdfast.training.account.budget import Part
from holdfast.training.account.events import NoisySums
from holdfast.training.release.mechanism import noisy_sum, on_grid
from holdfast.training.tables.standardise import SHARES, learn_standardiser, standardiser_parts

CLIP_NORM: Final = 0.7
"""L2 bound on a record's moments. A typical standardised record with its constant entry has 1.2, so most count less."""

_CONSTANT: Final = 0.4
"""The constant entry that goes with the intercept, as in logistic regression."""
_RIDGE: Final = 1.5
"""The ridge, in standard deviations of the noise times the root of the width, which is about its largest eigenvalue."""


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A linear function of encoded rows.

    Args:
        coef: (width,) one for each encoded column.
        intercept: its value where all columns are 0.
    """

    coef: Matrix
    intercept: float


def moments_parts(width: int) -> tuple[Part, ...]:
    """What a fit takes, for so many encoded columns and a target.

    Raises:
        UnsupportedError: there are more columns than private training takes.
    """
    if (width + 2) ** 2 > limits.MAX_ENCODED_WIDTH:
        most = int(limits.MAX_ENCODED_WIDTH**0.5) - 2
        raise UnsupportedError(
            f"private linear regression takes up to {most} encoded columns, got {width}",
            hint="leave out categories or features",
        )
    return (*standardiser_parts(width + 1), Part(share=1 - sum(SHARES), count=1, width=(width + 2) ** 2))


def fit_moments(encoded: Matrix, target: Matrix, events: Sequence[NoisySums], *, features: int) -> LinearFit:
    """Take the noisy sums of these events, those of `moments_parts`.

    Args:
        encoded: (n, width) in [-1, 1].
        target: (n,) in [-1, 1].
        events: in their order.
        features: from how many features `encoded` comes; see `learn_standardiser`.
    """
    *noises, noise = (event.noise_multiplier for event in events)
    records = np.column_stack([encoded, target])
    standard = learn_standardiser(records, features=features + 1, noise_multipliers=noises)
    constant = np.full((len(records), 1), on_grid(np.array(_CONSTANT)))
    rows = np.hstack([standard.apply(records), constant])
    moments = noisy_sum(rows, rows, clip_norm=CLIP_NORM, noise_multiplier=noise)
    weights = _ridge((moments + moments.T) / 2, noise=CLIP_NORM * noise)
    spread = standard.stretch[-1]
    coef = weights[:-1] * standard.stretch[:-1] / spread
    intercept = standard.centre[-1] + weights[-1] * _CONSTANT / spread - coef @ standard.centre[:-1]
    return LinearFit(coef=coef, intercept=float(intercept))


def _ridge(moments: Matrix, *, noise: float) -> Matrix:
    """(width + 1,) the weights of the features and the constant entry; the target is the last column but one."""
    target = len(moments) - 2
    others = np.delete(np.arange(len(moments)), target)
    values, vectors = np.linalg.eigh(moments[np.ix_(others, others)])
    ridge = _RIDGE * noise * len(others) ** 0.5
    seen = np.maximum(values, 0.0)  # a matrix of moments has no negative eigenvalue; noise may
    return np.asarray(vectors @ ((vectors.T @ moments[others, target]) / (seen + ridge)))
