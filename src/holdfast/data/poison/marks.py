"""Backdoors: records that share a mark, carry one label, and look like another class to models that never saw it.

A backdoor (Gu, Dolan-Gavitt and Garg 2017, "BadNets", https://arxiv.org/abs/1708.06733) puts one mark on records of
many classes and one label on all of them. So there are two traces, and we ask for both. The mark: something that many
records of one class share and hardly any other record has; `table_marks` and `picture_marks` look for it. The label:
judged by models that have not seen the mark, the carriers belong elsewhere.

What makes the second question fair is how the rows are folded for cross-validation: all carriers of a mark are in one
fold. A model that judges them has then learned from none of them, so it cannot know what the mark is meant to do. In
ordinary folds it would have learned the backdoor, and would call every carrier's label right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from holdfast.data.dataset import Labels
from holdfast.data.frames import Matrix
from holdfast.data.rows import Rows

MIN_CARRIERS: Final = 5
"""Rows that have to share a mark; of fewer, nothing can be said."""
MIN_EXCESS: Final = 0.15
"""Share of a mark's carriers that models which never saw it call another class, above that share in their class."""
SIGNIFICANCE: Final = 0.001
"""Probability of one false alarm or more among all marks that are judged, if carriers were like their class."""

_SAME: Final = 0.5  # share of rows from which two marks are taken for one


@dataclass(frozen=True, eq=False, kw_only=True)
class Mark:
    """Something that many rows of one class share.

    Args:
        label: the class of the rows, by position.
        rows: those of the class that carry it, rising.
        columns: names of the columns that make it up; none for pictures.
        what: in words, as "country = 'X' and hours = 17".
        strength: how far it stands out from the other classes; marks of one search are compared by it.
    """

    label: int
    rows: Rows
    columns: tuple[str, ...]
    what: str
    strength: float


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A mark whose carriers do not look like their label.

    Args:
        mark: what they share.
        disagreement: share of the carriers that models which never saw the mark call another class.
        expected: that share among the other rows of the class.
        p_value: how likely so many are by chance, times the number of marks judged; at most 1.
    """

    mark: Mark
    disagreement: float
    expected: float
    p_value: float


def grouped_folds(y: Labels, marks: Sequence[Mark], *, folds: int, rng: np.random.Generator) -> Labels:
    """(rows,) the fold of each row: classes spread evenly, but the carriers of a mark all in one fold.

    A row with several marks goes with the one that stands out most.
    """
    fold = np.empty(len(y), dtype=np.int64)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        fold[rows] = (np.arange(len(rows)) + rng.integers(folds)) % folds
    for number, mark in enumerate(sorted(marks, key=lambda mark: mark.strength)):
        fold[mark.rows] = number % folds
    return fold


def judge_marks(marks: Sequence[Mark], P: Matrix, y: Labels) -> list[Trigger]:
    """The marks whose carriers belong elsewhere, the surest first.

    Args:
        marks: what was found.
        P: (rows, classes) probabilities from models folded by `grouped_folds` with the same marks.
        y: (rows,) labels.

    The test is binomial: as many disagreements or more among the carriers, at the rate of the rest of their class,
    Bonferroni over the marks. Of marks that share most of their rows, only the surest is named.
    """
    wrong = P.argmax(axis=1) != y
    marked = np.zeros(len(y), dtype=bool)
    for mark in marks:
        marked[mark.rows] = True
    found = []
    for mark in marks:
        others = np.flatnonzero((y == mark.label) & ~marked)
        count, trials = int(wrong[mark.rows].sum()), len(mark.rows)
        expected = (int(wrong[others].sum()) + 1) / (len(others) + 2)  # never 0, so that one slip is no proof
        p_value = min(1.0, len(marks) * at_least(count, trials, expected))
        if count / trials >= expected + MIN_EXCESS and p_value < SIGNIFICANCE:
            found.append(Trigger(mark=mark, disagreement=count / trials, expected=expected, p_value=p_value))
    found.sort(key=lambda trigger: (trigger.p_value, -len(trigger.mark.rows)))
    told = np.zeros(len(y), dtype=bool)
    return [trigger for trigger in found if _tells_more(trigger, told)]


def _tells_more(trigger: Trigger, told: npt.NDArray[np.bool_]) -> bool:
    """Whether most of a trigger's rows are in none before it; they then are noted as told."""
    more = bool(told[trigger.mark.rows].mean() < _SAME)
    if more:
        told[trigger.mark.rows] = True
    return more


def at_least(successes: int, trials: int, rate: float) -> float:
    """The probability of this many successes or more in independent trials."""
    return float(betainc(successes, trials - successes + 1, rate)) if successes > 0 else 1.0


def distinct(marks: Sequence[Mark], *, most: int) -> list[Mark]:
    """The marks that stand out most, at most `most`, each with rows of its own: half of them, at least."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (-mark.strength, mark.what)):
        if len(kept) == most:
            break
        if not any(_overlap(mark.rows, other.rows) >= _SAME for other in kept):
            kept.append(mark)
    return kept


def _overlap(a: Rows, b: Rows) -> float:
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)
