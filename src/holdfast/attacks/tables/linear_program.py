"""One row, one wrong class: the smallest move of the numbers that gains enough score, as a linear program.

Whole numbers make it a mixed-integer one. Where neither relations nor costs nor whole numbers bind, it has a closed
form; else HiGHS solves it (scipy.optimize.milp). Exact means: up to a part in a million of the weights, by which a
solved margin has to be passed so that rounding cannot undo it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from holdfast.attacks.quiet import quiet
from holdfast.attacks.tables.feasible import Box, keeps, onto_relations, whole_columns
from holdfast.attacks.tables.links import Link, SumLink
from holdfast.attacks.tables.propagation import network
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Labels, Matrix
from holdfast.data.relation import TOLERANCE
from holdfast.models import LinearModel

_EXACT_MARGIN: Final = 1e-9
_SOLVED_MARGIN: Final = 1e-6
_TIME_LIMIT_S: Final = 10.0
_ROUNDING: Final = 1e-5
"""Share of a range by which a solver's row may miss the relations."""
_INFEASIBLE: Final = 2


class Problem:
    """One row and one wrong class: the smallest move of the numeric features that gains `need` in score."""

    def __init__(self, model: LinearModel, x: Matrix, w: Matrix, need: float, box: Box, threat: FeasibleChange) -> None:
        self.schema, self.x, self.box, self.threat = model.schema, x, box, threat
        scaled = {column.source: at for at, column in enumerate(model.encoding.columns) if column.kind == "scaled"}
        movable = (box.low[0] < x) | (x < box.high[0])
        self.columns = np.array([s for s in scaled if movable[s] and not np.isnan(x[s])], dtype=int)
        self.widths = np.array([model.schema.features[s].width for s in self.columns])
        # a move by the whole range is 2 in encoded units, so `gain` is score per share of the range
        self.gain = 2.0 * w[[scaled[int(s)] for s in self.columns]]
        self.scale = float(np.abs(self.gain).sum()) or 1.0
        self.need = need
        self.whole = np.isin(self.columns, whole_columns(model.schema))
        self.prices = threat.prices(model.schema)

    def smallest(self) -> tuple[Matrix | None, bool]:
        """The row after the smallest move; None where no move is enough. Second, whether the solver gave up."""
        found = self._closed_form()
        if found is None or self._keeps(found):
            return found, False
        return self._solve() if self._is_linear() else (None, True)

    def _closed_form(self) -> Matrix | None:
        """The optimum without relations and whole numbers; None where not even that flips the row."""
        need = self.need + _EXACT_MARGIN * self.scale
        if need <= 0:
            return self.x
        up = self.gain > 0
        room = np.where(up, self.box.high[0, self.columns] - self.x[self.columns], 0.0)
        room = np.where(up, room, self.x[self.columns] - self.box.low[0, self.columns]) / self.widths
        rate = np.abs(self.gain)
        if float(rate @ room) < need:
            return None
        # gained(t) = sum of rate * min(t, room): walk its breakpoints until the need is met
        order = np.argsort(room)
        spent = np.concatenate([[0.0], np.cumsum((rate * room)[order])])
        left = np.cumsum(rate[order][::-1])[::-1]
        first = min(int(np.searchsorted(spent[:-1] + left * room[order], need)), len(room) - 1)
        share = (need - spent[first]) / left[first] if left[first] > 0 else room.max()
        found = self.x.copy()
        found[self.columns] += np.where(up, 1.0, -1.0) * np.minimum(share, room) * self.widths
        return np.clip(found, self.box.low[0], self.box.high[0])

    def _keeps(self, x: Matrix) -> bool:
        """Whether the closed form happens to keep relations, whole numbers and costs, and so is the optimum."""
        moved = x[self.columns[self.whole]]
        return (
            bool((moved == np.rint(moved)).all())
            and bool(keeps(x[None], self.schema)[0])
            and bool(self.threat.affordable(self.x[None], x[None], self.schema)[0])
        )

    def _is_linear(self) -> bool:
        """Whether a linear program says it all: of a quotient and its denominator one is not free."""
        free = {int(column) for column in self.columns}
        products = [link for link in network(self.schema).links if not isinstance(link, SumLink)]
        return not any({int(link.columns[0]), int(link.columns[2])} <= free for link in products)

    def _solve(self) -> tuple[Matrix | None, bool]:
        """The optimum as a mixed-integer program.

        Variables: the move of each column (shares of its range, or whole units), what is spent on each column that has
        a price, then the budget, which is minimised. The solver's whole numbers are whole up to 1e-6 only, so they are
        rounded and the rest is solved once more.
        """
        unit = np.where(self.whole, 1.0, self.widths)
        reach, count = unit / self.widths, len(unit)
        priced = np.flatnonzero(self.prices[self.columns])
        blank = np.zeros((count, len(priced)))
        near = np.diag(reach), np.ones((count, 1))
        score = np.concatenate([self.gain * reach / self.scale, np.zeros(len(priced) + 1)])
        relations, limits = self._relation_rows(unit)
        costs, spent = self._cost_rows(reach, priced)
        A = np.vstack(
            [
                *(np.hstack([sign * near[0], blank, -near[1]]) for sign in (1.0, -1.0)),
                -score[None],
                np.hstack([relations, np.zeros((len(relations), len(priced) + 1))]),
                costs,
            ]
        )
        b = np.concatenate([np.zeros(2 * count), [-(self.need / self.scale + _SOLVED_MARGIN)], limits, spent])
        start, rest = self.x[self.columns], np.ones(len(priced) + 1)
        low = np.append((self.box.low[0, self.columns] - start) / unit, 0.0 * rest)
        high = np.append((self.box.high[0, self.columns] - start) / unit, rest)
        whole = np.append(self.whole, rest == 0)
        moves, gave_up = _minimise_last(A, b, low, high, whole)
        if moves is not None and whole.any():
            low[whole] = high[whole] = np.rint(moves[whole])
            moves, gave_up = _minimise_last(A, b, low, high, np.zeros_like(whole))[0], True
        if moves is None:
            return None, gave_up
        found = self.x.copy()
        found[self.columns] += moves[:count] * unit
        return self._settle(found)

    def _settle(self, found: Matrix) -> tuple[Matrix | None, bool]:
        """The solver's row moved onto the relations; given up where that takes more than a rounding error."""
        rows = onto_relations(found, self.box, self.schema)
        shifts = (np.abs(rows - found)[:, self.columns] / self.widths).max(axis=1)
        fine = keeps(rows, self.schema) & self.threat.affordable(np.tile(self.x, (len(rows), 1)), rows, self.schema)
        shifts[~fine] = np.inf
        at = int(np.argmin(shifts))
        return (rows[at], False) if shifts[at] <= _ROUNDING else (None, True)

    def _relation_rows(self, unit: Matrix) -> tuple[Matrix, Matrix]:
        """The relations as rows over the moves and right-hand sides, each divided by its widest term."""
        at = {int(column): position for position, column in enumerate(self.columns)}
        rows, limits = [], []
        for link in network(self.schema, TOLERANCE).links:
            for columns, weights, bound in as_sums(link, self.x, set(at), self.box):
                slack = bound - float(weights @ self.x[columns])
                if np.isnan(slack) or not at.keys() & set(columns.tolist()):
                    continue
                row = np.zeros(len(unit))
                for column, weight in zip(columns.tolist(), weights, strict=True):
                    if column in at:
                        row[at[column]] += weight * unit[at[column]]
                widest = max(
                    abs(weight) * self.schema.features[column].width
                    for column, weight in zip(columns.tolist(), weights, strict=True)
                )
                rows.append(row / widest)
                limits.append(slack / widest)
        return np.array(rows).reshape(-1, len(unit)), np.array(limits)

    def _cost_rows(self, reach: Matrix, priced: Labels) -> tuple[Matrix, Matrix]:
        """What is spent on a column is at least its move either way; all of it costs `max_cost` at most."""
        if self.threat.max_cost is None:
            return np.zeros((0, len(reach) + len(priced) + 1)), np.zeros(0)
        prices = self.prices[self.columns][priced]
        move = np.zeros((len(priced), len(reach)))
        move[np.arange(len(priced)), priced] = reach[priced]
        spend, edge = np.eye(len(priced)), np.zeros((len(priced), 1))
        total = np.concatenate([np.zeros(len(reach)), prices / self.threat.max_cost, [0.0]])
        A = np.vstack([np.hstack([move, -spend, edge]), np.hstack([-move, -spend, edge]), total[None]])
        return A, np.append(np.zeros(2 * len(priced)), 1.0 - _SOLVED_MARGIN)


def as_sums(link: Link, x: Matrix, free: set[int], box: Box) -> list[tuple[Labels, Matrix, float]]:
    """A link as w · x[columns] <= bound, given that of a quotient and its denominator one is not free.

    Args:
        link: as loose as the check of rows.
        x: (features,) what is not free.
        free: the features that may change.
        box: (1, features) what they may become.
    """
    if isinstance(link, SumLink):
        return [(link.columns, link.weights, link.bound)]
    quotient, numerator, denominator = map(int, link.columns)
    sums = []
    for sign, wanted, side in ((1.0, link.at_most, link.down), (-1.0, link.at_least, link.up)):
        if not wanted:
            continue
        if denominator in free:
            columns, weights, bound = [denominator, numerator], [float(side(x[quotient])), -1.0], 0.0
        else:  # the chord of a side over the quotient's range lies outside of it
            low, high = float(box.low[0, quotient]), float(box.high[0, quotient])
            slope = float((side(high) - side(low)) / (high - low)) if low < high else 1.0
            open_at_0 = float(side(low)) - slope * low
            columns, weights = [quotient, numerator], [slope * x[denominator], -1.0]
            bound = -open_at_0 * x[denominator]
        sums.append((np.array(columns), sign * np.array(weights), sign * bound))
    return sums


def _minimise_last(A: Matrix, b: Matrix, low: Matrix, high: Matrix, whole: Any) -> tuple[Matrix | None, bool]:
    """The point of A v <= b, low <= v <= high with the least last entry; None and whether the solver gave up."""
    with quiet():
        answer = milp(
            np.append(np.zeros(len(low) - 1), 1.0),
            constraints=LinearConstraint(A, -np.inf, b),
            bounds=Bounds(low, high),
            integrality=whole,
            options={"time_limit": _TIME_LIMIT_S},
        )
    if answer.x is None or answer.status != 0:
        return None, answer.status != _INFEASIBLE
    return np.asarray(answer.x, dtype=np.float64), False
