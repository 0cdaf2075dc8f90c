"""The threat of evasion on tables: which changes of a row someone could really make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from holdfast.attacks.tables.feasible import Box, tighten
from holdfast.data import Feature, Matrix, Schema, check_features
from holdfast.errors import DataError, UsageError

_ROUNDING: Final = 1e-9
"""How far a value may pass its budget by floating point, as a share of the range's width."""


@dataclass(frozen=True, kw_only=True)
class FeasibleChange:
    """What someone who wants another answer may change in a row.

    Every numeric feature that is not fixed may move by at most `budget` of its range's width, in the direction that its
    mutability allows; whole numbers stay whole; values stay in their ranges and keep the relations; a missing value
    stays missing. At most `max_category_changes` free categories may be swapped for another.

    Args:
        budget: share of a range's width, above 0 and at most 1.
        max_category_changes: number of categories, 0 or more.
    """

    budget: float
    max_category_changes: int = 0

    def __post_init__(self) -> None:
        """Refuse a budget that means nothing."""
        budget, switches = self.budget, self.max_category_changes
        if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget <= 1:
            raise UsageError(f"an evasion budget is a share of the range, above 0 and at most 1, got {budget!r}")
        if isinstance(switches, bool) or not isinstance(switches, int) or switches < 0:
            raise UsageError(f"max_category_changes is a whole number of 0 or more, got {switches!r}")

    @property
    def unit(self) -> str:
        """Of budget and distances."""
        return "of range"

    def with_budget(self, budget: float) -> FeasibleChange:
        """The same threat with another budget."""
        return replace(self, budget=budget)

    def to_json(self) -> dict[str, Any]:
        """The threat as JSON."""
        return {"budget": self.budget, "max_category_changes": self.max_category_changes}

    def too_coarse(self, schema: Schema) -> tuple[str, ...]:
        """The changeable whole numbers that cannot move at all, because one step is more than the budget."""
        return tuple(
            feature.name
            for feature in schema.features
            if feature.kind == "integer" and feature.mutability != "fixed" and self.budget * feature.width < 1
        )

    def box(self, X: Matrix, schema: Schema) -> Box:
        """The values that each feature of each row could take; rows must keep to the schema."""
        low, high = X.copy(), X.copy()
        for position, feature in enumerate(schema.features):
            if feature.kind != "category" and feature.mutability != "fixed":
                reach, values = self.budget * feature.width, X[:, position]
                slack = _ROUNDING * feature.width if feature.kind == "integer" else 0.0
                if feature.mutability != "increase":
                    low[:, position] = np.maximum(feature.low, values - reach - slack)
                if feature.mutability != "decrease":
                    high[:, position] = np.minimum(feature.high, values + reach + slack)
            elif self._may_switch(feature):
                known = ~np.isnan(X[:, position])
                low[known, position], high[known, position] = 0.0, len(feature.categories) - 1.0
        return tighten(Box(low, high), schema)

    def distance(self, before: Matrix, after: Matrix, schema: Schema) -> Matrix:
        """(rows,) the largest move of a numeric feature, as a share of its range's width."""
        numeric = [position for position, feature in enumerate(schema.features) if feature.kind != "category"]
        if not numeric:
            return np.zeros(len(before))
        widths = np.array([schema.features[position].width for position in numeric])
        moves = np.abs(after[:, numeric] - before[:, numeric]) / widths
        return np.asarray(np.where(np.isnan(moves), 0.0, moves).max(axis=1), dtype=np.float64)

    def check(self, before: Matrix, after: Matrix, schema: Schema) -> None:
        """Check that rows were only changed as the threat allows, and still keep to the schema.

        Raises:
            DataError: naming the first row and feature that were changed otherwise.
        """
        check_features(after, schema)
        for position, feature in enumerate(schema.features):
            old, new = before[:, position], after[:, position]
            if (np.isnan(old) != np.isnan(new)).any():
                raise DataError(f"feature {feature.name!r} was changed from or to a missing value")
            wrong = ~np.isnan(old) & self._forbidden(feature, new - old)
            if wrong.any():
                row = int(np.argmax(wrong))
                raise DataError(
                    f"feature {feature.name!r} went from {old[row]:g} to {new[row]:g} in row {row}, "
                    f"which the threat does not allow"
                )
        if (switched := self.category_changes(before, after, schema)).max(initial=0) > self.max_category_changes:
            row = int(np.argmax(switched))
            raise DataError(
                f"{switched[row]} categories were changed in row {row}, {self.max_category_changes} are allowed"
            )

    def category_changes(self, before: Matrix, after: Matrix, schema: Schema) -> Any:
        """(rows,) the number of categories that differ."""
        columns = [position for position, feature in enumerate(schema.features) if feature.kind == "category"]
        old, new = before[:, columns], after[:, columns]
        return ((old != new) & ~np.isnan(old)).sum(axis=1)

    def _may_switch(self, feature: Feature) -> bool:
        return feature.kind == "category" and feature.mutability == "free" and self.max_category_changes > 0

    def _forbidden(self, feature: Feature, change: Matrix) -> Any:
        if feature.kind == "category":
            return (change != 0) & (not self._may_switch(feature))
        reach = (self.budget + _ROUNDING) * feature.width
        allowed = {"free": (reach, reach), "fixed": (0, 0), "increase": (0, reach), "decrease": (reach, 0)}
        down, up = allowed[feature.mutability]
        return (change < -down) | (change > up)
