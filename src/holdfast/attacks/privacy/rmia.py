"""The robust membership inference attack, RMIA: is the record favoured more than other records are?

Zarifzadeh, Liu, Shokri: Low-Cost High-Power Membership Inference Attacks, ICML 2024. The target's probability of a
record's class, over that of models at large, is compared with the same ratio of other records.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import expit

from holdfast.attacks.privacy.attack import Attack
from holdfast.attacks.privacy.shadows import Shadows
from holdfast.data import Matrix


def pairwise_ratios(target: Matrix, shadows: Shadows) -> Matrix:
    """(records,) the share of the records that this one dominates, 0 to 1 (equations 2 and 3, gamma = 1).

    Pr(x) is the mean of the shadows with the record and of those without, each side counting half.
    """
    P = expit(shadows.logits)
    with_record, without = shadows.mean(P, shadows.inside), shadows.mean(P, ~shadows.inside)
    return _dominated(expit(target) / (0.5 * (with_record + without)))


def pairwise_ratios_offline(target: Matrix, shadows: Shadows) -> Matrix:
    """(records,) the same from shadows without the record: Pr(x) = ((1 + a) p_out + 1 - a) / 2.

    What a record's own shadows would say is taken to be p_in = a p_out + 1 - a. The paper tunes `a` on shadows; here it
    is how much of the doubt 1 - p training leaves, on average over all records, which an attacker knows from his own.
    """
    P = expit(shadows.logits)
    a = min((1 - P)[shadows.inside].mean() / (1 - P)[~shadows.inside].mean(), 1.0)
    return _dominated(expit(target) / (0.5 * ((1 + a) * shadows.mean(P, ~shadows.inside) + 1 - a)))


def _dominated(ratio: Matrix) -> Matrix:
    """(records,) the share of ratios that lie below each, ties counting half."""
    ordered = np.sort(ratio)
    below = np.searchsorted(ordered, ratio, side="left") + np.searchsorted(ordered, ratio, side="right")
    return np.asarray(below / (2 * len(ratio)))


RMIA: Final = Attack("RMIA, online", pairwise_ratios)
RMIA_OFFLINE: Final = Attack("RMIA, offline", pairwise_ratios_offline)
