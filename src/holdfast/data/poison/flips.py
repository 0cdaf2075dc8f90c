"""Labels flipped on purpose: one class renamed to another, in one direction, and far from where they meet.

Honest slips and hard records lie where classes meet. Whoever flips labels of a class takes any of its records, so some
of those of which models are surest now carry the other label. We count these for each pair of classes and compare with
all other pairs. Flips that go both ways at one rate are ordinary label noise, which `label_noise` estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np

from holdfast.data.dataset import Labels
from holdfast.data.frames import Matrix
from holdfast.data.poison.marks import MIN_CARRIERS, SIGNIFICANCE, at_least
from holdfast.data.rows import Rows

OVERLAP_ACCURACY: Final = 0.9
"""Accuracy below which classes overlap, and hard records reach far into them."""

_DEEP: Final = 0.5  # share of the rows predicted as a class that count as deep inside it, the surest first
_DEEP_OVERLAPPING: Final = 0.25
_SLIP_RATE: Final = 0.01  # wrong labels that any collection has, deep inside a class too
_SLIP_RATE_OVERLAPPING: Final = 0.03  # with the hard records among them; Adult as it is has 2 %


@dataclass(frozen=True, eq=False, kw_only=True)
class PairFlips:
    """Rows that look like one class beyond doubt and are labelled as another, more than other pairs have.

    Args:
        looks, labelled: the two classes, by position.
        rows: the rows, those of which models are surest first; twice as far into the class as was counted.
        share: of the rows deep inside the class that they look like.
        expected: that share in the other pairs, or 1 % (3 % where classes overlap) where it is less.
        p_value: how likely so many are by chance, times the number of pairs; at most 1.
    """

    looks: int
    labelled: int
    rows: Rows
    share: float
    expected: float
    p_value: float


def find_flips(P: Matrix, y: Labels) -> list[PairFlips]:
    """The pairs of classes with too many such rows, the surest first.

    Args:
        P: (rows, classes) out-of-sample probabilities.
        y: (rows,) labels.
    """
    classes = P.shape[1]
    predicted = P.argmax(axis=1)
    apart = float(np.mean(predicted == y)) >= OVERLAP_ACCURACY
    share, slips = (_DEEP, _SLIP_RATE) if apart else (_DEEP_OVERLAPPING, _SLIP_RATE_OVERLAPPING)
    ranked = [_surest_first(P[:, label], np.flatnonzero(predicted == label)) for label in range(classes)]
    deep = [rows[: round(share * len(rows))] for rows in ranked]
    counts = np.array([np.bincount(y[rows], minlength=classes) for rows in deep])
    sizes = counts.sum(axis=1)
    all_wrong = counts.sum() - np.trace(counts)
    pairs = list(permutations(range(classes), 2))
    found = []
    for looks, labelled in pairs:
        count, size = int(counts[looks, labelled]), int(sizes[looks])
        others = (classes - 1) * int(sizes.sum()) - size
        expected = max(slips, (int(all_wrong) - count + 1) / (others + 1))
        p_value = min(1.0, len(pairs) * at_least(count, size, min(expected, 1.0)))
        if count >= MIN_CARRIERS and p_value < SIGNIFICANCE:
            rows = ranked[looks][: 2 * size]
            found.append(
                PairFlips(
                    looks=looks,
                    labelled=labelled,
                    rows=rows[y[rows] == labelled],
                    share=count / size,
                    expected=expected,
                    p_value=p_value,
                )
            )
    return sorted(found, key=lambda flips: flips.p_value)


def _surest_first(own: Matrix, rows: Rows) -> Rows:
    return rows[np.argsort(-own[rows], kind="stable")]
