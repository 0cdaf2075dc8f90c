"""Robust accuracy by how much may be changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.data import Matrix

_POINTS: Final = 41
CURVE_REACH: Final = 4.0
"""The security curve of an exact attack goes on to this many times the budget."""
TOLERANCE: Final = 1e-9
"""Distances that are one for floating point."""


@dataclass(frozen=True, eq=False)
class SecurityCurve:
    """Robust accuracy by budget, in the unit of the threat; both (points,)."""

    budgets: Matrix
    robust_accuracy: Matrix


def security_curve(correct: npt.NDArray[np.bool_], distance: Matrix, budget: float, *, exact: bool) -> SecurityCurve:
    """The share of rows that are right and stay right at each budget; a search knows nothing beyond its own.

    Args:
        correct: (n,) whether the model was right before.
        distance: (n,) smallest known that flips the decision, in the unit of the threat; infinite where none is known.
        budget: of the threat.
        exact: whether distances are known beyond the budget too.
    """
    budgets = np.linspace(0.0, min(1.0, CURVE_REACH * budget) if exact else budget, _POINTS)
    robust = correct[:, None] & (distance[:, None] > budgets + TOLERANCE)
    return SecurityCurve(budgets, robust.mean(axis=0))
