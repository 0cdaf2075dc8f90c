"""Figures to plots that need no axis of their own: bars of one unit, intervals, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from holdfast.drawing.chart import Axis, Frame, Mark, Plot
from holdfast.drawing.plots import is_number
from holdfast.drawing.words import figure_name, humanise, interval, number, percent, quantity
from holdfast.evidence import Evidence, Figure

_MAX_BARS: Final = 12
"""Bars or rows of one plot; the table below it has all of them."""
_MAX_LABEL: Final = 22
"""Characters of a label beside a bar; the table has the whole name."""
_ROW: Final = 34
"""Pixels of height per bar."""


def bars(evidence: Evidence, *, unit: str, title: str, label: str) -> Plot | None:
    """All figures of one unit as horizontal bars; bytes on an axis of kB."""
    figures = [(name, figure) for name, figure in evidence.figures.items() if figure.unit == unit][:_MAX_BARS]
    scale = 1000 if unit == "bytes" else 1
    top = max((figure.value for _, figure in figures), default=0.0)
    if top <= 0:
        return None
    frame = Frame(Axis(label, 0, top * 1.45 / scale), _rows(figures), height=58 + _ROW * len(figures), left=150)
    marks: list[Mark] = []
    for place, (_, figure) in enumerate(figures):
        row = _row(place, figures)
        end = max(figure.value, 0.0) / scale
        marks.append(frame.box((0, row - 0.28), (end, row + 0.28), "a"))
        marks.append(frame.note((end, row), quantity(figure), dx=6, dy=4))
    said = "; ".join(f"{figure_name(name, figure.unit)} {quantity(figure)}" for name, figure in figures)
    return Plot(title=title, summary=said + ".", frame=frame, marks=marks)


def intervals(evidence: Evidence) -> Plot | None:
    """All figures between 0 and 1 that carry an interval, as points with whiskers; None for fewer than two."""
    figures = [(name, figure) for name, figure in evidence.figures.items() if _is_share(figure)][:_MAX_BARS]
    if len(figures) < 2:
        return None
    frame = Frame(Axis("", 0, 1), _rows(figures), height=58 + _ROW * len(figures), left=150)
    marks: list[Mark] = []
    for place, (_, figure) in enumerate(figures):
        row = _row(place, figures)
        marks += frame.whisker((figure.low or 0.0, row), (figure.high or 0.0, row), "a")
        marks.append(frame.dot((figure.value, row), "a"))
    said = "; ".join(f"{humanise(name)} {number(figure.value)}, {interval(figure)}" for name, figure in figures)
    caption = "Points: what was measured. Lines: the interval that holds the truth with the confidence stated."
    return Plot(title="Figures with their intervals", summary=said + ".", caption=caption, frame=frame, marks=marks)


def changed_features(evidence: Evidence) -> Plot | None:
    """In what share of the flipped rows each feature was changed, and by how much, as `changes_of` reads it."""
    changes = changes_of(evidence)[:_MAX_BARS]
    alike = {(round(rows, 3), move if move is None else round(move, 3)) for _, rows, move in changes}
    if not changes or len(alike) < min(len(changes), 2):
        return None  # an exact attack moves all features alike, which says nothing of any of them
    frame = Frame(
        Axis("Share of the flipped rows", 0, 1.6, last=1),
        _places([_clip(name) for name, _, _ in changes]),
        height=58 + _ROW * len(changes),
        left=150,
    )
    marks: list[Mark] = []
    for place, (_, share, move) in enumerate(changes):
        row, moved = _row(place, changes), "swapped" if move is None else f"by {number(move)}"
        marks.append(frame.box((0, row - 0.28), (share, row + 0.28), "a"))
        marks.append(frame.note((share, row), f"{percent(share)}, {moved}", dx=6, dy=4))
    return Plot(
        title="Features changed most often",
        summary="; ".join(f"{name} in {percent(share)} of flipped rows" for name, share, _ in changes) + ".",
        caption="Of the rows that were flipped, how many have this feature changed; and the median move in these, as a "
        "share of the feature's range.",
        frame=frame,
        marks=marks,
    )


def changes_of(evidence: Evidence) -> list[tuple[str, float, float | None]]:
    """Name, share of flipped rows and median move of each feature of `context["changed_features"]`; else nothing."""
    told = evidence.context.get("changed_features")
    items = [item for item in told if isinstance(item, Mapping)] if isinstance(told, list | tuple) else []
    return [
        (str(item.get("name")), min(max(float(item["rows"]), 0.0), 1.0), move if is_number(move) else None)
        for item in items
        if is_number(item.get("rows"))
        for move in [item.get("move")]
    ]


def pairs_of(evidence: Evidence) -> list[tuple[str, Figure, Figure]]:
    """The figures that evidence has from before and after, under the name they share."""
    figures = evidence.figures
    stems = [name.removesuffix("_before") for name in figures if name.endswith("_before")]
    return [(stem, figures[f"{stem}_before"], figures[f"{stem}_after"]) for stem in stems if f"{stem}_after" in figures]


def before_after(pairs: Sequence[tuple[str, Figure, Figure]]) -> Plot | None:
    """Measures before and after, joined, for what hardening bought and what it cost."""
    shown = [
        (name, old, new)
        for name, old, new in pairs
        if min(old.value, new.value) >= 0 and max(old.value, new.value) <= 1 and not old.unit
    ][:_MAX_BARS]
    if not shown:
        return None
    frame = Frame(Axis("", 0, 1), _rows([(name, new) for name, _, new in shown]), height=58 + 48 * len(shown), left=150)
    marks: list[Mark] = []
    for place, (_, old, new) in enumerate(shown):
        row = _row(place, shown)
        for figure, tone, offset in ((old, "b", 0.16), (new, "a", -0.16)):
            if figure.low is not None and figure.high is not None:
                marks += frame.whisker((figure.low, row + offset), (figure.high, row + offset), tone)
            marks.append(frame.dot((figure.value, row + offset), tone))
    said = "; ".join(f"{humanise(name)} from {number(old.value)} to {number(new.value)}" for name, old, new in shown)
    return Plot(
        title="Before and after",
        summary=said + ".",
        frame=frame,
        marks=marks,
        legend=(("dot b", "before"), ("dot a", "after")),
    )


def _is_share(figure: Figure) -> bool:
    return figure.low is not None and figure.high is not None and figure.low >= 0 and figure.high <= 1


def _rows(figures: Sequence[tuple[str, Figure]]) -> Axis:
    """A category axis with the first figure on top."""
    return _places([_clip(figure_name(name, figure.unit)) for name, figure in figures])


def _places(names: Sequence[str]) -> Axis:
    return Axis("", -0.6, len(names) - 0.4, names=tuple(reversed(names)))


def _clip(label: str) -> str:
    return label if len(label) <= _MAX_LABEL else label[: _MAX_LABEL - 1] + "…"


def _row(place: int, figures: Sequence[Any]) -> float:
    return float(len(figures) - 1 - place)
