"""Exact confidence intervals of shares: one formula for every room that counts."""

from __future__ import annotations

from typing import Final

from scipy.special import betaincinv

from holdfast.errors import UsageError
from holdfast.evidence import Bound, Figure

CONFIDENCE: Final = 0.95


def clopper_pearson(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of a share of independent trials (Clopper and Pearson 1934).

    The quantiles of the beta distribution come from the inverse of the incomplete beta function, which is what they
    are, and spare the import of a whole statistics package.

    Raises:
        UsageError: no trial, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise UsageError(f"a share needs 0 to {trials} successes in at least one trial, got {successes} in {trials}")
    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return low, high


def proportion(successes: int, trials: int, *, confidence: float = CONFIDENCE, bound: Bound = "estimate") -> Figure:
    """A share with its exact interval.

    Raises:
        UsageError: no trial, or more successes than trials.
    """
    low, high = clopper_pearson(successes, trials, confidence=confidence)
    value = successes / trials
    return Figure(value=value, low=min(low, value), high=max(high, value), confidence=confidence, bound=bound)
