"""Rows that stand out: repeated, nearly repeated, contradicting each other, or far from all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.data.dataset import Dataset
from holdfast.data.frames import Matrix
from holdfast.data.schema import Feature

Rows = npt.NDArray[np.int64]

MIN_NEAR_COLUMNS: Final = 5
"""Features below which two rows that are equal in all but one of them say nothing."""
NEAR_STEPS: Final = 1_000
"""Steps into which the middle 90 % of a column is divided; numbers of one step count as nearly equal."""
OUTLIER_SHARE: Final = 0.01
"""Share of rows listed as outliers. It is chosen, not measured: every data set has a most unusual hundredth."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Repetitions:
    """Rows that occur again.

    Args:
        repeated: rows equal to an earlier one in every feature and in the label.
        contradicting: rows equal to another in every feature, where the labels differ; all of them.
        near: rows that equal an earlier, different row nearly: in all features but one, to a thousandth of its spread.
    """

    repeated: Rows
    contradicting: Rows
    near: Rows


def find_repetitions(dataset: Dataset, *, rng: np.random.Generator) -> Repetitions:
    """Look for repeated, contradicting and nearly repeated rows, all of them. O(features rows log rows).

    `rng` keys the 64-bit hashes under which nearly equal rows meet.
    """
    group = _groups(dataset.X)
    labelled = _groups(np.column_stack([group, dataset.y]).astype(np.float64))
    contradicting = np.zeros(len(dataset), dtype=bool)
    order = np.lexsort((dataset.y, group))
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0])
    ends = np.r_[starts[1:], len(order)]
    mixed = dataset.y[order[starts]] != dataset.y[order[ends - 1]]
    contradicting[order] = np.repeat(mixed, ends - starts)
    return Repetitions(
        repeated=_later(labelled),
        contradicting=np.flatnonzero(contradicting),
        near=_near(dataset, group, rng),
    )


def _groups(X: Matrix) -> Rows:
    """(rows,) a number for each row, the same for equal rows; NaN equals NaN, as a data set has only one."""
    rows = np.ascontiguousarray(X).view(np.dtype((np.void, X.shape[1] * 8))).ravel()
    return np.unique(rows, return_inverse=True)[1].astype(np.int64)


def _later(group: Rows) -> Rows:
    """The rows whose group has occurred before."""
    first = np.unique(group, return_index=True)[1]
    return np.setdiff1d(np.arange(len(group)), first)


def _near(dataset: Dataset, group: Rows, rng: np.random.Generator) -> Rows:
    """Rows that meet an earlier row of another group under the sum of all column hashes but one."""
    X = dataset.X
    if X.shape[1] < MIN_NEAR_COLUMNS:
        return np.empty(0, dtype=np.int64)
    hashes = np.column_stack(
        [_hashes(_steps(values, feature), rng) for values, feature in zip(X.T, dataset.schema.features, strict=True)]
    )
    total = hashes.sum(axis=1, dtype=np.uint64)
    distinct = np.sort(np.unique(group, return_index=True)[1])
    near = np.zeros(len(X), dtype=bool)
    for column in hashes.T:
        rest = (total - column)[distinct]
        near[distinct[_later(np.unique(rest, return_inverse=True)[1])]] = True
    return np.flatnonzero(near)


def _steps(values: Matrix, feature: Feature) -> Matrix:
    """Numbers rounded to a thousandth of the spread of their column; categories and small counts stay as they are."""
    present = values[~np.isnan(values)]
    if feature.kind == "category" or len(present) == 0:
        return values
    if feature.kind == "integer" and len(np.unique(present)) <= NEAR_STEPS:
        return values
    low, high = np.quantile(present, [0.05, 0.95])
    return np.round((values - low) / ((high - low) / NEAR_STEPS)) if high > low else values


def _hashes(values: Matrix, rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """A random 64-bit number for each different value of a column."""
    different, codes = np.unique(values, return_inverse=True)
    return rng.integers(2**64, size=len(different), dtype=np.uint64)[codes]


def outlier_scores(dataset: Dataset, *, rng: np.random.Generator) -> Matrix:
    """(rows,) how easily a row is set apart from the others by random cuts, 0 to 1.

    An isolation forest of 100 trees on 256 rows each (Liu, Ting and Zhou 2008, https://doi.org/10.1109/ICDM.2008.17).
    Missing values count as the column's median.
    """
    from sklearn.ensemble import IsolationForest

    missing = np.isnan(dataset.X)
    medians = [
        float(np.median(values[~gone])) if not gone.all() else 0.0
        for values, gone in zip(dataset.X.T, missing.T, strict=True)
    ]
    X = np.where(missing, medians, dataset.X)
    forest = IsolationForest(n_estimators=100, random_state=int(rng.integers(2**31))).fit(X)
    return np.asarray(-forest.score_samples(X), dtype=np.float64)


def find_outliers(scores: Matrix) -> Rows:
    """The hundredth of rows with the highest scores, highest first; at least one row."""
    count = max(1, round(OUTLIER_SHARE * len(scores)))
    return np.argsort(-scores, kind="stable")[:count].astype(np.int64)
