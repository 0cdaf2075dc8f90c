"""What an attack on membership is: a score for each record, and the threshold that the shadows suggest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.attacks.privacy.shadows import Flags, Shadows
from holdfast.data import Matrix

_ATTACKED_SHADOWS: Final = 16
"""Shadows that a threshold is chosen on; with more, it hardly moves."""


@dataclass(frozen=True)
class Attack:
    """An attack on membership.

    Args:
        name: as reports show it.
        scores: from the target's logits (records,) and the shadows, a finite score for each record (records,); the
            higher, the more it looks like a member.
        unit: of a score; "" for a pure number.
    """

    name: str
    scores: Callable[[Matrix, Shadows], Matrix]
    unit: str = ""

    def threshold(self, shadows: Shadows) -> float:
        """The score above which a record is called a member, chosen without the target.

        Each of some shadows is attacked with the help of the others. Who their members are is known, and the threshold
        that tells them best is taken.
        """
        attacked = range(min(len(shadows), _ATTACKED_SHADOWS))
        scores = [self.scores(shadows.logits[shadow], shadows.without(shadow)) for shadow in attacked]
        return best_threshold(np.concatenate(scores), shadows.inside[: len(attacked)].ravel())


def best_threshold(scores: Matrix, member: Flags) -> float:
    """The threshold with the largest TPR - FPR, half-way between two scores; the highest score where none helps."""
    order = np.argsort(-scores, kind="stable")
    falling, flags = scores[order], member[order]
    gap = np.cumsum(flags) / max(flags.sum(), 1) - np.cumsum(~flags) / max((~flags).sum(), 1)
    cuts = np.flatnonzero(np.diff(falling) < 0)
    if len(cuts) == 0 or gap[cuts].max() <= 0:
        return float(falling[0])
    best = int(cuts[np.argmax(gap[cuts])])
    return float((falling[best] + falling[best + 1]) / 2)
