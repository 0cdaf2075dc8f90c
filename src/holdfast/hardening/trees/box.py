"""Where each row could be after an attack: a box around it, one interval for each column.

Everything is kept in float32, the precision in which the trees compare (see `holdfast.models.sklearn_model`). Rounding
keeps order, so the two rounded ends of an interval bound every rounded value between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from holdfast.data import Matrix
from holdfast.errors import UsageError

Single: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Box:
    """The lowest and the highest values that rows may take; both (columns, rows), closed."""

    low: Single
    high: Single


def two_sided(radius: Any, shape: tuple[int, int]) -> Matrix:
    """(columns, 2) how far each column may move down and up; (rows, columns, 2) where that differs from row to row.

    Args:
        radius: one number for all columns; (columns,) numbers; (columns, 2), down and up; or (rows, columns, 2), down
            and up in each row. 0 where nothing moves.
        shape: (rows, columns).

    Raises:
        UsageError: of another shape, negative or not finite.
    """
    try:
        given = np.asarray(radius, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    rows, columns = shape
    if given.shape not in {(), (columns,), (columns, 2), (rows, columns, 2)}:
        raise UsageError(
            f"expected a radius as one number, one or two for each of {columns} columns, or two for each of them in "
            f"each of {rows} rows, got {_shape_of(radius)}"
        )
    if given.ndim < 2:
        given = np.broadcast_to(given[..., None], (columns, 2))
    sides = given
    if not (np.isfinite(sides).all() and (sides >= 0).all()):
        raise UsageError("expected radii that are finite and 0 or more, got others")
    return sides


def _shape_of(radius: Any) -> str:
    return (
        f"numbers of shape {np.shape(radius)}" if isinstance(radius, np.ndarray | list | tuple) else repr(radius)[:80]
    )


def box_around(X: Matrix, sides: Matrix, *, moves: Mask | None = None) -> Box:
    """The box of each row.

    Args:
        X: (rows, columns).
        sides: (columns, 2) or (rows, columns, 2) from `two_sided`.
        moves: (rows,) whose rows an attacker would change; the others are points. None for all of them.
    """
    far = np.ones(len(X), dtype=bool) if moves is None else moves
    low, high = X - sides[..., 0] * far[:, None], X + sides[..., 1] * far[:, None]
    return Box(*(np.ascontiguousarray(end.T, dtype=np.float32) for end in (low, high)))
