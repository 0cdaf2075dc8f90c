"""What joins the features of a row beside the trees: the relations of a schema, and what changes may cost.

Each numeric feature that they speak of, and that may move, has its move as a variable of the exact search.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from holdfast.attacks.tables.feasible import Box, keeps, onto_relations, tighten
from holdfast.attacks.tables.links import Link
from holdfast.attacks.tables.propagation import network
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees.reach import Flags
from holdfast.attacks.trees.regions import Regions
from holdfast.attacks.trees.thresholds import Thresholds
from holdfast.data import Labels, Matrix, Schema
from holdfast.data.relation import TOLERANCE


@dataclass(frozen=True)
class Cut:
    """A threshold of a feature: the variable that says whether it is passed, and where it lies.

    Args:
        variable: 1 where the row passes.
        up: whether passing means to be at least `at`, or to be below it.
        at: where.
    """

    variable: int
    up: bool
    at: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """Thresholds that no flip passes together, although by the solver's rounding one did.

    Args:
        which: (n,) the thresholds.
        passed: (n,) whether each was passed.
    """

    which: Labels
    passed: Flags


@dataclass(frozen=True, eq=False)
class Ties:
    """The relations and costs of one row within a radius.

    Args:
        x: (features,) the row.
        schema: whose relations hold.
        threat: whose costs count; its budget is the radius.
        regions: of the ensemble.
        phantoms: to be left alone.
    """

    x: Matrix
    schema: Schema
    threat: FeasibleChange
    regions: Regions
    phantoms: tuple[Phantom, ...] = ()

    @cached_property
    def box(self) -> Box:
        """(1, features) what each value may become."""
        return self.threat.box(self.x[None], self.schema, tolerance=TOLERANCE)

    @cached_property
    def prices(self) -> Matrix:
        """(features,) what a whole range, or a swap, of each costs."""
        return self.threat.prices(self.schema)

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The relations in which nothing is missing."""
        links = network(self.schema, TOLERANCE).links
        return tuple(link for link in links if not np.isnan(self.x[link.columns]).any())

    @cached_property
    def columns(self) -> Labels:
        """(columns,) the features that have a variable, ascending."""
        numeric = np.array([feature.kind != "category" for feature in self.schema.features])
        joined = numeric & (self.prices > 0)
        for link in self.links:
            joined[link.columns] = True
        return np.flatnonzero(joined & (self.box.low[0] < self.box.high[0]))

    @cached_property
    def whole(self) -> Flags:
        """(columns,) whether the values are whole numbers."""
        return np.array([self.schema.features[column].kind == "integer" for column in self.columns], dtype=bool)

    @cached_property
    def widths(self) -> Matrix:
        """(columns,) of the ranges."""
        return np.array([self.schema.features[column].width for column in self.columns])

    @cached_property
    def units(self) -> Matrix:
        """(columns,) the move that a variable counts: a whole range, or 1 for whole numbers."""
        return np.where(self.whole, 1.0, self.widths)

    @property
    def variables(self) -> Box:
        """(1, 2 * columns) the bounds of the variables: the moves, then what share of its range each spends."""
        count = len(self.columns)
        ends = ((end[0] - self.x)[self.columns] / self.units for end in (self.box.low, self.box.high))
        return Box(*(np.append(end, np.full(count, spent))[None] for end, spent in zip(ends, (0.0, 1.0), strict=True)))

    def below(self, column: int, value: float) -> float:
        """The highest value of a feature below another."""
        whole = self.schema.features[column].kind == "integer"
        return value - 1.0 if whole else float(np.nextafter(value, -np.inf))

    def cuts(self, column: int, thresholds: Thresholds) -> list[Cut]:
        """The thresholds of a feature, the nearest first on each side."""
        own = np.flatnonzero(thresholds.feature == column)
        ups = [at for at in own if thresholds.up[at]]
        downs = [at for at in own[::-1] if not thresholds.up[at]]
        return [
            *(Cut(int(at), up=False, at=float(self.regions.cell_high[thresholds.cell[at]])) for at in downs),
            *(Cut(int(at), up=True, at=float(self.regions.cell_low[thresholds.cell[at]])) for at in ups),
        ]

    def room(self, thresholds: Thresholds, passed: Flags, near: Matrix) -> Box | None:
        """(1, features) where a row lies that passes just these thresholds; None where no such row keeps the relations.

        Args:
            thresholds: of the program.
            passed: (thresholds,).
            near: (features,) the row, as far as features have no variable.
        """
        low, high = near[None].copy(), near[None].copy()
        for column in map(int, self.columns):
            cuts = self.cuts(column, thresholds)
            least = [cut.at for cut in cuts if cut.up == passed[cut.variable]]
            most = [self.below(column, cut.at) for cut in cuts if cut.up != passed[cut.variable]]
            low[0, column] = max([self.box.low[0, column], *least])
            high[0, column] = min([self.box.high[0, column], *most])
        room = tighten(Box(low, high), self.schema, tolerance=TOLERANCE)
        return None if (room.low > room.high).any() else room

    def settled(self, room: Box, near: Matrix, moves: Matrix) -> Matrix | None:
        """A row in its room that keeps everything, near the solver's; None where rounding stands in the way.

        Args:
            room: see there.
            near: (features,) the row, as far as features have no variable.
            moves: (columns,) the variables.
        """
        found = near.copy()
        found[self.columns] = self.x[self.columns] + moves * self.units
        rows = onto_relations(found, room, self.schema)
        kept = keeps(rows, self.schema) & self.threat.affordable(np.tile(self.x, (len(rows), 1)), rows, self.schema)
        shifts = np.abs(rows - found)[:, self.columns] / self.widths
        best: Matrix = rows[np.where(kept, shifts.max(axis=1, initial=0.0), np.inf).argmin()]
        return best if kept.any() else None
