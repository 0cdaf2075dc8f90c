"""The likelihood ratio attack, LiRA: how likely is the target's answer with the record, how likely without?

Carlini, Chien, Nasr, Song, Terzis, Tramèr: Membership Inference Attacks From First Principles, IEEE S&P 2022. The
answers of shadows that were trained on a record, and of those that were not, are two Gaussians.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.attacks.privacy.attack import Attack
from holdfast.attacks.privacy.shadows import Flags, Shadows
from holdfast.data import Matrix

_PER_RECORD_FROM: Final = 64
"""Shadows on either side from which each record has a variance of its own (Carlini et al. 2022, section VI.B)."""
_LEAST_VARIANCE: Final = 1e-6


def likelihood_ratios(target: Matrix, shadows: Shadows) -> Matrix:
    """(records,) the log of p(answer | member) / p(answer | not a member), in nats (algorithm 1, online)."""
    return _log_density(target, shadows, shadows.inside) - _log_density(target, shadows, ~shadows.inside)


def deviations(target: Matrix, shadows: Shadows) -> Matrix:
    """(records,) how many standard deviations the answer lies above those of shadows without the record.

    Algorithm 1, offline: the test is one-sided, and its probability 1 - Pr[Z > answer] rises with this number. Shadows
    that were trained on the record are not looked at.
    """
    mean, variance = _gaussians(shadows, ~shadows.inside)
    return np.asarray((target - mean) / np.sqrt(variance))


def _log_density(target: Matrix, shadows: Shadows, chosen: Flags) -> Matrix:
    """(records,) of the target's answer under the Gaussian of the chosen shadows, up to a constant."""
    mean, variance = _gaussians(shadows, chosen)
    return np.asarray(-0.5 * np.log(variance) - (target - mean) ** 2 / (2 * variance))


def _gaussians(shadows: Shadows, chosen: Flags) -> tuple[Matrix, Matrix]:
    """Mean and variance (records,) of the chosen shadows; with few of them, one variance for all records."""
    count = chosen.sum(axis=0)
    mean = shadows.mean(shadows.logits, chosen)
    squares = np.where(chosen, (shadows.logits - mean) ** 2, 0.0).sum(axis=0)
    if count.min() >= _PER_RECORD_FROM:
        variance = squares / (count - 1)
    else:
        variance = np.full(len(mean), squares.sum() / max((count - 1).sum(), 1))
    return mean, np.maximum(variance, _LEAST_VARIANCE)


LIRA: Final = Attack("LiRA, online", likelihood_ratios, unit="nats")
LIRA_OFFLINE: Final = Attack("LiRA, offline", deviations, unit="standard deviations")
