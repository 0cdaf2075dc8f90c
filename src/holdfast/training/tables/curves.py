"""From curves over the cells of features to stumps over the encoded columns of their schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from holdfast.data import Matrix, Schema
from holdfast.models import EncodedColumn, Encoding
from holdfast.models.stumps import Stump
from holdfast.training.tables.cells import Cells

_HALF = 0.5
"""Between the 0 and the 1 of a column that tells a category, or that a value is missing."""


def stumps_of(
    schema: Schema, intercept: Matrix, cells: Sequence[Cells], curves: Sequence[Matrix]
) -> tuple[Matrix, list[Stump]]:
    """The base scores, and the stumps that add up to the curves.

    A number starts at its lowest cell, and each cut adds the difference. Its encoded value is 0, the centre of its
    range, where it is missing, so what the missing cell has beyond the centre's is added for a missing value.
    """
    base, stumps = intercept.copy(), []
    for position, column in enumerate(Encoding(schema).columns):
        own, curve = cells[column.source], curves[column.source]
        if column.kind == "scaled":
            base = base + curve[0]
            stumps += list(_steps(position, column, own, curve))
        elif column.kind == "equals":
            stumps.append(Stump(position, _HALF, curve[column.code]))
        else:
            stumps.append(Stump(position, _HALF, curve[-1] - _without(own, curve)))
    return base, stumps


def _steps(position: int, column: EncodedColumn, cells: Cells, curve: Matrix) -> Iterator[Stump]:
    """A stump for each cut of a number, just below the float32 that the cut is encoded as."""
    for cut, below, above in zip(cells.cuts, curve, curve[1:], strict=False):
        encoded = np.float32((cut - column.centre) / column.half_width)
        yield Stump(position, float(np.nextafter(encoded, np.float32(-2.0))), above - below)


def _without(cells: Cells, curve: Matrix) -> Matrix:
    """What the encoded columns beside it add where a value is missing: for a number, what its centre does."""
    if cells.feature.kind == "category":
        return np.zeros(curve.shape[1])
    centre = (cells.feature.low + cells.feature.high) / 2
    return np.asarray(curve[cells.of(np.array([centre]))[0]])
