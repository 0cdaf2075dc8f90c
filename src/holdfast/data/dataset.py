"""A table that keeps to its schema: a matrix of numbers, the labels, and a digest of both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from holdfast import limits
from holdfast.data.schema import Feature, Schema
from holdfast.errors import DataError, UsageError
from holdfast.evidence import canonical_json

Matrix = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of a schema, in the units of the schema.

    Args:
        schema: what the columns mean.
        X: (rows, features) float64; a category is its position in the schema's list, a missing value is NaN.
        y: (rows,) int64; the position of the row's class in the schema's list.

    Make one with `holdfast.data.load` or `from_frame`, which check every value.
    """

    schema: Schema
    X: Matrix
    y: Labels

    def __post_init__(self) -> None:
        """Make both arrays read-only, so that the digest stays true."""
        if self.y.ndim != 1 or self.X.shape != (len(self.y), len(self.schema.features)):
            raise DataError(
                f"expected a label for each row of {len(self.schema.features)} features, "
                f"got labels of shape {self.y.shape} and rows of shape {self.X.shape}"
            )
        if ((self.y < 0) | (self.y >= len(self.schema.classes)) | (self.y != np.round(self.y))).any():
            raise DataError(f"expected labels from 0 to {len(self.schema.classes) - 1}, got others")
        X = np.array(self.X, dtype=np.float64) + 0.0  # makes -0.0 into 0.0
        y = np.array(self.y, dtype=np.int64)
        X[np.isnan(X)] = np.nan  # one NaN of the many that floats have
        X.flags.writeable = y.flags.writeable = False
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "y", y)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the schema and every value, row by row."""
        hasher = hashlib.sha256(canonical_json(self.schema.to_json()))
        hasher.update(np.ascontiguousarray(self.X, dtype="<f8").tobytes())
        hasher.update(np.ascontiguousarray(self.y, dtype="<i8").tobytes())
        return "sha256:" + hasher.hexdigest()

    def take(self, rows: npt.NDArray[Any] | Sequence[int]) -> Dataset:
        """The rows at these positions, or where a mask is true."""
        return Dataset(self.schema, self.X[rows], self.y[rows])

    def split(self, *, test_fraction: float, seed: int) -> tuple[Dataset, Dataset]:
        """Split into train and test, each row on a side by a hash of its own content and the seed.

        So a row that joins or leaves the table moves no other from one side to the other, which the privacy of a
        training on one side rests on. Rows that repeat each other are on one side. Shares come out about as asked for.
        Split a side again with another seed: the same one would put all of it on one side.

        Raises:
            UsageError: `test_fraction` is not between 0 and 1.
            DataError: a class without a row on one of the sides.
        """
        if not 0 < test_fraction < 1:
            raise UsageError(f"test_fraction must lie between 0 and 1, got {test_fraction}")
        held_out = self._positions(seed) < test_fraction
        for side, mask in (("to train on", ~held_out), ("to test on", held_out)):
            absent = np.setdiff1d(np.arange(len(self.schema.classes)), self.y[mask])
            if len(absent):
                raise DataError(
                    f"class {self.schema.classes[int(absent[0])]!r} has no row {side} after the split",
                    hint="take another seed or test_fraction, or collect more rows of the class",
                )
        return self.take(~held_out), self.take(held_out)

    def _positions(self, seed: int) -> Matrix:
        """(rows,) where each row stands between 0 and 1: a hash of its values and label, keyed with the seed."""
        values = np.hstack([self.X.astype("<f8").view("<i8"), self.y.astype("<i8")[:, None]])
        data, width = values.tobytes(), 8 * values.shape[1]
        key = hashlib.sha256(str(seed).encode()).digest()
        digests = b"".join(
            hashlib.blake2b(data[start : start + width], digest_size=8, key=key).digest()
            for start in range(0, len(data), width)
        )
        return np.asarray((np.frombuffer(digests, dtype="<u8") >> np.uint64(11)) * 2.0**-53)

    def to_frame(self) -> pd.DataFrame:
        """The table with its categories and classes by name; `from_frame` is the inverse."""
        frame = features_to_frame(self.X, self.schema)
        frame[self.schema.target] = np.array(self.schema.classes, dtype=object)[self.y]
        return frame


def from_frame(frame: pd.DataFrame, schema: Schema) -> Dataset:
    """Check a table with its target against the schema. Columns that the schema does not name are left out.

    Raises:
        DataError: a column is absent, or a value is not what the schema says; the sentence names column and row.
    """
    if len(frame) == 0:
        raise DataError("expected a table with rows, got one without")
    if schema.target not in frame.columns:
        raise DataError(f"expected a target column {schema.target!r}, the table has {_some(frame.columns)}")
    X = features_from_frame(frame, schema)
    column = _column(frame, schema.target)
    y = _positions(column, schema.classes, what=f"the target {schema.target!r}")
    if (missing := np.isnan(y)).any():
        raise DataError(f"the target {schema.target!r} has no value in row {int(np.argmax(missing))}")
    return Dataset(schema, X, y.astype(np.int64))


def features_from_frame(frame: pd.DataFrame, schema: Schema) -> Matrix:
    """The feature matrix of a table, (rows, features) float64, every value checked; the target is not needed.

    Raises:
        DataError: a column is absent, or a value is not what the schema says; the sentence names column and row.
    """
    if absent := [name for name in schema.names if name not in frame.columns]:
        raise DataError(f"the table lacks the column{'s' * (len(absent) > 1)} {_some(absent)}")
    X = np.empty((len(frame), len(schema.features)))
    for position, feature in enumerate(schema.features):
        X[:, position] = _values(_column(frame, feature.name), feature)
    check_features(X, schema)
    return X


def features_to_frame(X: Matrix, schema: Schema) -> pd.DataFrame:
    """A feature matrix as a table, with categories by name."""
    columns: dict[str, Any] = {}
    for position, feature in enumerate(schema.features):
        values = X[:, position]
        if feature.kind == "category":
            names = [*feature.categories, None]
            codes = np.where(np.isnan(values), len(feature.categories), values).astype(np.int64)
            columns[feature.name] = np.array(names, dtype=object)[codes]
        else:
            columns[feature.name] = values
    return pd.DataFrame(columns)


def check_features(X: Matrix, schema: Schema) -> None:
    """Check a feature matrix against the schema: missing, infinite, out of range, not whole, relations.

    Raises:
        DataError: naming the first row and column that is wrong, what was expected and what to do.
    """
    if X.ndim != 2 or X.shape[1] != len(schema.features):
        raise DataError(f"expected rows of {len(schema.features)} features, got an array of shape {X.shape}")
    for position, feature in enumerate(schema.features):
        values = X[:, position]
        missing = np.isnan(values)
        if not feature.nullable and missing.any():
            raise DataError(
                f"feature {feature.name!r} has no value in row {int(np.argmax(missing))}",
                hint="say nullable = true for it in the schema if it may be missing",
            )
        high = len(feature.categories) - 1 if feature.kind == "category" else feature.high
        outside = ~missing & ~((values >= feature.low) & (values <= high))
        if outside.any():
            row = int(np.argmax(outside))
            raise DataError(
                f"feature {feature.name!r} is {values[row]:g} in row {row}, its range is {feature.low:g} to {high:g} "
                f"({int(outside.sum())} of {len(values)} rows are outside)",
                hint="mend the data, or widen the range in the schema",
            )
        if feature.kind != "real" and (broken := ~missing & (values != np.round(values))).any():
            row = int(np.argmax(broken))
            raise DataError(f"feature {feature.name!r} is {values[row]:g} in row {row}, expected a whole number")
    for relation in schema.relations:
        holds = relation.holds(X[:, schema.index(relation.left)], X[:, schema.index(relation.right)])
        if not holds.all():
            raise DataError(
                f"row {int(np.argmin(holds))} breaks the relation '{relation}'",
                hint="mend the data, or take the relation out of the schema",
            )


def _column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    if (count := int((frame.columns == name).sum())) != 1:
        raise DataError(f"the table has {count} columns named {name!r}, expected one")
    return frame[name]


def _positions(column: pd.Series[Any], names: Sequence[str], *, what: str) -> Matrix:
    """The position of each value in a list of names, NaN where it is missing."""
    if column.dtype == object:  # factorize takes 1 and True for the same value
        codes, values = np.arange(len(column)), list(column)
    else:
        codes, index = pd.factorize(column, use_na_sentinel=False)
        values = list(index)
    known: dict[str | None, float] = {None: np.nan}
    known |= {name: float(position) for position, name in enumerate(names)}
    positions = np.array([known.get(name_of(value), -1.0) for value in values])[codes]
    if (strange := positions == -1.0).any():
        row = int(np.argmax(strange))
        raise DataError(f"{what} is {str(column.iloc[row])[:40]!r} in row {row}, expected one of {_some(names)}")
    return positions


def _values(column: pd.Series[Any], feature: Feature) -> Matrix:
    if feature.kind == "category":
        return _positions(column, feature.categories, what=f"feature {feature.name!r}")
    return _numbers(column, feature)


def _numbers(column: pd.Series[Any], feature: Feature) -> Matrix:
    if column.dtype.kind in "mMc":
        raise DataError(
            f"feature {feature.name!r} holds {column.dtype}, expected numbers",
            hint="make a number of it, such as days since a date",
        )
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if (broken := np.isnan(numbers) & ~column.isna().to_numpy()).any():
        row = int(np.argmax(broken))
        raise DataError(
            f"feature {feature.name!r} is {str(column.iloc[row])[:40]!r} in row {row}, expected a number",
            hint="mend the data, or declare the feature as a category",
        )
    return numbers


def name_of(value: object) -> str | None:
    """The name of a class or category: whole floats without their point, so that 1 and 1.0 are one class.

    None where the value is missing.
    """
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and np.isnan(value))
    ):
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)[: limits.MAX_FIELD_CHARS]


def _some(names: Any) -> str:
    """The first few of many names."""
    shown = [repr(str(name)[: limits.MAX_NAME_CHARS]) for name in list(names)[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
