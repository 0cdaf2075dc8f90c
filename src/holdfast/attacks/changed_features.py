"""Which features of a table an evasion changed, counted over all flipped rows; of a single row it tells nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from holdfast.data import Matrix, Schema

_MOST: Final = 20
"""Features that a result names; an exact attack may move all of hundreds a little."""


@dataclass(frozen=True, kw_only=True)
class ChangedFeature:
    """One feature, over the rows that were flipped.

    Args:
        name: of the feature.
        rows: share of the flipped rows in which it was changed, above 0.
        move: of a number, its median move where it was changed, as a share of its range; None for a category.
    """

    name: str
    rows: float
    move: float | None

    def to_json(self) -> dict[str, Any]:
        """The feature as JSON."""
        return asdict(self)


def changed_features(before: Matrix, after: Matrix, schema: Schema) -> tuple[ChangedFeature, ...]:
    """The features changed in most rows first, and of these the furthest moved; 20 at most.

    Args:
        before: (flipped rows, features) as they were.
        after: the same rows as they are.
        schema: of both.
    """
    moved = np.nan_to_num(np.abs(after - before))
    found = [
        ChangedFeature(
            name=feature.name,
            rows=float((column > 0).mean()),
            move=None if feature.kind == "category" else float(np.median(column[column > 0]) / feature.width),
        )
        for feature, column in zip(schema.features, moved.T, strict=True)
        if (column > 0).any()
    ]
    return tuple(sorted(found, key=lambda feature: (-feature.rows, -(feature.move or 0.0)))[:_MOST])
