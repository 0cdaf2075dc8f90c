"""Whether data are still like the version that was accepted: column by column, and all columns together.

Column by column, the counts of a `Profile` are compared by the chi-squared test of homogeneity, and Holm's correction
(1979) keeps the chance of one false alarm or more among all columns at 1 %. In large tables every trifle is
significant, so a shift counts from a distance on: the share of rows that would have to move to another bin.

All columns together take both tables: a classifier is trained to tell them apart on one half, and its accuracy on the
other half says how far it can (Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545). One half is guessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaincc

from holdfast.data.dataset import Dataset
from holdfast.data.findings import DataFinding
from holdfast.data.frames import Matrix
from holdfast.data.manifest import schema_digest
from holdfast.data.one_thread import one_thread
from holdfast.data.profile import Profile, count_rows
from holdfast.errors import UsageError
from holdfast.evidence import Figure
from holdfast.intervals import proportion

SIGNIFICANCE: Final = 0.01
"""Probability of one false alarm or more among all columns of data that did not shift."""
MIN_DISTANCE: Final = 0.05
"""Share of the rows that lie in other bins from which a shift is worth a look."""
SERIOUS_DISTANCE: Final = 0.2

_MIN_COMPARED: Final = 20
_MAX_COMPARED: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class ColumnShift:
    """A column whose values are distributed otherwise than before.

    Args:
        name: of the feature, or of the target.
        distance: total variation distance between the counts: the share of rows in other bins, 0 to 1.
        p_value: adjusted for all columns by Holm's method.
    """

    name: str
    distance: float
    p_value: float


def find_shift(profile: Profile, dataset: Dataset) -> tuple[ColumnShift, ...]:
    """The columns that shifted since the profile, the farthest first.

    Raises:
        UsageError: the profile is of another schema.
    """
    sizes = (len(dataset.schema.features), len(dataset.schema.classes))
    if profile.schema_digest != schema_digest(dataset) or (len(profile.columns), len(profile.classes)) != sizes:
        raise UsageError(
            "expected a profile of the same schema, got one of another", hint="make a profile under this schema first"
        )
    pairs = [
        (name, counts.rows, count_rows(values, counts.edges))
        for name, counts, values in zip(dataset.schema.names, profile.columns, dataset.X.T, strict=True)
    ]
    now = np.bincount(dataset.y, minlength=len(profile.classes)).tolist()
    pairs.append((dataset.schema.target, profile.classes, tuple(now)))
    tested = [(_p_value(before, after), _distance(before, after), name) for name, before, after in pairs]
    found, floor = [], 0.0
    for rank, (p_value, distance, name) in enumerate(sorted(tested)):
        floor = max(floor, min(1.0, (len(tested) - rank) * p_value))
        if floor < SIGNIFICANCE and distance >= MIN_DISTANCE:
            found.append(ColumnShift(name=name, distance=distance, p_value=floor))
    return tuple(sorted(found, key=lambda shift: -shift.distance))


def shift_findings(shifts: tuple[ColumnShift, ...]) -> tuple[DataFinding, ...]:
    """Shifted columns as findings."""
    return tuple(
        DataFinding(
            check="shift",
            severity="serious" if shift.distance >= SERIOUS_DISTANCE else "warning",
            sentence=(
                f"{shift.name!r} has shifted since the accepted version: {shift.distance:.0%} of the rows lie elsewhere"
            ),
            advice="find out what changed at the source before training on both together",
            columns=(shift.name,),
        )
        for shift in shifts
    )


@one_thread()
def tell_apart(before: Dataset, after: Dataset, *, rng: np.random.Generator) -> Figure:
    """How often a classifier tells which of two tables an unseen row is from: .5 is guessing, 1 is always.

    Equally many rows of both are used, drawn at random, and rows that both have only in one of the halves.

    Raises:
        UsageError: other schemas, or a table of fewer than 20 rows.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if before.schema != after.schema or min(len(before), len(after)) < _MIN_COMPARED:
        raise UsageError(f"expected two tables of one schema with {_MIN_COMPARED} rows or more")
    count = min(len(before), len(after), _MAX_COMPARED)
    drawn = [_with_label(table, rng.choice(len(table), count, replace=False)) for table in (before, after)]
    rows, source = np.vstack(drawn), np.repeat([0, 1], count)
    same = np.unique(np.nan_to_num(rows, nan=np.inf), axis=0, return_inverse=True)[1].ravel()
    half = rng.integers(0, 2, same.max() + 1)[same]
    forest = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=0)
    forest.fit(rows[half == 0], source[half == 0])
    right = forest.predict(rows[half == 1]) == source[half == 1]
    return proportion(int(right.sum()), len(right))


def _with_label(table: Dataset, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Matrix:
    return np.column_stack([table.X[rows], table.y[rows]]).astype(np.float64)


def _p_value(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    """Chi-squared test that two rows of counts come from one distribution."""
    table = np.array([before, after], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(gammaincc((table.shape[1] - 1) / 2, statistic / 2))


def _distance(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    one, two = (np.array(counts, dtype=np.float64) / max(sum(counts), 1) for counts in (before, after))
    return float(np.abs(one - two).sum() / 2)
