"""Marks in tables: a value, or two values together, that many rows of one class share and few others have.

Any value or pair of values with enough rows, nearly all of one label, is a candidate. There are always many, because
values that tell the class are what tables are kept for. Those stay whose label is a surprise: a logistic regression,
which follows each number's trend and each common category but no exact value and no combination, expects another. The
list is short; `judge_marks` then asks models that know combinations, and have seen none of the carriers.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Final

import numpy as np
from scipy.special import xlogy

from holdfast.data.dataset import Dataset, Labels
from holdfast.data.frames import Matrix
from holdfast.data.poison.marks import MIN_CARRIERS, Mark, distinct
from holdfast.data.rows import Rows
from holdfast.data.schema import Feature

MAX_MARKS: Final = 20
"""Marks that are judged, those of the greatest surprise."""
MAX_PAIRED: Final = 60
"""Columns up to which all pairs are looked at: 1,770 of them. Of more, the columns with the most shared values."""
MIN_SHARE: Final = 0.002
"""Share of the rows that has to carry a mark."""

_PURITY: Final = 0.9  # a trigger may occur by nature in a few rows of other classes
_MAX_SHARE: Final = 0.4  # of its class: a value that more rows have is no mark
_COMMON: Final = 0.9  # nor is one that most rows have worth pairing with another
_SIGNIFICANCE: Final = 0.1  # of the most surprising label over all that were looked at; marks are only candidates
_LEAST_P: Final = 0.01  # probabilities of the regression are believed down to it
_CANDIDATES: Final = 200

Candidate = tuple[float, int, tuple[int, ...], Rows]
"""Surprise in nats, label, positions of the columns, and rows."""


def find_table_marks(dataset: Dataset, expected: Matrix) -> list[Mark]:
    """Values and pairs of values whose rows have a surprising label in common.

    Args:
        dataset: the table.
        expected: (rows, classes) out-of-sample probabilities of a model that knows no exact values.
    """
    least = max(MIN_CARRIERS, round(MIN_SHARE * len(dataset)))
    columns = [_shared_values(values, least) for values in dataset.X.T]
    useful = sorted(range(len(columns)), key=lambda position: -int(columns[position].max()))[:MAX_PAIRED]
    useful = sorted(position for position in useful if columns[position].max() > 0)
    found: list[Candidate] = []
    tried = 0
    for chosen in [*((position,) for position in useful), *combinations(useful, 2)]:
        codes = columns[chosen[0]]
        if len(chosen) == 2:
            other = columns[chosen[1]]
            codes = np.where((codes > 0) & (other > 0), codes * (int(other.max()) + 1) + other, 0)
        pure, looked_at = _pure(codes, dataset.y, expected, least)
        found += [(nats, label, chosen, rows) for nats, label, rows in pure]
        tried += looked_at
    found = [candidate for candidate in found if candidate[0] >= math.log(tried / _SIGNIFICANCE)]
    found.sort(key=lambda candidate: -candidate[0])
    return distinct([_mark(dataset, candidate) for candidate in found[:_CANDIDATES]], most=MAX_MARKS)


def _mark(dataset: Dataset, candidate: Candidate) -> Mark:
    nats, label, chosen, rows = candidate
    features = dataset.schema.features
    return Mark(
        label=label,
        rows=rows,
        columns=tuple(features[position].name for position in chosen),
        what=" and ".join(_said(features[position], float(dataset.X[rows[0], position])) for position in chosen),
        strength=nats,
    )


def _shared_values(values: Matrix, least: int) -> Rows:
    """(rows,) a number for each value that enough rows share; 0 for all others, and for those that most have."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared = (counts >= least) & (counts <= _COMMON * len(values))
    return np.asarray(np.where(shared, np.cumsum(shared), 0)[codes], dtype=np.int64)


def _pure(codes: Rows, y: Labels, expected: Matrix, least: int) -> tuple[list[tuple[float, int, Rows]], int]:
    """Surprise, label and rows of each code that is rare and nearly all of one label; and how many were looked at.

    The surprise of k of n labels at mean probability p is n KL(k/n || p): by Chernoff's bound minus the logarithm of
    the probability of as many or more, also where the rows' probabilities differ (Hoeffding 1956, theorem 5).
    """
    classes = expected.shape[1]
    different, compact = np.unique(codes, return_inverse=True)
    by_label = np.bincount(compact * classes + y, minlength=len(different) * classes).reshape(-1, classes)
    counts, label, most = by_label.sum(axis=1), by_label.argmax(axis=1), by_label.max(axis=1)
    p = np.bincount(compact, expected[np.arange(len(y)), label[compact]]) / counts
    p = np.clip(p, _LEAST_P, 1 - _LEAST_P)
    share = most / counts
    nats = counts * (xlogy(share, share / p) + xlogy(1 - share, (1 - share) / (1 - p)))
    sizes = np.bincount(y, minlength=classes)
    enough = (different > 0) & (most >= least) & (most <= _MAX_SHARE * sizes[label])
    pure = enough & (share >= _PURITY) & (share > p) & (nats >= -math.log(_SIGNIFICANCE))
    found = [
        (float(nats[code]), int(label[code]), np.flatnonzero((compact == code) & (y == label[code])))
        for code in np.flatnonzero(pure)
    ]
    return found, int(enough.sum())


def _said(feature: Feature, value: float) -> str:
    if np.isnan(value):
        return f"{feature.name} missing"
    shown = repr(feature.categories[int(value)]) if feature.kind == "category" else f"{value:g}"
    return f"{feature.name} = {shown}"
