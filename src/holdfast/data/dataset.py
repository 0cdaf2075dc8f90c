"""A table that keeps to its schema: a matrix of numbers, the labels, and a digest of both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from holdfast.arguments import check_kind, is_number
from holdfast.data.frames import Matrix, column_of, features_from_frame, features_to_frame, positions, some
from holdfast.data.schema import Schema
from holdfast.errors import DataError, UsageError
from holdfast.evidence import canonical_json

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
    X: Matrix = field(repr=False)
    y: Labels = field(repr=False)

    def __post_init__(self) -> None:
        """Make both arrays read-only, so that the digest stays true."""
        check_kind("schema", self.schema, Schema, example="Schema.from_json(json.load(file))")
        for name, array in (("X", self.X), ("y", self.y)):
            check_kind(name, array, np.ndarray, example=f"np.array({name})")
            if array.dtype.kind not in "biuf":
                raise DataError(f"expected {name} of numbers, got an array of {array.dtype}")
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
        held_out = self.held_out(test_fraction=test_fraction, seed=seed)
        for side, mask in (("to train on", ~held_out), ("to test on", held_out)):
            absent = np.setdiff1d(np.arange(len(self.schema.classes)), self.y[mask])
            if len(absent):
                raise DataError(
                    f"class {self.schema.classes[int(absent[0])]!r} has no row {side} after the split",
                    hint="take another seed or test_fraction, or collect more rows of the class",
                )
        return self.take(~held_out), self.take(held_out)

    def held_out(self, *, test_fraction: float, seed: int) -> npt.NDArray[np.bool_]:
        """(rows,) which rows `split` puts on the test side.

        Raises:
            UsageError: `test_fraction` is not between 0 and 1.
        """
        if not is_number(test_fraction) or not 0 < test_fraction < 1:
            raise UsageError(f"test_fraction must lie between 0 and 1, got {test_fraction!r}")
        return self._positions(seed) < test_fraction

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
        UsageError: an argument of another kind.
        DataError: a column is absent, or a value is not what the schema says; the sentence names column and row.
    """
    check_kind("frame", frame, pd.DataFrame, example="pd.DataFrame(rows, columns=names)")
    check_kind("schema", schema, Schema, example="Schema.from_json(json.load(file))")
    if len(frame) == 0:
        raise DataError("expected a table with rows, got one without")
    if schema.target not in frame.columns:
        raise DataError(f"expected a target column {schema.target!r}, the table has {some(frame.columns)}")
    X = features_from_frame(frame, schema)
    column = column_of(frame, schema.target)
    y = positions(column, schema.classes, what=f"the target {schema.target!r}")
    if (missing := np.isnan(y)).any():
        raise DataError(f"the target {schema.target!r} has no value in row {int(np.argmax(missing))}")
    return Dataset(schema, X, y.astype(np.int64))
