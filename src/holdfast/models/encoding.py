"""From a row in the schema's units to the numbers a model computes on. Nothing here is learned from records.

A number is moved linearly from its range to [-1, 1]; a category becomes one 0/1 column for each of its values; a
feature that may be missing gets one more 0/1 column, and 0 in its others. Every encoded value lies in [-1, 1],
whatever the row, which bounds both the sensitivity of private training and the integers of encrypted inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from holdfast.data import Matrix, Schema

ColumnKind = Literal["scaled", "equals", "missing"]


@dataclass(frozen=True)
class EncodedColumn:
    """One column that the model computes on.

    Args:
        source: position of the feature that it comes from.
        kind: "scaled" (value - centre) / half_width, "equals" 1 where the category is `code`, or "missing".
        centre, half_width: of the range of a number.
        code: the category.
    """

    source: int
    kind: ColumnKind
    centre: float = 0.0
    half_width: float = 1.0
    code: int = 0


@dataclass(frozen=True)
class Encoding:
    """The encoding of a schema: one `EncodedColumn` for each column of the encoded matrix."""

    schema: Schema

    @cached_property
    def columns(self) -> tuple[EncodedColumn, ...]:
        """The encoded columns, in order."""
        columns: list[EncodedColumn] = []
        for source, feature in enumerate(self.schema.features):
            if feature.kind == "category":
                columns += [EncodedColumn(source, "equals", code=code) for code in range(len(feature.categories))]
            else:
                centre, half_width = (feature.low + feature.high) / 2, (feature.high - feature.low) / 2
                columns.append(EncodedColumn(source, "scaled", centre=centre, half_width=half_width))
            if feature.nullable:
                columns.append(EncodedColumn(source, "missing"))
        return tuple(columns)

    @property
    def width(self) -> int:
        """The number of encoded columns."""
        return len(self.columns)

    @property
    def sources(self) -> npt.NDArray[np.int64]:
        """(width,) the feature that each encoded column comes from."""
        return np.array([column.source for column in self.columns], dtype=np.int64)

    def encode(self, X: Matrix) -> Matrix:
        """Encode rows.

        Args:
            X: (rows, features) in the schema's units; a value outside its range is moved to the nearest end.

        Returns:
            (rows, width) float64 in [-1, 1].
        """
        E = np.empty((len(X), self.width))
        for position, column in enumerate(self.columns):
            values = X[:, column.source]
            if column.kind == "scaled":
                scaled = np.clip((values - column.centre) / column.half_width, -1.0, 1.0)
                E[:, position] = np.where(np.isnan(scaled), 0.0, scaled)
            elif column.kind == "equals":
                E[:, position] = values == column.code
            else:
                E[:, position] = np.isnan(values)
        return E
