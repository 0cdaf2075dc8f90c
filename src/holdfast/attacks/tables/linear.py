"""Exact evasion of linear models: the smallest feasible change of each row that flips the decision.

For one wrong class the margin to the true one is linear in the features, so the smallest budget that closes it is a
linear program, with whole variables where features are whole numbers. Relations never speak of categories, hence the
best switches of categories are simply the ones that gain most. Where neither relations nor whole numbers bind, the
program has a closed form; else HiGHS solves it (scipy.optimize.milp). Exact means: up to a part in a million of the
weights, by which a solved margin has to be passed so that rounding cannot undo it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp

from holdfast.attacks.tables.feasible import Box, ordered_pairs, repair, whole_columns
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Labels, Matrix, Schema
from holdfast.models import LinearModel, predict

_EXACT_MARGIN: Final = 1e-9
_SOLVED_MARGIN: Final = 1e-6
_TIME_LIMIT_S: Final = 10.0
_ROUNDING: Final = 1e-5
"""Share of a range by which a solver's row may miss the relations."""
_INFEASIBLE: Final = 2


@dataclass(frozen=True)
class Flips:
    """The smallest flipping change of each row.

    Args:
        X: (rows, features) the changed rows; the row itself where nothing flips it.
        distance: (rows,) share of the range that the furthest feature moves; infinite where nothing flips the row.
        undecided: (rows,) where the solver gave up or rounding undid its answer.
    """

    X: Matrix
    distance: Matrix
    undecided: npt.NDArray[np.bool_]


def smallest_flips(model: LinearModel, X: Matrix, y: Labels, threat: FeasibleChange) -> Flips:
    """Find the smallest change of each row after which the model no longer says `y`, whatever the threat's budget.

    Args:
        model: the model.
        X: (rows, features) that the model gives to `y`.
        y: (rows,) classes.
        threat: how categories may change; its budget is not used.
    """
    best = Flips(X.copy(), np.full(len(X), np.inf), np.zeros(len(X), dtype=bool))
    weights, intercept = _per_class(model)
    scores = model.encoding.encode(X) @ weights.T + intercept
    box = threat.with_budget(1.0).box(X, model.schema)
    for row, own in enumerate(y):
        for target in np.flatnonzero(np.arange(len(weights)) != own):
            w, reach = weights[target] - weights[own], box.take(slice(row, row + 1))
            switched, gain = _switch_categories(model.schema, X[row], w, threat.max_category_changes, reach)
            need = float(scores[row, own] - scores[row, target]) - gain
            found, undecided = _Problem(model, switched, w, need, reach).smallest()
            best.undecided[row] |= undecided
            if found is not None:
                distance = float(threat.distance(X[[row]], found[None], model.schema)[0])
                if distance < best.distance[row]:
                    best.X[row], best.distance[row] = found, distance
    best.undecided[np.isfinite(best.distance) & (predict(model, best.X) == y)] = True
    return best


class _Problem:
    """One row and one wrong class: the smallest move of the numeric features that gains `need` in score."""

    def __init__(self, model: LinearModel, x: Matrix, w: Matrix, need: float, box: Box) -> None:
        self.schema, self.x, self.box = model.schema, x, box
        scaled = {column.source: at for at, column in enumerate(model.encoding.columns) if column.kind == "scaled"}
        movable = (box.low[0] < x) | (x < box.high[0])
        self.columns = np.array([s for s in scaled if movable[s] and not np.isnan(x[s])], dtype=int)
        self.widths = np.array([model.schema.features[s].width for s in self.columns])
        # a move by the whole range is 2 in encoded units, so `gain` is score per share of the range
        self.gain = 2.0 * w[[scaled[int(s)] for s in self.columns]]
        self.scale = float(np.abs(self.gain).sum()) or 1.0
        self.need = need
        self.whole = np.isin(self.columns, whole_columns(model.schema))
        self.pairs = ordered_pairs(model.schema)

    def smallest(self) -> tuple[Matrix | None, bool]:
        """The row after the smallest move; None where no move is enough. Second, whether the solver gave up."""
        found = self._closed_form()
        if found is None or self._keeps(found):
            return found, False
        return self._solve()

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
        """Whether the closed form happens to keep relations and whole numbers, and so is the optimum."""
        moved = x[self.columns[self.whole]]
        return bool((moved == np.rint(moved)).all()) and not any(x[small] > x[large] for small, large in self.pairs)

    def _solve(self) -> tuple[Matrix | None, bool]:
        """The optimum as a mixed-integer program.

        Variables: the move of each column (shares of its range, or whole units), then the budget, which is minimised.
        The solver's whole numbers are whole up to 1e-6 only, so they are rounded and the rest is solved once more.
        """
        unit = np.where(self.whole, 1.0, self.widths)
        reach = unit / self.widths
        count = len(unit)
        eye, budget = np.diag(reach), np.ones((count, 1))
        score = np.append(self.gain * reach / self.scale, 0.0)
        rows, limits = self._relation_rows(unit)
        A = np.vstack([np.hstack([eye, -budget]), np.hstack([-eye, -budget]), -score[None], rows])
        b = np.concatenate([np.zeros(2 * count), [-(self.need / self.scale + _SOLVED_MARGIN)], limits])
        start = self.x[self.columns]
        low = np.append((self.box.low[0, self.columns] - start) / unit, 0.0)
        high = np.append((self.box.high[0, self.columns] - start) / unit, 1.0)
        whole = np.append(self.whole, False)
        moves, gave_up = _minimise_last(A, b, low, high, whole)
        if moves is not None and whole.any():
            low[whole] = high[whole] = np.rint(moves[whole])
            moves, gave_up = _minimise_last(A, b, low, high, np.zeros_like(whole))[0], True
        if moves is None:
            return None, gave_up
        found = self.x.copy()
        found[self.columns] += moves[:-1] * unit
        return self._settle(found)

    def _settle(self, found: Matrix) -> tuple[Matrix | None, bool]:
        """The solver's row moved exactly onto the relations; given up where that takes more than a rounding error."""
        settled = [repair(found[None], self.box, self.schema, upward=upward)[0] for upward in (True, False)]
        shifts = [float(np.max(np.abs((row - found)[self.columns]) / self.widths)) for row in settled]
        nearest = int(np.argmin(shifts))
        return (settled[nearest], False) if shifts[nearest] <= _ROUNDING else (None, True)

    def _relation_rows(self, unit: Matrix) -> tuple[Matrix, Matrix]:
        """`smaller <= larger` as rows over the moves and right-hand sides, each divided by the larger width."""
        at = {int(column): position for position, column in enumerate(self.columns)}
        rows, limits = [], []
        for smaller, larger in self.pairs:
            slack = self.x[larger] - self.x[smaller]
            if np.isnan(slack) or not {smaller, larger} & at.keys():
                continue
            row = np.zeros(len(unit) + 1)
            for column, sign in ((smaller, 1.0), (larger, -1.0)):
                if column in at:
                    row[at[column]] += sign * unit[at[column]]
            size = max(self.schema.features[smaller].width, self.schema.features[larger].width)
            rows.append(row / size)
            limits.append(slack / size)
        return np.array(rows).reshape(-1, len(unit) + 1), np.array(limits)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep a solver's remarks off stdout: HiGHS writes some from C++ whatever it is told, a line for each solution."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _minimise_last(A: Matrix, b: Matrix, low: Matrix, high: Matrix, whole: Any) -> tuple[Matrix | None, bool]:
    """The point of A v <= b, low <= v <= high with the least last entry; None and whether the solver gave up."""
    with _silent():
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


def _switch_categories(schema: Schema, x: Matrix, w: Matrix, allowed: int, box: Box) -> tuple[Matrix, float]:
    """The row with the (at most `allowed`) switches of categories that gain most in `w`, and their gain."""
    gains = []
    start = 0
    for position, feature in enumerate(schema.features):
        width = len(feature.categories) if feature.kind == "category" else 1
        if feature.kind == "category" and box.low[0, position] < box.high[0, position]:
            own = w[start : start + width]
            gains.append((float(own.max() - own[int(x[position])]), position, int(own.argmax())))
        start += width + feature.nullable
    switched, best = x.copy(), [gain for gain in sorted(gains, reverse=True)[:allowed] if gain[0] > 0]
    for _, position, code in best:
        switched[position] = code
    return switched, sum(gain for gain, _, _ in best)


def _per_class(model: LinearModel) -> tuple[Matrix, Matrix]:
    """Weights (classes, width) and intercepts (classes,); with two classes, the first scores 0."""
    if len(model.coef) > 1:
        return model.coef, model.intercept
    return np.vstack([np.zeros_like(model.coef), model.coef]), np.append(0.0, model.intercept)
