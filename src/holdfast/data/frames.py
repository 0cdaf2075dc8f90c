"""Tables to matrices of features and back, and the check of every value against its feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from holdfast import limits
from holdfast.data.schema import Feature, Schema
from holdfast.errors import DataError

Matrix = npt.NDArray[np.float64]


def features_from_frame(frame: pd.DataFrame, schema: Schema) -> Matrix:
    """The feature matrix of a table, (rows, features) float64, every value checked; the target is not needed.

    Raises:
        DataError: a column is absent, or a value is not what the schema says; the sentence names column and row.
    """
    X = columns_from_frame(frame, schema.features)
    check_features(X, schema)
    return X


def columns_from_frame(frame: pd.DataFrame, features: Sequence[Feature]) -> Matrix:
    """The columns of some features, (rows, features) float64, a category as its position, NaN where one is missing.

    Ranges are not checked.

    Raises:
        DataError: a column is absent, or a value is no number or no category; the sentence names column and row.
    """
    if absent := [feature.name for feature in features if feature.name not in frame.columns]:
        raise DataError(f"the table lacks the column{'s' * (len(absent) > 1)} {some(absent)}")
    X = np.empty((len(frame), len(features)))
    for position, feature in enumerate(features):
        X[:, position] = _values(column_of(frame, feature.name), feature)
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
    check_columns(X, schema.features)
    columns = dict(zip(schema.names, X.T, strict=True))
    for relation in schema.relations:
        holds = relation.kept(columns.__getitem__)
        if not holds.all():
            raise DataError(
                f"row {int(np.argmin(holds))} breaks the relation '{relation}'",
                hint="mend the data, or take the relation out of the schema",
            )


def check_columns(X: Matrix, features: Sequence[Feature]) -> None:
    """Check columns against their features: missing, infinite, out of range, not whole.

    Raises:
        DataError: naming the first row and column that is wrong, what was expected and what to do.
    """
    for values, feature in zip(X.T, features, strict=True):
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


def column_of(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """The one column of this name.

    Raises:
        DataError: there are none, or several.
    """
    if (count := int((frame.columns == name).sum())) != 1:
        raise DataError(f"the table has {count} columns named {name!r}, expected one")
    return frame[name]


def positions(column: pd.Series[Any], names: Sequence[str], *, what: str) -> Matrix:
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
        raise DataError(f"{what} is {str(column.iloc[row])[:40]!r} in row {row}, expected one of {some(names)}")
    return positions


def _values(column: pd.Series[Any], feature: Feature) -> Matrix:
    if feature.kind == "category":
        return positions(column, feature.categories, what=f"feature {feature.name!r}")
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


def some(names: Any) -> str:
    """The first few of many names."""
    shown = [repr(str(name)[: limits.MAX_NAME_CHARS]) for name in list(names)[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
