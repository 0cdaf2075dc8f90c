"""Numbers and categories to the numbers in [-1, 1] that a linear model takes.

A number is moved linearly from its range to [-1, 1]; a category becomes one 0/1 column for each of its values; a
feature that may be missing gets one more 0/1 column, and 0 in its others. It is the encoding of `holdfast.models`, but
a value outside its range is refused and not moved, because the client should know that the model would not see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.data import Schema
from holdfast.errors import DataError, UsageError, WireError
from holdfast.evidence import is_finite_number
from holdfast.limits import MAX_CATEGORIES, MAX_COLUMNS, MAX_MAGNITUDE, MAX_NAME_CHARS


@dataclass(frozen=True, kw_only=True)
class NumericFeature:
    """What a client may send for one feature.

    Args:
        name: for error sentences.
        low, high: the range of a number; both ends belong to it.
        categories: how many there are; zero for a number.
        whole: whether a number must be whole.
        nullable: whether it may be missing (NaN).

    Raises:
        UsageError: a field is out of bounds.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    categories: int = 0
    whole: bool = False
    nullable: bool = False

    def __post_init__(self) -> None:
        """Refuse a feature that no value could satisfy."""
        if not isinstance(self.name, str) or not 0 < len(self.name) <= MAX_NAME_CHARS:
            raise UsageError(f"expected a feature's name of 1 to {MAX_NAME_CHARS} characters")
        if type(self.whole) is not bool or type(self.nullable) is not bool:
            raise UsageError(f"expected yes or no for what the feature {self.name!r} may be")
        if type(self.categories) is not int or not 0 <= self.categories <= MAX_CATEGORIES:
            raise UsageError(f"expected 0 to {MAX_CATEGORIES} categories of {self.name!r}, got {self.categories!r:.40}")
        ends = (self.low, self.high)
        if not all(is_finite_number(end) and abs(end) <= MAX_MAGNITUDE for end in ends):
            raise UsageError(f"expected a finite range of {self.name!r}, got {self.low!r:.40} to {self.high!r:.40}")
        if (not self.categories and not self.low < self.high) or (self.categories and ends != (0, 0)):
            raise UsageError(f"expected categories or a range of {self.name!r}, got {self.low:g} to {self.high:g}")

    @property
    def width(self) -> int:
        """Columns that it becomes."""
        return (self.categories or 1) + self.nullable

    def columns(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (rows,) to columns (rows, width)."""
        missing = np.isnan(values)
        if self.categories:
            columns = (values[:, None] == np.arange(self.categories)).astype(np.float64)
        else:
            centre, half_width = (self.low + self.high) / 2, (self.high - self.low) / 2
            columns = np.where(missing, 0.0, (values - centre) / half_width)[:, None]
        return np.hstack([columns, missing[:, None]]) if self.nullable else columns

    def check(self, values: NDArray[np.float64]) -> None:
        """Refuse values that it may not have.

        Raises:
            DataError: naming the feature, the first row that is wrong, and what was expected.
        """
        missing = np.isnan(values)
        if missing.any() and not self.nullable:
            raise DataError(f"feature {self.name!r} has no value in row {int(np.argmax(missing))}")
        low, high = (0, self.categories - 1) if self.categories else (self.low, self.high)
        outside = ~missing & ~((values >= low) & (values <= high))
        if outside.any():
            row = int(np.argmax(outside))
            what = f"category number {values[row]:g}, it has" if self.categories else f"{values[row]:g}, its range is"
            raise DataError(f"feature {self.name!r} is {what} {low:g} to {high:g}, in row {row}")
        broken = ~missing & (values != np.round(values))
        if (self.categories or self.whole) and broken.any():
            row = int(np.argmax(broken))
            raise DataError(f"feature {self.name!r} is {values[row]:g} in row {row}, expected a whole number")


@dataclass(frozen=True, kw_only=True)
class NumericEncoding:
    """The encoding of features, one after the other.

    Raises:
        UsageError: there are none, or too many.
    """

    features: tuple[NumericFeature, ...]

    def __post_init__(self) -> None:
        """Refuse no features, and too many."""
        if not 1 <= len(self.features) <= MAX_COLUMNS:
            raise UsageError(f"expected 1 to {MAX_COLUMNS} features, got {len(self.features)}")

    @property
    def n_features(self) -> int:
        """Features of a row."""
        return len(self.features)

    @cached_property
    def width(self) -> int:
        """Numbers that a row becomes."""
        return sum(feature.width for feature in self.features)

    def encode(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows (rows, n_features) to numbers (rows, width) in [-1, 1].

        Raises:
            DataError: the shape is another, or a value is missing, out of its range, or of an unknown category.
        """
        X = np.asarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise DataError(f"expected rows of {self.n_features} features, got an array of shape {X.shape}")
        for feature, values in zip(self.features, X.T, strict=True):
            feature.check(values)
        return np.hstack([feature.columns(values) for feature, values in zip(self.features, X.T, strict=True)])

    @classmethod
    def of_schema(cls, schema: Schema) -> NumericEncoding:
        """The encoding of a schema's features; its columns are those of `holdfast.models.Encoding`."""
        return cls(
            features=tuple(
                NumericFeature(
                    name=feature.name,
                    low=0.0 if feature.categories else feature.low,
                    high=0.0 if feature.categories else feature.high,
                    categories=len(feature.categories),
                    whole=feature.kind == "integer",
                    nullable=feature.nullable,
                )
                for feature in schema.features
            )
        )

    @classmethod
    def around(cls, X: NDArray[np.float64], *, names: Sequence[str]) -> NumericEncoding:
        """Ranges wide enough for rows like X and for others four times as large.

        They are symmetric powers of two, so that all they tell of the rows is the size of the largest value, to within
        a factor of two; the precision that a wide range costs is given back by the ring.
        """
        largest = np.abs(X).max(axis=0, initial=0)
        halves = 2.0 ** np.ceil(np.log2(np.maximum(4 * largest, 2.0**-40)))
        return cls(
            features=tuple(
                NumericFeature(name=name, low=-float(half), high=float(half))
                for name, half in zip(names, halves, strict=True)
            )
        )

    @property
    def half_widths(self) -> NDArray[np.float64]:
        """(n_features,) half the range of each feature; 1 for a category."""
        return np.array([1.0 if f.categories else (f.high - f.low) / 2 for f in self.features])

    def to_json(self) -> dict[str, Any]:
        """The encoding as JSON; `from_json` is its inverse."""
        return {"kind": "numeric", "features": [dict(vars(feature)) for feature in self.features]}

    @classmethod
    def from_json(cls, document: object) -> NumericEncoding:
        """Read an encoding back.

        Raises:
            WireError: it is malformed.
        """
        if not isinstance(document, Mapping) or set(document) != {"kind", "features"} or document["kind"] != "numeric":
            raise WireError("expected a numeric encoding with the fields kind and features")
        features, names = document["features"], {item.name for item in fields(NumericFeature)}
        if not isinstance(features, list) or not all(isinstance(f, Mapping) and set(f) == names for f in features):
            raise WireError(f"expected features with the fields {', '.join(sorted(names))}")
        try:
            return cls(features=tuple(NumericFeature(**feature) for feature in features))
        except (UsageError, TypeError) as error:
            raise WireError(f"the numeric encoding is malformed: {error}") from None
