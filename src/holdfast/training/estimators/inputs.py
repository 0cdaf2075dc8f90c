"""From what users of scikit-learn pass to what private training takes: rows, and features with public ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_X_y, validate_data

from holdfast.data import Feature, Matrix, Schema
from holdfast.data.frames import check_columns, columns_from_frame
from holdfast.errors import DataError, UsageError
from holdfast.training.tables.ranges import UNSEEN

Ranges = tuple[Any, Any]
"""(low, high), each one number for all columns or one for each column."""


class InvalidInput(DataError, ValueError):
    """What scikit-learn's own checks refuse; its contract asks for a ValueError."""


def rows_and_target(estimator: Any, X: Any, y: Any, *, numeric_target: bool) -> tuple[Matrix, Any]:
    """(rows, columns) numbers, a category as its position and NaN where one is missing; and the target as it came.

    Raises:
        InvalidInput, DataError: no table, fewer than two rows, or values that are no numbers or categories.
    """
    options = {"dtype": np.float64, "ensure_min_samples": 2, "y_numeric": numeric_target}
    with _refusals():
        if not _is_typed(estimator, X):
            return validate_data(estimator, X, y, **options, ensure_all_finite=_finite(estimator))  # type: ignore[no-any-return]
        validate_data(estimator, X, y, skip_check_array=True)
        rows = columns_from_frame(X, estimator.features)
        return check_X_y(rows, y, **options, ensure_all_finite="allow-nan", estimator=estimator)  # type: ignore[no-any-return]


def rows_alone(estimator: Any, X: Any) -> Matrix:
    """As `rows_and_target`, of rows to predict.

    Raises:
        InvalidInput, DataError: as `rows_and_target`, or other columns than those trained on.
    """
    with _refusals():
        if _is_typed(estimator, X):
            validate_data(estimator, X, reset=False, skip_check_array=True)
            return columns_from_frame(X, estimator.features)
        checked = validate_data(estimator, X, reset=False, dtype=np.float64, ensure_all_finite=_finite(estimator))
        return np.asarray(checked)


def features_of(names: Sequence[str], *, features: Sequence[Feature] | None, ranges: Any) -> tuple[Feature, ...]:
    """What the columns are, by what the caller says and nothing else; `UNSEEN` is their range where nothing is said.

    Raises:
        UsageError: both are said, or what is said does not fit the columns.
    """
    if features is not None and ranges is not None:
        raise UsageError("expected features or feature_ranges, got both")
    if features is None:
        return numbers_within(names, pairs(UNSEEN if ranges is None else ranges, len(names)))
    if len(features) != len(names):
        raise UsageError(
            f"expected a Feature for each of {len(names)} columns, got {len(features)}",
            hint="give those columns alone: table[[feature.name for feature in features]]",
        )
    return tuple(features)


def numbers_within(names: Sequence[str], ranges: Matrix) -> tuple[Feature, ...]:
    """A numeric feature for each name, with its range."""
    ends = zip(names, ranges.tolist(), strict=True)
    return tuple(Feature(name=name, kind="real", low=low, high=high) for name, (low, high) in ends)


def pairs(ranges: Any, columns: int) -> Matrix:
    """(columns, 2) the range of each column.

    Raises:
        UsageError: it is no pair of numbers, or of as many numbers as there are columns.
    """
    try:
        low, high = ranges
        ends = np.column_stack([np.broadcast_to(np.asarray(end, dtype=np.float64), columns) for end in (low, high)])
    except (TypeError, ValueError):
        raise UsageError(
            f"expected a range as (low, high), each one number or {columns} numbers, got {ranges!r:.80}"
        ) from None
    return ends


def schema_for(features: Sequence[Feature], classes: Sequence[str] = ("below", "above")) -> Schema:
    """A schema with a target that has no feature's name. A schema needs classes; to regression they mean nothing."""
    target = "target"
    while target in {feature.name for feature in features}:
        target += "_"
    return Schema(features=tuple(features), target=target, classes=tuple(classes))


def into_ranges(X: Matrix, features: Sequence[Feature]) -> Matrix:
    """Rows with every number moved into its range, then checked against the features.

    Raises:
        DataError: a value is missing where none may be, or is no such category.
    """
    ends = [(-np.inf, np.inf) if f.kind == "category" else (f.low, f.high) for f in features]
    moved = np.clip(X, *np.array(ends).T)
    check_columns(moved, features)
    return np.asarray(moved)


def _is_typed(estimator: Any, X: Any) -> bool:
    """Whether the columns are to be read by name, as the features say."""
    return estimator.features is not None and isinstance(X, pd.DataFrame)


def _finite(estimator: Any) -> bool | str:
    return True if estimator.features is None else "allow-nan"


@contextmanager
def _refusals() -> Iterator[None]:
    """Make an error of Holdfast's tree of what scikit-learn's checks raise."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        typed = any(word in str(error) for word in ("could not convert string", "contains NaN"))
        hint = "for categories and missing values, say what the columns are: features=[Feature(…), …]"
        raise InvalidInput(str(error), hint=hint if typed else "") from error
