"""Relations and costs as rows of the exact search.

The thresholds that a feature passes hold its value between them. A sum is then a row, and so is a quotient of which the
quotient or the denominator stays. Where both move, the quotient is compared with one number at a time: with each
threshold that it does or does not pass, and with the ends of its range. Multiplied out by the denominator, which is
positive, each of these is a row as well. So the program knows exactly which cells can be reached within the radius; how
far the quotient itself has moved there it knows as a lower bound only.

What the check of a relation leaves open is open here too, so that "none" holds for every row that could be loaded.
"""

from __future__ import annotations

from typing import Final

from holdfast.attacks.tables.linear_program import as_sums
from holdfast.attacks.tables.links import Link, QuotientLink
from holdfast.attacks.trees.ball import Ball
from holdfast.attacks.trees.system import Linear, System
from holdfast.attacks.trees.thresholds import Thresholds, nearest_of
from holdfast.attacks.trees.ties import Cut, Phantom, Ties

_ONE: Final = Linear(1.0)


def join(system: System, ties: Ties, ball: Ball, thresholds: Thresholds, *, distance: int) -> None:
    """Add the rows of the ties.

    Args:
        system: the program so far. Behind the distance come its variables for the moves of `ties.columns`, then as many
            for what is spent on them.
        ties: what joins the features.
        ball: what may be done.
        thresholds: the first variables.
        distance: the variable of the distance.
    """
    joining = _Joining(system, ties, thresholds, distance)
    joining.hold_in_cells()
    joining.measure()
    for link in ties.links:
        joining.relate(link)
    if ties.threat.max_cost is not None:
        joining.charge(ball)
    for phantom in ties.phantoms:
        joining.differ(phantom)


class _Joining:
    def __init__(self, system: System, ties: Ties, thresholds: Thresholds, distance: int) -> None:
        self.system, self.ties, self.thresholds = system, ties, thresholds
        self.distance = Linear(0.0, {distance: 1.0})
        self.moves = {int(column): distance + 1 + at for at, column in enumerate(ties.columns)}
        self.units = dict(zip(self.moves, ties.units.tolist(), strict=True))
        self.widths = dict(zip(self.moves, ties.widths.tolist(), strict=True))

    def value(self, column: int) -> Linear:
        """The value of a feature after its move."""
        start = float(self.ties.x[column])
        return Linear(start, {self.moves[column]: self.units[column]} if column in self.moves else {})

    def ends(self, column: int) -> tuple[float, float]:
        """What the value may become at the least and at the most."""
        return float(self.ties.box.low[0, column]), float(self.ties.box.high[0, column])

    def hold_in_cells(self) -> None:
        """A value lies between the thresholds that it passes and those that it does not."""
        for column, width in self.widths.items():
            cuts = self.ties.cuts(column, self.thresholds)
            downs, ups = [cut for cut in cuts if not cut.up], [cut for cut in cuts if cut.up]
            low, high = self.ends(column)
            least = _stairs(downs, ups, [cut.at for cut in downs], [cut.at for cut in ups], low)
            under = [[self.ties.below(column, cut.at) for cut in side] for side in (downs, ups)]
            most = _stairs(ups, downs, under[1], under[0], high)
            self.system.at_most_zero(least - self.value(column), unit=width)
            self.system.at_most_zero(self.value(column) - most, unit=width)

    def measure(self) -> None:
        """The distance is at least each move, as a share of the range."""
        for column, width in self.widths.items():
            move = self.value(column) - Linear(float(self.ties.x[column]))
            for sign in (1.0, -1.0):
                self.system.at_most_zero(sign * move - width * self.distance, unit=width)

    def relate(self, link: Link) -> None:
        """What a relation asks of the values."""
        if not self.moves.keys() & set(link.columns.tolist()):
            return
        if isinstance(link, QuotientLink) and {int(link.columns[0]), int(link.columns[2])} <= self.moves.keys():
            self._compare(link)
            return
        for columns, weights, bound in as_sums(link, self.ties.x, set(self.moves), self.ties.box):
            names = columns.tolist()
            total = sum((weight * self.value(at) for at, weight in zip(names, weights, strict=True)), Linear(-bound))
            widest = max(
                abs(weight) * self.ties.schema.features[at].width for at, weight in zip(names, weights, strict=True)
            )
            self.system.at_most_zero(total, unit=float(widest))

    def _compare(self, link: QuotientLink) -> None:
        """A quotient that moves as its denominator does: on the same side of each number as what it is equal to."""
        quotient = int(link.columns[0])
        low, high = self.ends(quotient)
        cuts = self.ties.cuts(quotient, self.thresholds)
        if link.at_most:  # numerator / denominator is at least whatever the quotient is
            self._beside(link, float(link.down(low)), sign=-1.0)
            for cut in cuts:
                self._beside(link, float(link.down(cut.at)), sign=-1.0, unless=_broken(cut, passed=cut.up))
            self._no_further(link, sign=-1.0)
        if link.at_least:
            self._beside(link, float(link.up(high)), sign=1.0)
            for cut in cuts:
                number = float(link.up(self.ties.below(quotient, cut.at)))
                self._beside(link, number, sign=1.0, unless=_broken(cut, passed=not cut.up))
            self._no_further(link, sign=1.0)

    def _beside(self, link: QuotientLink, number: float, *, sign: float, unless: Linear | None = None) -> None:
        """Keep sign * (numerator - number * denominator) at 0 or below, unless that expression is 1."""
        _, numerator, denominator = map(int, link.columns)
        over = sign * (self.value(numerator) - number * self.value(denominator))
        corners = [
            sign * (above - number * below) for above in self.ends(numerator) for below in self.ends(denominator)
        ]
        if unless is not None:
            over = over - max(0.0, *corners) * unless
        self.system.at_most_zero(over, unit=max(map(abs, corners)) or 1.0)

    def _no_further(self, link: QuotientLink, *, sign: float) -> None:
        """The quotient moves by the distance at most: a bound, with the largest denominator in place of its own."""
        quotient, numerator, denominator = map(int, link.columns)
        start, largest = float(self.ties.x[quotient]), self.ends(denominator)[1]
        over = sign * (self.value(numerator) - start * self.value(denominator))
        reach = self.widths[quotient] * largest
        left_open = (1 / link.share - 1) * max(map(abs, self.ends(quotient))) * largest
        self.system.at_most_zero(over - reach * self.distance - Linear(left_open), unit=reach)

    def differ(self, phantom: Phantom) -> None:
        """At least one threshold is passed that was not, or the reverse."""
        same = _ONE
        for variable, passed in zip(phantom.which.tolist(), phantom.passed, strict=True):
            same = same - _broken(Cut(variable, up=True, at=0.0), passed=bool(passed))
        self.system.at_most_zero(same)

    def charge(self, ball: Ball) -> None:
        """What is spent on a feature is at least its move either way; all of it costs `max_cost` at most."""
        prices, most = self.ties.prices, float(self.ties.threat.max_cost or 0.0)
        total = Linear(-most)  # what the solver overspends by its rounding is not settled
        for column, width in self.widths.items():
            spent, move = (
                Linear(0.0, {self.moves[column] + len(self.moves): 1.0}),
                self.value(column) - Linear(float(self.ties.x[column])),
            )
            for sign in (1.0, -1.0):
                self.system.at_most_zero((sign / width) * move - spent)
            total = total + float(prices[column]) * spent
        for threshold in nearest_of(self.thresholds):
            feature = self.thresholds.feature[threshold]
            if ball.switch[feature]:
                total = total + Linear(0.0, {int(threshold): float(prices[feature])})
        self.system.at_most_zero(total, unit=most)


def _stairs(short: list[Cut], beyond: list[Cut], short_at: list[float], beyond_at: list[float], end: float) -> Linear:
    """The end of a value on one side: the nearest of the cuts on that side that it does not pass, else `end`.

    Past a cut on the other side it is that cut.

    Args:
        short: cuts on that side, the nearest first.
        beyond: cuts on the other side, likewise.
        short_at: where a value stops that does not pass each.
        beyond_at: where a value stops that passes each.
        end: where it stops if it passes all cuts on that side.
    """
    stops = [*short_at, end]
    place = Linear(end)
    for cut, here, further in zip(short, stops, stops[1:], strict=False):
        place = place + (here - further) * _broken(cut, passed=True)
    for cut, here, before in zip(beyond, beyond_at, [stops[0], *beyond_at], strict=False):
        place = place + (here - before) * Linear(0.0, {cut.variable: 1.0})
    return place


def _broken(cut: Cut, *, passed: bool) -> Linear:
    """1 where a cut is not passed although it should be, or the reverse."""
    variable = Linear(0.0, {cut.variable: 1.0})
    return _ONE - variable if passed else variable
