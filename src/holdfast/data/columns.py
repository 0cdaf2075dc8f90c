"""The columns of a table as features, for a model that was made elsewhere and whose ranges nobody wrote down."""

from __future__ import annotations

from typing import Any

import pandas as pd

from holdfast.data.frames import name_of
from holdfast.data.schema import Feature
from holdfast.errors import DataError
from holdfast.limits import MAX_MAGNITUDE


def columns_of(frame: pd.DataFrame) -> tuple[Feature, ...]:
    """A feature for each column: numbers of any size, and categories in the order of their dtype; all may be missing.

    Give a table with the categories that the model was trained with. XGBoost and LightGBM number them in the order of
    the dtype, scikit-learn in sorted order, which is pandas' own unless told otherwise.

    Raises:
        DataError: a column holds something else, such as texts, whose order as categories nobody has given.
    """
    return tuple(_feature(str(name), column) for name, column in frame.items())


def _feature(name: str, column: pd.Series[Any]) -> Feature:
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = tuple(str(name_of(value)) for value in column.dtype.categories)
        return Feature(name=name, kind="category", categories=categories, nullable=True)
    if not pd.api.types.is_numeric_dtype(column):
        raise DataError(
            f"expected numbers or categories in the column {name!r}, it holds {column.dtype}",
            hint="make it a category with the categories that the model knows, in their order",
        )
    return Feature(name=name, kind="real", low=-MAX_MAGNITUDE, high=MAX_MAGNITUDE, nullable=True)
