"""What a client gives a model: a table by its columns, rows of numbers, or images. To rows, and checked.

A model with a schema says all of that in it. A private plan alone says it in its encoding, and the card beside it names
the columns of a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from holdfast.data import (
    Feature,
    Matrix,
    Schema,
    check_columns,
    check_features,
    columns_from_frame,
    features_from_frame,
)
from holdfast.errors import DataError
from holdfast.private_inference import PublicPlan

Rows = pd.DataFrame | Matrix
"""Rows as a table with the model's columns, as (rows, features) in its units, or as images (rows, height, width)."""

_WHITE: Final = 255
_CHECKED_ROWS: Final = 1_000
"""Rows encoded at a time to check them; an image of 2^16 pixels takes half a megabyte meanwhile."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Pixels:
    """Images as a model takes them.

    Args:
        shape: of one image; (numbers,) where the model knows no more than how many there are.
        low, high: the range of each number, to which bytes from 0 to 255 are taken.
    """

    shape: tuple[int, ...]
    low: float | Matrix
    high: float | Matrix

    @property
    def count(self) -> int:
        """Numbers of one image."""
        return math.prod(self.shape)

    def rows(self, array: NDArray[Any]) -> Matrix:
        """Images (rows, …) as rows (rows, numbers): bytes are taken to the range, numbers are left as they are.

        Raises:
            DataError: the array holds no numbers, or images of another shape.
        """
        if array.dtype.kind not in "biuf":
            raise DataError(f"expected an array of numbers, got one of {array.dtype}")
        if array.ndim > 2 and len(self.shape) > 1 and _without_ones(array.shape[1:]) != _without_ones(self.shape):
            raise DataError(f"expected images of shape {self.shape}, got {array.shape[1:]}")
        rows = array.reshape(len(array), math.prod(array.shape[1:])) if array.ndim > 2 else array
        if array.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != self.count:
            return rows.astype(np.float64)
        return np.asarray(self.low + rows / _WHITE * (self.high - self.low))


class Inputs(Protocol):
    """What a model takes."""

    @property
    def pixels(self) -> Pixels:
        """How it takes images; any row of numbers may come as one."""

    def rows(self, rows: Rows) -> Matrix:
        """(rows, features) of the model, checked; DataError for what it does not take."""


@dataclass(frozen=True)
class SchemaInputs:
    """What a model with a schema takes."""

    schema: Schema

    @cached_property
    def pixels(self) -> Pixels:
        """Features as pixels, line by line, channel by channel."""
        features = self.schema.features
        low, high = np.array([feature.low for feature in features]), np.array([feature.high for feature in features])
        return Pixels(shape=(len(features),), low=low, high=high)

    def rows(self, rows: Rows) -> Matrix:
        """Checked against the schema."""
        if isinstance(rows, pd.DataFrame):
            return _some(features_from_frame(rows, self.schema))
        X = self.pixels.rows(np.asarray(rows))
        if X.ndim != 2 or X.shape[1] != len(self.schema.features):
            raise DataError(f"expected rows of {len(self.schema.features)} features, got an array of {X.shape}")
        check_features(X, self.schema)
        return _some(X)


@dataclass(frozen=True)
class PlanInputs:
    """What a private plan alone takes."""

    plan: PublicPlan
    columns: tuple[Feature, ...]

    @cached_property
    def pixels(self) -> Pixels:
        """By the plan's encoding; where that is not of images, bytes stay the numbers that they are."""
        encoding = self.plan.encoding.to_json()
        if encoding["kind"] == "pixels":
            return Pixels(shape=tuple(encoding["shape"]), low=encoding["low"], high=encoding["high"])
        return Pixels(shape=(self.plan.n_features,), low=0, high=_WHITE)

    def rows(self, rows: Rows) -> Matrix:
        """Checked by encoding them, before anything is sent."""
        X = self._columns(rows) if isinstance(rows, pd.DataFrame) else self.pixels.rows(np.asarray(rows))
        if self.columns and X.ndim == 2 and X.shape[1] == len(self.columns):
            check_columns(X, self.columns)
        for start in range(0, len(X), _CHECKED_ROWS):
            self.plan.encoding.encode(X[start : start + _CHECKED_ROWS])
        return _some(X)

    def _columns(self, frame: pd.DataFrame) -> Matrix:
        if not self.columns:
            raise DataError("the model does not say which columns it takes", hint="give the rows as an array")
        return columns_from_frame(frame, self.columns)


def _some(X: Matrix) -> Matrix:
    if len(X) == 0:
        raise DataError("expected rows to ask about, got none")
    return X


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes of length one, such as the one channel of grey images."""
    return tuple(size for size in shape if size != 1)
