"""Plots as plain values: axes and marks in pixels, which one template draws as inline SVG.

Nothing here is markup. Text and attributes stay strings until the template escapes them, and colours, dashes and fonts
are CSS classes, so one plot serves light, dark and print. Coordinates are rounded: same numbers, same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

WIDTH: Final = 440
"""Pixels of a plot in its own coordinates; at 320 px of phone its 13 px labels are still 9.5 px."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 46

Point = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """One SVG element; `css` names its role ("line a", "band b", "note"), `text` is for `tag == "text"`."""

    tag: Literal["path", "rect", "circle", "text"]
    css: str
    attributes: Mapping[str, str]
    text: str = ""


@dataclass(frozen=True)
class Axis:
    """A scale with its ticks. On a log axis everything below `low` is drawn at `low`."""

    label: str
    low: float
    high: float
    log: bool = False
    names: tuple[str, ...] = ()
    """Categories instead of numbers, at 0, 1, 2, …"""
    last: float | None = None
    """Where the ticks end, if the axis goes on to leave room for labels."""

    def fraction(self, value: float) -> float:
        """Where a value lies on the axis, from 0 to 1; clipped to it."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Values and labels: decades on a log axis, else four to seven round steps."""
        if self.names:
            return [(float(place), name) for place, name in enumerate(self.names)]
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [(10.0**power, _tick(10.0**power)) for power in range(first, last + 1)]
        step = _round_step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor((self.high if self.last is None else self.last) / step + 1e-9)
        return [(place * step, _tick(place * step)) for place in range(first, last + 1)]


@dataclass(frozen=True)
class Frame:
    """Two axes on a canvas; makes marks out of data coordinates."""

    x: Axis
    y: Axis
    height: int = 280
    left: int = _LEFT

    def at(self, point: Point) -> tuple[str, str]:
        """Pixels of a data point, as SVG writes them."""
        x = self.left + self.x.fraction(point[0]) * (WIDTH - self.left - _RIGHT)
        y = self.height - _BOTTOM - self.y.fraction(point[1]) * (self.height - _TOP - _BOTTOM)
        return f"{x:.1f}", f"{y:.1f}"

    def line(self, points: Iterable[Point], tone: str) -> Mark:
        """A line through points."""
        return Mark("path", f"line {tone}", {"d": self._path(points)})

    def area(self, points: Iterable[Point], tone: str) -> Mark:
        """A closed, lightly filled area."""
        return Mark("path", f"area {tone}", {"d": self._path(points) + "Z"})

    def box(self, low: Point, high: Point, tone: str) -> Mark:
        """A filled rectangle between two corners."""
        (x0, y1), (x1, y0) = self.at(low), self.at(high)
        size = {"width": f"{float(x1) - float(x0):.1f}", "height": f"{float(y1) - float(y0):.1f}"}
        return Mark("rect", f"box {tone}", {"x": x0, "y": y0, **size})

    def dot(self, point: Point, tone: str) -> Mark:
        """A round marker."""
        x, y = self.at(point)
        return Mark("circle", f"dot {tone}", {"cx": x, "cy": y, "r": "4.5"})

    def note(self, point: Point, text: str, *, anchor: str = "start", dx: float = 0, dy: float = 0) -> Mark:
        """A short label beside a point, `dx` and `dy` pixels away."""
        x, y = self.at(point)
        place = {"x": f"{float(x) + dx:.1f}", "y": f"{float(y) + dy:.1f}", "text-anchor": anchor}
        return Mark("text", "note", place, text)

    def inside(self, point: Point, text: str) -> Mark:
        """A label in the middle of a box."""
        x, y = self.at(point)
        return Mark("text", "inside", {"x": x, "y": f"{float(y) + 5:.1f}", "text-anchor": "middle"}, text)

    def whisker(self, low: Point, high: Point, tone: str) -> list[Mark]:
        """An interval between two points as a line with end caps."""
        marks = [self.line([low, high], f"whisker {tone}")]
        upright = low[0] == high[0]
        for end in (low, high):
            x, y = (float(pixel) for pixel in self.at(end))
            caps = (f"M{x - 4:.1f},{y:.1f}H{x + 4:.1f}", f"M{x:.1f},{y - 4:.1f}V{y + 4:.1f}")
            marks.append(Mark("path", f"line whisker {tone}", {"d": caps[0] if upright else caps[1]}))
        return marks

    def scaffold(self) -> list[Mark]:
        """Grid, tick labels and axis labels."""
        marks = [*self._x_scaffold(), *self._y_scaffold()]
        middle = f"{(self.left + WIDTH - _RIGHT) / 2:.1f}"
        marks.append(
            Mark("text", "axis", {"x": middle, "y": f"{self.height - 8}", "text-anchor": "middle"}, self.x.label)
        )
        if self.y.label:
            y = (_TOP + self.height - _BOTTOM) / 2
            turn = {"transform": f"translate(14,{y:.1f}) rotate(-90)", "text-anchor": "middle"}
            marks.append(Mark("text", "axis", turn, self.y.label))
        return marks

    def _x_scaffold(self) -> Iterable[Mark]:
        for value, label in self.x.ticks():
            x, y = self.at((value, self.y.low))
            yield Mark("path", "grid", {"d": f"M{x},{_TOP}V{y}"})
            yield Mark("text", "tick", {"x": x, "y": f"{float(y) + 17:.1f}", "text-anchor": "middle"}, label)

    def _y_scaffold(self) -> Iterable[Mark]:
        for value, label in self.y.ticks():
            x, y = self.at((self.x.low, value))
            if not self.y.names:
                yield Mark("path", "grid", {"d": f"M{x},{y}H{WIDTH - _RIGHT}"})
            place = {"x": f"{float(x) - 7:.1f}", "y": f"{float(y) + 4:.1f}", "text-anchor": "end"}
            yield Mark("text", "tick", place, label)

    def _path(self, points: Iterable[Point]) -> str:
        return "M" + "L".join(",".join(self.at(point)) for point in points)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot ready to be drawn.

    Args:
        title: heads the plot.
        summary: its text alternative, what a sighted reader sees, in words.
        caption: how to read it.
        frame: its axes.
        marks: what is drawn on them, back to front.
        legend: pairs of a mark's CSS ("line a", "box b", "dot a") and its name.
    """

    title: str
    summary: str
    caption: str = ""
    frame: Frame
    marks: Sequence[Mark]
    legend: tuple[tuple[str, str], ...] = ()
    width: int = field(default=WIDTH, init=False)

    @property
    def elements(self) -> list[Mark]:
        """Everything to draw, back to front."""
        return [*self.frame.scaffold(), *self.marks]


def _round_step(span: float) -> float:
    """The step among 1, 2, 5 times a power of ten that cuts the span into four to ten parts."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * factor for factor in (5, 2, 1) if span / (power * factor) >= 4)


def _tick(value: float) -> str:
    return f"{round(value, 10):g}"
