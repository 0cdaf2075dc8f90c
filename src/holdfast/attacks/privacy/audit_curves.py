"""What a claim of privacy lets an attacker do: the trade-off between its two errors, as a curve.

A curve goes from a true positive rate to the least false positive rate with which any test can tell whether one record
was there (Dong, Roth and Su, "Gaussian differential privacy", 2022, definition 2.1, read from the other side). All
curves here are symmetric: they hold for a record that joins and for one that leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri

from holdfast.data import Matrix
from holdfast.errors import UsageError

Curve = Callable[[Matrix], Matrix]
"""From rates, an array of any shape, to one rate for each."""

_HALVINGS: Final = 30
_LOG_MU: Final = (math.log(1e-300), math.log(1e4))
_LARGEST_EXPONENT: Final = 600.0
"""Of lines in a curve; no float between 0 and 1 is near enough to an end to tell a steeper one from it."""
MAX_CLAIM: Final = 1e6
"""A larger epsilon claims nothing, and is beyond what floats can tell."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of privacy: (epsilon, delta), and the curve of the mechanism that is said to give it.

    Args:
        epsilon: claimed upper bound, from 0 to `MAX_CLAIM`.
        delta: above 0 and below 1.
        curve: what the claimed mechanism lets an attacker do; `gaussian`, `approximate` and `profile` make claims.

    Raises:
        UsageError: an epsilon or a delta that claims nothing.
    """

    epsilon: float
    delta: float
    curve: Curve

    def __post_init__(self) -> None:
        """Refuse a claim that nothing could contradict."""
        check_claim(epsilon=self.epsilon, delta=self.delta)


def check_claim(*, epsilon: float, delta: float) -> None:
    """Refuse a claim that says nothing.

    Raises:
        UsageError: saying which of the two, and what it may be.
    """
    if not 0 <= epsilon <= MAX_CLAIM:
        raise UsageError(f"expected a claimed epsilon from 0 to {MAX_CLAIM:,.0f}, got {epsilon}")
    if not 0 < delta < 1:
        raise UsageError(f"expected a claimed delta above 0 and below 1, got {delta}")


def gaussian(epsilon: float, delta: float) -> Claim:
    """The claim of a Gaussian mechanism, or of several composed, that has exactly this epsilon at this delta.

    Noisy sums over all records are such a mechanism whatever their number (Dong, Roth and Su 2022, corollary 3.3);
    sums over samples are not: for them see `profile`.
    """
    check_claim(epsilon=epsilon, delta=delta)
    mu = gaussian_mu(epsilon, delta)
    return Claim(epsilon=epsilon, delta=delta, curve=lambda rates: np.asarray(ndtr(ndtri(rates) - mu)))


def approximate(epsilon: float, delta: float) -> Claim:
    """The claim of (epsilon, delta) and no more, whatever the mechanism."""
    check_claim(epsilon=epsilon, delta=delta)
    return profile(np.array([epsilon]), np.array([delta]), epsilon=epsilon, delta=delta)


def profile(epsilons: Matrix, deltas: Matrix, *, epsilon: float, delta: float) -> Claim:
    """The claim of a mechanism that is (epsilons[i], deltas[i])-private for every i at once.

    That is what an accountant knows of a mechanism: its privacy profile, for both directions (add and remove). The
    curve is the highest line of Dong, Roth and Su 2022, proposition 2.5. More points make the audit sharper.

    Raises:
        UsageError: columns of different lengths, or without a number.
    """
    if epsilons.shape != deltas.shape or epsilons.ndim != 1 or len(epsilons) == 0:
        raise UsageError(f"expected as many deltas as epsilons, got {deltas.shape} for {epsilons.shape}")
    if not (np.isfinite(epsilons).all() and ((deltas >= 0) & (deltas <= 1)).all()):
        raise UsageError("expected a privacy profile of finite epsilons and deltas from 0 to 1")
    bounded = np.clip(epsilons, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    shrink, grow = np.exp(-bounded), np.exp(bounded)

    def curve(rates: Matrix) -> Matrix:
        each = np.asarray(rates)[..., None]
        lines = np.maximum(shrink * (each - deltas), 1 - deltas - grow * (1 - each))
        return np.asarray(np.maximum(lines.max(axis=-1), 0.0))

    return Claim(epsilon=epsilon, delta=delta, curve=curve)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """The mu of the Gaussian mechanism with exactly this epsilon at this delta (Balle and Wang 2018, theorem 8)."""

    def excess(log_mu: float) -> float:
        mu = math.exp(log_mu)
        first, second = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
        return float(math.exp(first) - math.exp(second) - delta)

    return math.exp(brentq(excess, *_LOG_MU, xtol=1e-13))


def accuracy_of_surest(curve: Curve, shares: Matrix) -> Matrix:
    """The largest share of right guesses about fair coins, given only the surest ones, rounded up.

    Whoever guesses in both directions where the evidence is strongest is right in `rate` and wrong in curve(rate) of
    all cases, and guesses in the sum of the two. For a share of 1, both error rates are equal.

    Args:
        curve: what the evidence may tell.
        shares: of the coins that are guessed, above 0 and at most 1.
    """
    low, high = np.zeros_like(shares), np.ones_like(shares)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = middle + curve(middle) >= shares
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.minimum(high / shares, 1.0)
