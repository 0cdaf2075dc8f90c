"""White-box evasion of differentiable models: steps along the gradient, each mended into a row that could be real.

The constrained auto-PGD of Simonetto, Ghamizi and Cordy (CAPGD, 2024,
https://arxiv.org/abs/2406.00775): auto-PGD with its momentum and its halving of steps (Croce and Hein 2020,
algorithm 1), every step followed by a repair onto types, ranges and relations. It starts from the row itself, then from
random allowed ones, and lowers the margin between the true class and the best other one. Where moves have a price, a
step goes towards the affordable row that gains most if the margin is linear, as the steps of Frank and Wolfe do.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.attacks.oracle import Oracle
from holdfast.attacks.tables.differentiable import Differentiable
from holdfast.attacks.tables.moves import Mask, Moves, shrink
from holdfast.attacks.tables.search import Found
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Labels, Matrix
from holdfast.models import Encoding

_STEPS: Final = 50
_STARTS: Final = 4
_MOMENTUM: Final = 0.75
"""Share of the new step, the rest goes on as before (Croce and Hein 2020, eq. 1)."""
_ENOUGH: Final = 0.75
"""Share of steps between two checkpoints that have to lower the margin, else the step is halved."""
_SHRINK_STEPS: Final = 12


def climb(
    oracle: Oracle, model: Differentiable, X: Matrix, y: Labels, *, threat: FeasibleChange, rng: np.random.Generator
) -> Found:
    """Look for feasible changes after which the model no longer says `y`, by its gradients.

    Args:
        oracle: the model as it is asked; only what it says counts.
        model: the same with gradients.
        X: (rows, features).
        y: (rows,) the classes that the model gives them now.
        threat: what may change.
        rng: decides starts and repairs.
    """
    ascent = _Ascent(oracle, model, X, y, threat, rng)
    for start in range(_STARTS):
        rows = np.flatnonzero(~ascent.flipped & ascent.moves.movable.any(axis=1))
        if len(rows):
            ascent.run(rows, from_row=start == 0)
    rows = np.flatnonzero(ascent.flipped)
    shrink(ascent.moves, ascent.X, rows, flips=ascent.flips, steps=_SHRINK_STEPS, rng=rng)
    return Found(ascent.X, ascent.flipped, ascent.queries)


class _Ascent:
    """The state of an attack on many rows at once."""

    def __init__(
        self,
        oracle: Oracle,
        model: Differentiable,
        X: Matrix,
        y: Labels,
        threat: FeasibleChange,
        rng: np.random.Generator,
    ) -> None:
        self.oracle, self.model, self.y, self.rng = oracle, model, y, rng
        self.encoding = Encoding(model.schema)
        self.moves = Moves(X, threat, model.schema)
        self.X, self.flipped = X.copy(), np.zeros(len(X), dtype=bool)
        self.queries = np.zeros(len(X), dtype=np.int64)

    def flips(self, X: Matrix, rows: Labels) -> Mask:
        """Whether the model as it is asked no longer says the class of these rows."""
        self.queries[rows] += 1
        return np.asarray(self.oracle.labels(X) != self.y[rows])

    def run(self, rows: Labels, *, from_row: bool) -> None:
        """Go down the margin from one start, and keep the rows that the model confirms."""
        origin = self.moves.origin[rows]
        x = origin if from_row else self.moves.settle(self._anywhere(rows), origin, rows, self.rng)
        best = self._descend(x, rows)
        flipped = self.flips(best, rows)
        self.X[rows[flipped]], self.flipped[rows[flipped]] = best[flipped], True

    def _descend(self, x: Matrix, rows: Labels) -> Matrix:
        """The rows of least margin on the way (Croce and Hein 2020, algorithm 1, with a repair at every step)."""
        size = np.full((len(rows), 1), 1.0)
        margin, gradient = self._margin(x, self.y[rows])
        best, least, before, last = x, margin.copy(), x, margin
        lowered, least_then, size_then = np.zeros(len(rows)), least.copy(), size.copy()
        checkpoints = _checkpoints(_STEPS)
        for step in range(_STEPS):
            ahead = self._step(x, gradient, size, rows)
            if step:
                ahead = self.moves.settle(
                    x + _MOMENTUM * (ahead - x) + (1 - _MOMENTUM) * (x - before), x, rows, self.rng
                )
            before, x = x, ahead
            margin, gradient = self._margin(x, self.y[rows])
            lowered += margin < last
            last, better = margin, margin < least
            best, least = np.where(better[:, None], x, best), np.where(better, margin, least)
            if step + 1 in checkpoints:
                span = step + 1 - max(at for at in (0, *checkpoints) if at <= step)
                stuck = (size[:, 0] == size_then[:, 0]) & (least == least_then)
                halve = (lowered < _ENOUGH * span) | stuck
                size_then, least_then, lowered = size.copy(), least.copy(), np.zeros(len(rows))
                size = np.where(halve[:, None], size / 2, size)
                x = np.where(halve[:, None], best, x)
                margin, gradient = self._margin(x, self.y[rows])
                last = margin
            if (least < 0).all():
                break
        return best

    def _step(self, x: Matrix, gradient: Matrix, size: Matrix, rows: Labels) -> Matrix:
        """One step against the gradient, mended; numbers by its sign, or, where moves have a price, to what pays."""
        box, slopes = self.moves.box.take(rows), self._of_numbers(gradient)
        if self.moves.threat.max_cost is None:
            ahead = x - size * np.where(self.moves.is_category, 0.0, box.high - box.low) * np.sign(slopes)
        else:
            ahead = x + size * (self._what_pays(slopes, rows) - x)
        self._swap(ahead, gradient, rows)
        return self.moves.settle(ahead, x, rows, self.rng)

    def _what_pays(self, slopes: Matrix, rows: Labels) -> Matrix:
        """The affordable rows that gain most if the margin is linear: the best gain for its price is bought first."""
        origin, box, threat = self.moves.origin[rows], self.moves.box.take(rows), self.moves.threat
        widths = np.array([feature.width or 1.0 for feature in self.encoding.schema.features])
        room = np.nan_to_num(np.where(slopes > 0, box.low, box.high) - origin)
        room[:, self.moves.is_category] = 0.0
        cost = np.abs(room) / widths * threat.prices(self.encoding.schema)
        gain = np.abs(slopes) * np.abs(room) / widths
        order = np.argsort(-gain / np.maximum(cost, np.finfo(float).tiny ** 0.5), axis=1)
        in_order = np.take_along_axis(cost, order, axis=1)
        left = (threat.max_cost or 0.0) - (np.cumsum(in_order, axis=1) - in_order)
        share = np.clip(left / np.maximum(in_order, np.finfo(float).tiny), 0.0, 1.0)
        bought = np.empty_like(share)
        np.put_along_axis(bought, order, share, axis=1)
        return np.asarray(origin + bought * room)

    def _margin(self, x: Matrix, y: Labels) -> tuple[Matrix, Matrix]:
        """(rows,) by how much the class leads the best other one, and its gradient over encoded columns."""
        scores, pullback = self.model.scores_and_pullback(self.encoding.encode(x))
        at = np.arange(len(x))
        others = scores.copy()
        others[at, y] = -np.inf
        rival = others.argmax(axis=1)
        weights = np.zeros_like(scores)
        weights[at, y], weights[at, rival] = 1.0, -1.0
        return scores[at, y] - scores[at, rival], pullback(weights)

    def _of_numbers(self, gradient: Matrix) -> Matrix:
        """(rows, features) the gradient over numbers, 0 for categories; its sign is that in the schema's units."""
        flat = np.zeros((len(gradient), len(self.encoding.schema.features)))
        for position, column in enumerate(self.encoding.columns):
            if column.kind == "scaled":
                flat[:, column.source] = gradient[:, position]
        return flat

    def _swap(self, x: Matrix, gradient: Matrix, rows: Labels) -> None:
        """Swap, in place, the categories that gain most by the gradient, as many as are allowed."""
        allowed, origin = self.moves.threat.max_category_changes, self.moves.origin[rows]
        free = [p for p in np.flatnonzero(self.moves.is_category) if self.moves.movable[rows, p].any()]
        if not allowed or not free:
            return
        at = np.arange(len(x))
        gains, codes = np.zeros((len(x), len(free))), np.zeros((len(x), len(free)))
        for number, position in enumerate(free):
            columns = [i for i, c in enumerate(self.encoding.columns) if c.source == position and c.kind == "equals"]
            slopes, own = gradient[:, columns], np.nan_to_num(origin[:, position]).astype(int)
            codes[:, number] = slopes.argmin(axis=1)
            gains[:, number] = np.where(self.moves.movable[rows, position], slopes[at, own] - slopes.min(axis=1), 0.0)
        rank = (-gains).argsort(axis=1).argsort(axis=1)
        x[:, free] = np.where((rank < allowed) & (gains > 0), codes, origin[:, free])

    def _anywhere(self, rows: Labels) -> Matrix:
        """Random rows of the box."""
        box = self.moves.box.take(rows)
        return np.asarray(box.low + self.rng.random(box.low.shape) * (box.high - box.low))


def _checkpoints(steps: int) -> list[int]:
    """The steps after which step sizes are looked at (Croce and Hein 2020, section 3.2)."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return [int(np.ceil(share * steps)) for share in shares[1:] if share <= 1]
