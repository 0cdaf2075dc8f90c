"""What an accepted data set looked like, in counts: enough to see a later one drift, and no record.

A profile has for each feature how many rows fall between a few edges, how many are missing, and how many rows each
class has. The edges lie on a public grid, hundredths of the schema's range, and so tell no value; no count of a bin is
below ten, because neighbours are joined until it is not, and rare categories are counted together. A profile is not
differentially private: whoever knows all other rows can tell whether one more was counted. Keep it with the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holdfast import limits
from holdfast.data.dataset import Dataset
from holdfast.data.frames import Matrix
from holdfast.data.manifest import schema_digest
from holdfast.data.schema import Feature
from holdfast.errors import UsageError, WireError
from holdfast.evidence import is_finite_number

FORMAT: Final = "holdfast-profile-1"
BINS: Final = 10
"""Bins of about equally many rows into which the range of a number is divided, at most."""
MIN_COUNT: Final = 10
"""Rows that a bin has at least, but for the last one of a feature with fewer rows."""
GRID: Final = 100
"""Steps of the public grid over a feature's range on which edges may lie."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Rows by value of one column.

    Args:
        edges: inner edges, rising: a value is in the bin of the edges at or below it. For a category, positions.
        rows: rows in each bin, one more than edges; the last further number counts missing values.
    """

    edges: tuple[float, ...]
    rows: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse counts that do not fit their edges."""
        rising = all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False))
        if len(self.rows) != len(self.edges) + 2 or min(self.rows) < 0 or not rising:
            raise UsageError("a profile needs rising edges, a count for each bin and one of missing values")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The counts of a data set. Make one with `build_profile`.

    Args:
        schema_digest: SHA-256 of the schema.
        columns: counts by feature, in the schema's order.
        classes: rows of each class.
    """

    schema_digest: str
    columns: tuple[Counts, ...]
    classes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The profile as JSON; `from_json` is its inverse."""
        return {
            "format": FORMAT,
            "schema_digest": self.schema_digest,
            "columns": [{"edges": list(column.edges), "rows": list(column.rows)} for column in self.columns],
            "classes": list(self.classes),
        }

    @classmethod
    def from_json(cls, document: object) -> Profile:
        """Read a profile back.

        Raises:
            WireError: not a profile of a format that this version knows.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise WireError(f"expected a profile in the format {FORMAT}, got {str(document)[:40]!r}")
        if set(document) != {"format", "schema_digest", "columns", "classes"}:
            raise WireError("a profile has a format, a schema_digest, columns and classes, this one has others")
        columns, classes = document["columns"], document["classes"]
        if not isinstance(document["schema_digest"], str) or not isinstance(columns, list) or not _are_counts(classes):
            raise WireError("a profile needs its schema_digest as a string, its columns and its classes as lists")
        if not len(columns) <= limits.MAX_COLUMNS or not all(map(_is_column, columns)):
            raise WireError("a profile needs edges and rows as numbers for each of its columns")
        try:
            found = tuple(Counts(edges=tuple(c["edges"]), rows=tuple(c["rows"])) for c in columns)
        except UsageError as error:
            raise WireError(str(error)) from None
        return cls(schema_digest=document["schema_digest"], columns=found, classes=tuple(classes))


def build_profile(dataset: Dataset) -> Profile:
    """Count a data set; a table of fewer than ten rows has one bin for each feature."""
    columns = []
    for values, feature in zip(dataset.X.T, dataset.schema.features, strict=True):
        edges = _edges(values, feature)
        columns.append(Counts(edges=edges, rows=count_rows(values, edges)))
    classes = np.bincount(dataset.y, minlength=len(dataset.schema.classes))
    return Profile(schema_digest=schema_digest(dataset), columns=tuple(columns), classes=tuple(classes.tolist()))


def count_rows(values: Matrix, edges: Sequence[float]) -> tuple[int, ...]:
    """Rows in each bin between edges, and missing ones."""
    present = values[~np.isnan(values)]
    bins = np.searchsorted(np.asarray(edges, dtype=np.float64), present, side="right")
    return (*np.bincount(bins, minlength=len(edges) + 1).tolist(), len(values) - len(present))


def _edges(values: Matrix, feature: Feature) -> tuple[float, ...]:
    """Edges on the public grid so that every bin has enough rows."""
    present = np.sort(values[~np.isnan(values)])
    if feature.kind == "category":
        wanted = np.arange(1, len(feature.categories), dtype=np.float64)
    else:
        step = feature.width / GRID
        quantiles = np.quantile(present, np.arange(1, BINS) / BINS) if len(present) else np.empty(0)
        wanted = np.unique(feature.low + step * np.round((quantiles - feature.low) / step))
    kept: list[float] = []
    below = 0
    for edge in wanted.tolist():
        here, after = int(np.searchsorted(present, edge)), len(present)
        if here - below >= MIN_COUNT and after - here >= MIN_COUNT:
            kept.append(float(edge))
            below = here
    return tuple(kept)


def _is_column(column: object) -> bool:
    if not isinstance(column, Mapping) or set(column) != {"edges", "rows"}:
        return False
    return (
        isinstance(column["edges"], list)
        and all(map(is_finite_number, column["edges"]))
        and _are_counts(column["rows"])
    )


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(n) is int and 0 <= n <= limits.MAX_ROWS for n in value)
