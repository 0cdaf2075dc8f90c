"""The one number that attacks on membership look at: how sure a model is of a record's own class."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.data import Labels, Matrix

_LEAST_PROBABILITY: Final = 1e-12
"""What 0 and 1 are moved to, so that every logit is finite: at most 28 in size."""


def own_class_logit(P: Matrix, y: Labels) -> Matrix:
    """(records,) log(p / (1 - p)) of the probability of each record's own class.

    1 - p is the sum of the other classes, which keeps its digits where p is close to 1 (Carlini et al. 2022, section
    VI.A, whose scaling it is).

    Args:
        P: (records, classes) probabilities.
        y: (records,) the records' classes.
    """
    rows = np.arange(len(y))
    others = P.copy()
    others[rows, y] = 0.0
    own, rest = np.maximum(P[rows, y], _LEAST_PROBABILITY), np.maximum(others.sum(axis=1), _LEAST_PROBABILITY)
    return np.asarray(np.log(own) - np.log(rest), dtype=np.float64)
