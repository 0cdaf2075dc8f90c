"""Which values of changed rows became what, where the earlier table is still at hand."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.data.dataset import Dataset
from holdfast.data.manifest_diff import ManifestDiff
from holdfast.data.schema import Feature

MAX_ROWS: Final = 20
"""Changed rows that are spelled out."""
MAX_VALUES: Final = 5
"""Values of one row that are spelled out."""


def changed_values(before: Dataset, after: Dataset, difference: ManifestDiff) -> tuple[str, ...]:
    """A sentence for each changed row: its position now, and each column that differs with the old and new value.

    Args:
        before: the earlier table.
        after: the table now, of the same schema.
        difference: of the manifest of the one and the other.
    """
    lines = []
    for row in difference.changed[:MAX_ROWS]:
        old, new = before.X[row.before], after.X[row.after]
        differs = np.flatnonzero(~((old == new) | (np.isnan(old) & np.isnan(new))))
        features = [(after.schema.features[position], position) for position in differs]
        values = [f"{f.name}: {_shown(f, old[at])} -> {_shown(f, new[at])}" for f, at in features]
        if before.y[row.before] != after.y[row.after]:
            names = (before.schema.classes[before.y[row.before]], after.schema.classes[after.y[row.after]])
            values.insert(0, f"{after.schema.target}: {names[0]} -> {names[1]}")
        rest = f", and {len(values) - MAX_VALUES} more" if len(values) > MAX_VALUES else ""
        lines.append(f"row {row.after}: {', '.join(values[:MAX_VALUES])}{rest}")
    if len(difference.changed) > MAX_ROWS:
        lines.append(f"and {len(difference.changed) - MAX_ROWS} changed rows more")
    return tuple(lines)


def _shown(feature: Feature, value: float) -> str:
    if np.isnan(value):
        return "missing"
    return feature.categories[int(value)] if feature.kind == "category" else repr(float(value))
