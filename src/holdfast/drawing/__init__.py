"""How figures look to people: words, plots as plain values, and the page style that every report shares. No IO."""

from holdfast.drawing.chart import Axis, Frame, Mark, Plot, Point
from holdfast.drawing.pages import templates_of

__all__ = ["Axis", "Frame", "Mark", "Plot", "Point", "templates_of"]
