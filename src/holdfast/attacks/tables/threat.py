"""The threat of evasion on tables: which changes of a row someone could really make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.arguments import check_kind, is_number, is_whole
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
    stays missing. At most `max_category_changes` free categories may be swapped for another. Where changes have a
    price, those of a row may together cost `max_cost` at most.

    Args:
        budget: share of a range's width, above 0 and at most 1.
        max_category_changes: number of categories, 0 or more.
        costs: by name, what it costs to move a number through its whole range (half of it costs half), or to swap a
            category; what is not named costs nothing.
        max_cost: what all changes of a row may cost together, in the unit of the costs. It limits nothing where all
            that may change costs less at the full budget; `cost_binds` tells.
    """

    budget: float
    max_category_changes: int = 0
    costs: Mapping[str, float] = field(default_factory=dict, hash=False)
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse a budget that means nothing."""
        budget, switches = self.budget, self.max_category_changes
        if not is_number(budget) or not 0 < budget <= 1:
            raise UsageError(f"an evasion budget is a share of the range, above 0 and at most 1, got {budget!r}")
        if not is_whole(switches) or switches < 0:
            raise UsageError(f"max_category_changes is a whole number of 0 or more, got {switches!r}")
        check_kind("costs", self.costs, Mapping, example='{"amount": 1.0}')
        if not all(_is_positive(cost) for cost in self.costs.values()):
            raise UsageError(f"costs are numbers above 0, got {dict(self.costs)!r:.200}")
        if bool(self.costs) != (self.max_cost is not None):
            raise UsageError("costs and max_cost mean something together only, got one of them")
        if self.max_cost is not None and not _is_positive(self.max_cost):
            raise UsageError(f"max_cost is a number above 0, got {self.max_cost!r}")
        object.__setattr__(self, "budget", float(budget))
        object.__setattr__(self, "max_category_changes", int(switches))
        object.__setattr__(self, "costs", {name: float(cost) for name, cost in self.costs.items()})

    @property
    def unit(self) -> str:
        """Of budget and distances."""
        return "of range"

    def with_budget(self, budget: float) -> FeasibleChange:
        """The same threat with another budget."""
        return replace(self, budget=budget)

    def to_json(self) -> dict[str, Any]:
        """The threat as JSON."""
        price = {"costs": dict(self.costs), "max_cost": self.max_cost} if self.costs else {}
        return {"budget": self.budget, "max_category_changes": self.max_category_changes, **price}

    def too_coarse(self, schema: Schema) -> tuple[str, ...]:
        """The changeable whole numbers that cannot move at all, because one step is more than the budget."""
        return tuple(
            feature.name
            for feature in schema.features
            if feature.kind == "integer" and feature.mutability != "fixed" and self.budget * feature.width < 1
        )

    def box(self, X: Matrix, schema: Schema, *, tolerance: float = 0.0) -> Box:
        """The values that each feature of each row could take; rows must keep to the schema.

        Args:
            X: (rows, features).
            schema: of the rows.
            tolerance: what arithmetic relations leave open, see `tighten`.

        Raises:
            UsageError: the costs name a feature that the schema does not have.
        """
        low, high = X.copy(), X.copy()
        prices = self.prices(schema)
        for position, feature in enumerate(schema.features):
            if feature.kind != "category" and feature.mutability != "fixed":
                reach, values = self._reach(prices[position]) * feature.width, X[:, position]
                slack = _ROUNDING * feature.width if feature.kind == "integer" else 0.0
                if feature.mutability != "increase":
                    low[:, position] = np.maximum(feature.low, values - reach - slack)
                if feature.mutability != "decrease":
                    high[:, position] = np.minimum(feature.high, values + reach + slack)
            elif self._may_switch(feature):
                known = ~np.isnan(X[:, position])
                low[known, position], high[known, position] = 0.0, len(feature.categories) - 1.0
        box = tighten(Box(low, high), schema, tolerance=tolerance)
        # a row keeps sums and quotients up to rounding, and may lie beside the bounds that follow from them by as much
        return Box(np.fmin(box.low, X), np.fmax(box.high, X))

    def distance(self, before: Matrix, after: Matrix, schema: Schema) -> Matrix:
        """(rows,) the largest move of a numeric feature, as a share of its range's width."""
        numeric = [position for position, feature in enumerate(schema.features) if feature.kind != "category"]
        if not numeric:
            return np.zeros(len(before))
        widths = np.array([schema.features[position].width for position in numeric])
        moves = np.abs(after[:, numeric] - before[:, numeric]) / widths
        return np.asarray(np.where(np.isnan(moves), 0.0, moves).max(axis=1), dtype=np.float64)

    def prices(self, schema: Schema) -> Matrix:
        """(features,) what a whole range, or a swap, of each costs.

        Raises:
            UsageError: the costs name a feature that the schema does not have.
        """
        if strange := [name for name in self.costs if name not in schema.names]:
            raise UsageError(f"the costs name {strange[0]!r}, which is no feature of the schema")
        return np.array([self.costs.get(name, 0.0) for name in schema.names])

    def cost(self, before: Matrix, after: Matrix, schema: Schema) -> Matrix:
        """(rows,) what the changes of each row cost together."""
        moved = np.nan_to_num(np.abs(after - before))
        shares = [
            (moved[:, position] > 0) * 1.0 if feature.kind == "category" else moved[:, position] / feature.width
            for position, feature in enumerate(schema.features)
        ]
        return np.asarray(self.prices(schema) @ np.array(shares), dtype=np.float64)

    def cost_binds(self, schema: Schema) -> bool:
        """Whether changes could cost more than `max_cost`; if not, it limits nobody. Relations are not looked at.

        Raises:
            UsageError: the costs name a feature that the schema does not have.
        """
        prices = list(zip(self.prices(schema), schema.features, strict=True))
        moves = [price for price, each in prices if each.kind != "category" and each.mutability != "fixed"]
        switches = sorted((price for price, each in prices if self._may_switch(each)), reverse=True)
        dearest = self.budget * sum(moves) + sum(switches[: self.max_category_changes])
        return self.max_cost is not None and dearest > self.max_cost * (1 + _ROUNDING)

    def affordable(self, before: Matrix, after: Matrix, schema: Schema) -> npt.NDArray[np.bool_]:
        """(rows,) whether the changes cost no more than they may."""
        if self.max_cost is None:
            return np.ones(len(before), dtype=bool)
        return np.asarray(self.cost(before, after, schema) <= self.max_cost * (1 + _ROUNDING))

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
        if not (affordable := self.affordable(before, after, schema)).all():
            row = int(np.argmin(affordable))
            cost = self.cost(before[[row]], after[[row]], schema)[0]
            raise DataError(f"the changes of row {row} cost {cost:.6g}, at most {self.max_cost:g} is allowed")

    def category_changes(self, before: Matrix, after: Matrix, schema: Schema) -> Any:
        """(rows,) the number of categories that differ."""
        columns = [position for position, feature in enumerate(schema.features) if feature.kind == "category"]
        old, new = before[:, columns], after[:, columns]
        return ((old != new) & ~np.isnan(old)).sum(axis=1)

    def _reach(self, price: float) -> float:
        """The share of its range that a number could move, were it the only one to move."""
        return min(self.budget, self.max_cost / price) if self.max_cost is not None and price else self.budget

    def _may_switch(self, feature: Feature) -> bool:
        return feature.kind == "category" and feature.mutability == "free" and self.max_category_changes > 0

    def _forbidden(self, feature: Feature, change: Matrix) -> Any:
        if feature.kind == "category":
            return (change != 0) & (not self._may_switch(feature))
        reach = (self.budget + _ROUNDING) * feature.width
        allowed = {"free": (reach, reach), "fixed": (0, 0), "increase": (0, reach), "decrease": (reach, 0)}
        down, up = allowed[feature.mutability]
        return (change < -down) | (change > up)


def _is_positive(number: Any) -> bool:
    return is_number(number) and number > 0
