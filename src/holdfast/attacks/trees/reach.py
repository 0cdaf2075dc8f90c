"""What each feature of a row may do, as numbers: the threat as an attack on trees needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.arguments import check_kind, is_whole
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Feature, Matrix, Schema
from holdfast.errors import UsageError

Flags = npt.NDArray[np.bool_]

_COLUMNS: Final = ("unit", "low", "high", "down", "up", "whole", "switch")


@dataclass(frozen=True, kw_only=True, eq=False)
class Reach:
    """How far each feature may go, and what going there counts.

    Args:
        unit: (features,) the move that counts as distance 1; infinite where moves count nothing.
        low: (features,) the lowest value that a change may give.
        high: (features,) the highest.
        down: (features,) whether the feature may fall.
        up: (features,) whether it may rise.
        whole: (features,) whether its values are whole numbers.
        switch: (features,) whether it is one of those of which only `max_switches` may change: categories.
        max_switches: of one row.
    """

    unit: Matrix
    low: Matrix
    high: Matrix
    down: Flags
    up: Flags
    whole: Flags
    switch: Flags
    max_switches: int = 0

    def __post_init__(self) -> None:
        """Refuse columns of different lengths, and units and ranges that mean nothing."""
        columns = (self.unit, self.low, self.high, self.down, self.up, self.whole, self.switch)
        for name, column in zip(_COLUMNS, columns, strict=True):
            check_kind(name, column, np.ndarray, example=f"np.array({name})")
        if len({column.shape for column in columns}) != 1 or self.unit.ndim != 1:
            raise UsageError(f"expected one entry for each feature, got shapes {[column.shape for column in columns]}")
        if not (self.unit > 0).all() or not (self.low <= self.high).all():
            raise UsageError("expected units above 0, and ranges whose low is at most their high")
        if not is_whole(self.max_switches) or self.max_switches < 0:
            raise UsageError(f"max_switches is 0 or more, got {self.max_switches!r}")

    @property
    def n_features(self) -> int:
        """Features of a row."""
        return len(self.unit)

    @staticmethod
    def linf(n_features: int, *, low: float = -np.inf, high: float = np.inf) -> Reach:
        """Every feature may move, and the largest move in its own unit is the distance: Linf, as for pictures.

        Args:
            n_features: of a row.
            low: of every feature; 0 for pictures in 0..1.
            high: of every feature.

        Raises:
            UsageError: fewer than one feature, or ends that are no range.
        """
        if not is_whole(n_features) or n_features < 1:
            raise UsageError(f"expected 1 feature or more, got {n_features!r}")
        every, none = np.ones(n_features, dtype=bool), np.zeros(n_features, dtype=bool)
        return Reach(
            unit=np.ones(n_features),
            low=np.full(n_features, float(low)),
            high=np.full(n_features, float(high)),
            down=every,
            up=every,
            whole=none,
            switch=none,
        )

    @staticmethod
    def within(threat: FeasibleChange, schema: Schema) -> Reach:
        """What a threat allows in rows of a schema, but for its budget, its costs and relations between features.

        Distance is the share of the range that the furthest feature moves; a switch of category counts nothing.

        Raises:
            UsageError: an argument of another kind.
        """
        check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
        check_kind("schema", schema, Schema, example="data.schema")
        features, switches = schema.features, threat.max_category_changes > 0
        category = np.array([feature.kind == "category" for feature in features])
        return Reach(
            unit=np.array([np.inf if feature.kind == "category" else feature.width for feature in features]),
            low=np.array([0.0 if feature.kind == "category" else feature.low for feature in features]),
            high=np.array([_highest(feature) for feature in features]),
            down=np.array([_may(feature, "decrease", switches=switches) for feature in features]),
            up=np.array([_may(feature, "increase", switches=switches) for feature in features]),
            whole=np.array([feature.kind != "real" for feature in features]),
            switch=category,
            max_switches=threat.max_category_changes,
        )


def _highest(feature: Feature) -> float:
    return len(feature.categories) - 1.0 if feature.kind == "category" else feature.high


def _may(feature: Feature, direction: str, *, switches: bool) -> bool:
    if feature.kind == "category":
        return switches and feature.mutability == "free"
    return feature.mutability in ("free", direction)


def is_radius(number: object) -> bool:
    """Whether it is a number of 0 or more; infinite is one."""
    return isinstance(number, int | float | np.integer | np.floating) and bool(number >= 0)
