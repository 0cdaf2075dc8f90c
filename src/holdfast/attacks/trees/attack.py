"""An ensemble cut into cells, and the search for what flips one row: fast first, then exactly."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from holdfast.arguments import check_kind
from holdfast.attacks.trees.ball import Margin, Origin, origin
from holdfast.attacks.trees.descent import descend, flip
from holdfast.attacks.trees.program import solve
from holdfast.attacks.trees.reach import Reach, is_radius
from holdfast.attacks.trees.regions import Regions, regions
from holdfast.data import Labels, Matrix
from holdfast.errors import UnsupportedError, UsageError
from holdfast.models.links import top_class
from holdfast.models.trees import Ensemble

TIME_LIMIT_S: Final = 10.0
"""For the solver, for one row and one wrong class."""
_ROUNDING: Final = 1e-6
"""A margin below this share of what all trees together can add is taken for rounding: libraries sum in float32."""
_TIE: Final = 1e-12
"""The same share, below which two sums in float64 are equal."""
_GROWTH: Final = 1.4
"""From one radius to the next, until the fast search finds a flip."""
_STEPS: Final = 256
"""At most: the first radius beyond the bound is at least this part of the furthest."""
_FURTHEST: Final = float(np.finfo(np.float64).max)
"""A radius that holds whatever can be reached at all."""
_NEARER: Final = 1e-9
"""The share by which a flip has to be nearer than the last to be worth a search."""


@dataclass(frozen=True, eq=False)
class Flip:
    """What is known of one row.

    Args:
        x: (features,) the changed row; None where no flip is known.
        distance: of the change; infinite where no flip is known.
        at_least: no flip is nearer than this; infinite where there is none within the radius asked for.
    """

    x: Matrix | None
    distance: float
    at_least: float


class TreeAttack:
    """An ensemble to be attacked, row by row.

    Args:
        ensemble: of trees that tell classes apart.
        reach: what each feature may do.
        time_limit_s: for the solver, for one row and one wrong class; 0 for the fast search alone.

    Raises:
        UnsupportedError: the ensemble tells no classes apart, or has too many leaves.
        UsageError: an argument of another kind, `reach` is about another number of features, or the time limit is
            below 0.
    """

    def __init__(self, ensemble: Ensemble, reach: Reach, *, time_limit_s: float = TIME_LIMIT_S) -> None:
        check_kind("ensemble", ensemble, Ensemble, example="read_trees(model)")
        check_kind("reach", reach, Reach, example="Reach.linf(30, low=0, high=1)")
        if len(ensemble.classes) < 2:
            raise UnsupportedError("expected trees that tell classes apart, got a regression", hint="give a classifier")
        if not is_radius(time_limit_s):
            raise UsageError(f"expected a time limit of 0 seconds or more, got {time_limit_s!r}")
        self.ensemble, self.reach, self.time_limit_s = ensemble, reach, time_limit_s
        self.regions: Regions = regions(ensemble, reach)
        self._values, self._base = _class_scores(ensemble, self.regions)

    def narrowed(self, low: Matrix, high: Matrix) -> TreeAttack:
        """The same attack where changes stay within closer ends, (features,) each."""
        narrow = copy(self)
        narrow.reach = replace(self.reach, low=low, high=high)
        return narrow

    def labels(self, X: Matrix) -> Labels:
        """(rows,) the class that the ensemble gives to each row."""
        return top_class(self.ensemble.scores(X), self.ensemble.link, classes=len(self.ensemble.classes))

    def nearest(self, x: Matrix, own: int, *, within: float) -> Flip:
        """The smallest change of `x` (features,), of class `own`, after which the ensemble says another class."""
        margins = self.margins(x, own)
        bounds = [margin.at_least() for margin in margins]
        best, limit, at_least = Flip(None, np.inf, np.inf), min(within, _FURTHEST), np.inf
        for which in np.argsort(bounds, kind="stable"):
            margin, bound = margins[which], bounds[which]
            if bound > limit:
                break
            if (cells := _near(margin, bound, limit)) is not None:
                best = _flip_to(margin.origin, cells)
                limit = _nearer(best.distance)
            if bound <= limit:
                bound, cells = self._certain(margin, bound, limit)
                if cells is not None:
                    best = _flip_to(margin.origin, cells)
                    limit = _nearer(best.distance)
            at_least = min(at_least, bound)
        return replace(best, at_least=min(at_least, best.distance))

    def any(self, x: Matrix, own: int, *, within: float) -> Flip:
        """Some change of `x` (features,), of class `own`, within a radius that flips it; whether there is one."""
        within, at_least = min(within, _FURTHEST), np.inf
        for margin in self.margins(x, own):
            if margin.lowest(within) > margin.need:
                continue
            ball, bound = margin.ball(within), 0.0
            cells = flip(ball, margin.origin.own)
            if cells is None and self.time_limit_s:
                answer = solve(ball, nearest=False, at_least=0.0, time_limit_s=self.time_limit_s)
                cells, bound = answer.cells, answer.at_least
            if cells is not None:
                return _flip_to(margin.origin, cells)
            at_least = min(at_least, bound)
        return Flip(None, np.inf, at_least)

    def _certain(self, margin: Margin, at_least: float, limit: float) -> tuple[float, Labels | None]:
        """No flip to this class is nearer than the first, of those up to the limit; the second is one, if found."""
        if not self.time_limit_s:
            return at_least, None
        answer = solve(margin.ball(limit), nearest=True, at_least=at_least, time_limit_s=self.time_limit_s)
        return answer.at_least, answer.cells

    def margins(self, x: Matrix, own: int) -> list[Margin]:
        """That of the class `own` of `x` (features,) over each other one; none where there is no tree to change it."""
        place = origin(self.regions, self.reach, x)
        others = [other for other in range(len(self._base)) if other != own]
        return [self._margin(place, own, other) for other in others] if self.ensemble.trees else []

    def _margin(self, place: Origin, own: int, other: int) -> Margin:
        value = self._values[:, own] - self._values[:, other]
        base = float(self._base[own] - self._base[other])
        scale = abs(base) + float(np.maximum.reduceat(np.abs(value), self.regions.starts).sum())
        # of classes with equal scores the first is said
        need = _TIE * scale if other < own else -_ROUNDING * scale
        return Margin(self.regions, self.reach, place, base, value, need)


def _class_scores(ensemble: Ensemble, found: Regions) -> tuple[Matrix, Matrix]:
    """(boxes, classes) and (classes,): what boxes and the base add to a score for each class.

    Where two classes share one output, the first scores 0 and the second what the output has above its threshold.
    """
    if ensemble.n_outputs > 1:
        return found.values, ensemble.base
    even = 0.5 if ensemble.link == "identity" else 0.0
    return np.hstack([np.zeros_like(found.values), found.values]), np.append(0.0, ensemble.base - even)


def _near(margin: Margin, at_least: float, limit: float) -> Labels | None:
    """The cells of the nearest flip that the fast search finds up to a limit."""
    costs = margin.origin.box_cost
    limit = min(limit, float(costs[np.isfinite(costs)].max()))
    radius, own = at_least, margin.origin.own
    while True:
        ball = margin.ball(radius)
        cells, reached = descend(ball, own)
        if reached <= ball.need:
            break
        if radius >= limit:
            found = flip(ball, own)
            if found is None:
                return None
            cells = found
            break
        radius = min(limit, max(radius * _GROWTH, limit / _STEPS, float(costs[costs > radius].min())))
    while (distance := ball.origin.distance(cells)) > at_least:
        ball = margin.ball(_nearer(distance))
        found = flip(ball, ball.pulled_in(cells))
        if found is None:
            break
        cells = found
    return cells


def _nearer(distance: float) -> float:
    """A radius within which a flip is worth a search after one at this distance, however small that is."""
    return min(distance * (1 - _NEARER), float(np.nextafter(distance, -np.inf)))


def _flip_to(place: Origin, cells: Labels) -> Flip:
    """The flip to these cells; nothing is known of nearer ones."""
    return Flip(place.moved(cells), place.distance(cells), 0.0)
