"""Figures with honest intervals: proportions, differences of them, AUC, and the true positive rate at a small FPR.

Every interval is two-sided at `CONFIDENCE`: proportions and TPR at FPR cover the truth at least that often, differences
and AUC about that often. None of them collapses to a point where all records agree, as Wald, DeLong
and bootstrap intervals do: a perfect result on few records is not certainty.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import brentq

from holdfast.errors import DataError
from holdfast.evidence import Bound, Figure
from holdfast.intervals import CONFIDENCE, clopper_pearson

_EDGE: Final = 1e-9
"""A step off 0 and 1, which are roots of every score test without being an interval's end."""

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


def difference(first: Flags, second: Flags, *, bound: Bound = "estimate") -> Figure:
    """Share of true in `first` minus that in `second`, two independent samples.

    Hybrid score interval (Newcombe, Statistics in Medicine 17:873, 1998, method 10).
    """
    (p1, below1, above1), (p2, below2, above2) = _wilson(first), _wilson(second)
    gap = p1 - p2
    return _figure(gap, gap - math.hypot(below1, above2), gap + math.hypot(above1, below2), CONFIDENCE, bound)


def paired_difference(first: Flags, second: Flags) -> Figure:
    """Share of true in `first` minus that in `second`, the same records in the same order.

    Hybrid score interval for paired data (Newcombe, Statistics in Medicine 17:2635, 1998, method 10).
    """
    (p1, below1, above1), (p2, below2, above2) = _wilson(first), _wilson(second)
    gap, phi = p1 - p2, _cautious_correlation(first, second)
    low = gap - math.sqrt(max(below1**2 - 2 * phi * below1 * above2 + above2**2, 0.0))
    high = gap + math.sqrt(max(above1**2 - 2 * phi * above1 * below2 + below2**2, 0.0))
    return _figure(gap, low, high, CONFIDENCE, "estimate")


def auc(positives: Scores, negatives: Scores, *, bound: Bound = "estimate") -> Figure:
    """The chance that a positive scores above a negative, ties counting half.

    The interval inverts a score test with the variance of Hanley and McNeil (Newcombe, Statistics in Medicine 25:559,
    2006, method 5); it needs neither large samples nor untied scores.
    """
    m, n = len(positives), len(negatives)
    ranks = stats.rankdata(np.concatenate([positives, negatives]))
    theta = float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))
    z, half = stats.norm.ppf(0.5 + CONFIDENCE / 2), (m + n) / 2 - 1

    def excess(at: float) -> float:
        spread = 1 + half * ((1 - at) / (2 - at) + at / (1 + at))
        return float((theta - at) ** 2 - z**2 * at * (1 - at) * spread / (m * n))

    low = brentq(excess, 0.0, min(theta, 1 - _EDGE)) if theta > 0 else 0.0
    high = brentq(excess, max(theta, _EDGE), 1.0) if theta < 1 else 1.0
    return _figure(theta, low, high, CONFIDENCE, bound)


def tpr_at_fpr(positives: Scores, negatives: Scores, *, fpr: float, bound: Bound = "estimate") -> Figure:
    """The share of positives found by a threshold that at most a share `fpr` of negatives passes.

    Two things are uncertain: where that threshold lies, since few negatives lie near it, and the share of positives
    above it. Half of the error probability goes to each: the first by order statistics (binomial, distribution-free),
    the second by Clopper and Pearson. With fewer negatives than about 4 / fpr the lower end is 0, as it must be.
    """
    error = (1 - CONFIDENCE) / 2
    n, m = len(negatives), len(positives)
    falling = np.concatenate([[np.inf], np.sort(negatives)[::-1], [-np.inf]])  # falling[k] is the k-th largest
    at_most = int(stats.binom.ppf(1 - error / 2, n, fpr))
    at_least = int(stats.binom.ppf(error / 2, n, fpr))
    found = int((positives > falling[math.floor(fpr * n + _EDGE) + 1]).sum())
    low, _ = clopper_pearson(int((positives >= falling[at_least]).sum()), m, confidence=1 - error)
    _, high = clopper_pearson(int((positives > falling[min(at_most + 1, n + 1)]).sum()), m, confidence=1 - error)
    return _figure(found / m, low, high, CONFIDENCE, bound)


def worst_difference(positives: Scores, negatives: Scores) -> float:
    """The largest TPR - FPR over all thresholds: what an attacker would have who knew the best one beforehand."""
    thresholds = np.unique(np.concatenate([positives, negatives]))
    tpr = 1 - np.searchsorted(np.sort(positives), thresholds, side="left") / len(positives)
    fpr = 1 - np.searchsorted(np.sort(negatives), thresholds, side="left") / len(negatives)
    return float(max((tpr - fpr).max(), 0.0))


def _wilson(flags: Flags) -> tuple[float, float, float]:
    """A share, and how far its Wilson score interval reaches below and above it."""
    if len(flags) == 0:
        raise DataError("a difference of proportions needs at least one record on both sides")
    n, p, z = len(flags), float(np.mean(flags)), float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return p, max(p - centre + reach, 0.0), max(centre + reach - p, 0.0)


def _cautious_correlation(first: Flags, second: Flags) -> float:
    """The correlation of two columns of flags with Newcombe's continuity correction; 0 where it is not defined."""
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    only1, only2 = int((first & ~second).sum()), int((~first & second).sum())
    product = (both + only1) * (only2 + neither) * (both + only2) * (only1 + neither)
    if product == 0:
        return 0.0
    excess = both * neither - only1 * only2
    corrected = max(excess - len(first) / 2, 0.0) if excess > 0 else excess
    return float(corrected / math.sqrt(product))


def _figure(value: float, low: Any, high: Any, confidence: float, bound: Bound) -> Figure:
    """A figure whose interval encloses it in floating point too."""
    return Figure(value=value, low=min(low, value), high=max(high, value), confidence=confidence, bound=bound)
