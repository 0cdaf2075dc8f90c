"""The smallest flip of a row whose features are joined by relations or costs.

    row --box of what the threat allows--> free attack --a flip that breaks a tie--> program with the ties as rows

The free attack settles most rows: nothing flips them, or its flip keeps everything. Elsewhere the program is solved.
Its answer is the smallest flip, but for a quotient that moves as its denominator does: how far that moved is known from
below only. Then the radius is halved between what is known and the flip at hand, until both are the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from holdfast.attacks.tables.feasible import keeps
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees.attack import Flip, TreeAttack
from holdfast.attacks.trees.ball import Ball, Margin
from holdfast.attacks.trees.program import Answer, solve
from holdfast.attacks.trees.ties import Ties
from holdfast.data import Matrix, Schema

_EXACT: Final = 1e-6
"""Share of a range up to which the solver keeps its rows, so that a smaller gap is none."""
_PHANTOMS: Final = 20
"""Answers that are none, before a row is left undecided."""
_ROUNDS: Final = 30
"""Halvings of a radius: the whole range down to that share, and some to spare."""


class TiedAttack:
    """An ensemble to be attacked in rows of a schema.

    Args:
        attack: without relations and costs.
        schema: of the rows.
        threat: what may change; its budget is not used.
    """

    def __init__(self, attack: TreeAttack, schema: Schema, threat: FeasibleChange) -> None:
        self.attack, self.schema, self.threat = attack, schema, threat

    def nearest(self, x: Matrix, own: int, *, within: float) -> Flip:
        """The smallest change of `x` (features,), of class `own`, that flips it and that the threat allows."""
        ties = self._ties(x, within)
        missing = np.isnan(x)
        reach = self.attack.reach
        narrow = self.attack.narrowed(
            np.where(missing, reach.low, ties.box.low[0]), np.where(missing, reach.high, ties.box.high[0])
        )
        free = narrow.nearest(x, own, within=within)
        if free.x is None or self._allowed(x, free.x, own):
            return free
        best = Flip(None, np.inf, np.inf)
        for margin in narrow.margins(x, own):
            bound, limit = max(margin.at_least(), free.at_least), min(within, best.distance)
            if bound > limit or bound >= best.distance:
                continue
            found = self._nearest_of(margin, own, at_least=bound, within=limit)
            least = min(best.at_least, found.at_least)
            best = found if found.distance < best.distance else best
            best = Flip(best.x, best.distance, least)
        return Flip(best.x, best.distance, min(best.at_least, best.distance))

    def _nearest_of(self, margin: Margin, own: int, *, at_least: float, within: float) -> Flip:
        """The smallest flip to one other class."""
        x, best, radius = margin.origin.x, Flip(None, np.inf, np.inf), within
        for _ in range(_ROUNDS):
            answer = self._solved(margin.ball(radius), self._ties(x, radius), at_least=at_least)
            at_least = radius if np.isinf(answer.at_least) else max(at_least, answer.at_least)
            if np.isinf(answer.at_least) and best.x is None:
                return best
            if np.isfinite(answer.at_least):
                if answer.row is None or not self._allowed(x, answer.row, own):
                    break
                moved = self.threat.distance(x[None], answer.row[None], self.schema)[0]
                if moved < best.distance:
                    best = Flip(answer.row, float(moved), np.inf)
            if best.distance - at_least <= _EXACT:
                return Flip(best.x, best.distance, best.distance)
            radius = (at_least + best.distance) / 2
        return Flip(best.x, best.distance, min(at_least, best.distance))

    def _solved(self, ball: Ball, ties: Ties, *, at_least: float) -> Answer:
        """The solver's answer, asked again without those that its rounding alone made."""
        answer = Answer(None, at_least)
        for _ in range(_PHANTOMS):
            answer = solve(ball, nearest=True, at_least=at_least, time_limit_s=self.attack.time_limit_s, ties=ties)
            if answer.phantom is None:
                break
            ties = replace(ties, phantoms=(*ties.phantoms, answer.phantom))
        return answer

    def _ties(self, x: Matrix, radius: float) -> Ties:
        return Ties(x, self.schema, self.threat.with_budget(min(1.0, radius)), self.attack.regions)

    def _allowed(self, x: Matrix, changed: Matrix, own: int) -> bool:
        """Whether the threat allows a changed row, and the ensemble says another class of it."""
        row = changed[None]
        return bool(
            keeps(row, self.schema)[0]
            and self.threat.affordable(x[None], row, self.schema)[0]
            and self.attack.labels(row)[0] != own
        )
