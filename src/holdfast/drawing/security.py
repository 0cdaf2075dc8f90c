"""The security curve: what stays right against what an attacker may change, of one model or of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.drawing.chart import Axis, Frame, Mark, Plot, Point
from holdfast.drawing.plots import limit_line, points_of
from holdfast.drawing.words import number
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import clopper_pearson

_CHANGES: Final = {
    "of range": "Change allowed per feature, as share of its range",
    "Linf": "Change allowed per pixel value, of 0 to 1 (Linf)",
    "of the picture": "Share of the picture that is covered",
}
"""What the budgets are, by their unit; of other units the unit itself says it."""


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """One model's line.

    Args:
        name: of the model.
        points: (budget, share) pairs.
        share: at the budget that the attack was run for, with its interval.
        rows: that the shares are of; 0 where that is not known.
    """

    name: str
    points: list[Point]
    share: Figure | None
    rows: int


def security_curve(
    now: Evidence, *, before: Evidence | None = None, limit: float | None = None, other_name: str = ""
) -> Plot | None:
    """Accuracy against the attacker's budget, for a model and, if there is one, for another beside it.

    Reads `context["curve"]`, columns `budgets` and `robust_accuracy`.

    Args:
        now: evidence of an evasion.
        before: the same of the other model.
        limit: of the policy.
        other_name: what to call the other model.
    """
    pair = [("this model", now)] if before is None else [("this model", now), (other_name, before)]
    curves = [_curve(item, name, "curve", "robust_accuracy") for name, item in pair]
    return _plot(curves, now.figures.get("budget"), limit)


def hardening_curves(evidence: Evidence) -> Plot | None:
    """The same before and after hardening, from `context["curve_after"]` and `context["curve_before"]`."""
    curves = [
        _curve(evidence, f"{when} hardening", f"curve_{when}", f"robust_accuracy_{when}")
        for when in ("after", "before")
    ]
    return _plot(curves, evidence.figures.get("budget"), None)


def _curve(evidence: Evidence, name: str, curve: str, share: str) -> _Curve:
    rows = evidence.figures.get("rows")
    return _Curve(
        name=name,
        points=points_of(evidence.context.get(curve), "budgets", "robust_accuracy"),
        share=evidence.figures.get(share),
        rows=int(rows.value) if rows else 0,
    )


def _plot(curves: Sequence[_Curve], budget: Figure | None, limit: float | None) -> Plot | None:
    drawn = [(tone, curve) for tone, curve in zip("ab", curves, strict=False) if len(curve.points) > 1]
    if not drawn or not _is_graded(curves[0]):
        return None
    far = max(x for _, curve in drawn for x, _ in curve.points) or 1.0
    unit = budget.unit if budget else ""
    label = _CHANGES.get(unit) or (f"Change allowed ({unit})" if unit else "Change allowed")
    frame = Frame(Axis(label, 0, far), Axis("Accuracy under attack", 0, 1))
    marks = limit_line(frame, limit, far)
    marks += [frame.area(_band(curve), tone) for tone, curve in drawn if _is_counted(curve)]
    for tone, curve in drawn:
        marks.append(frame.line(curve.points, tone))
        if curve.share is not None and budget is not None:
            marks += _judged(frame, budget.value, curve.share, tone)
    start, end = curves[0].points[0], curves[0].points[-1]
    banded = " The shaded bands are 95 % intervals." if any(_is_counted(curve) for _, curve in drawn) else ""
    return Plot(
        title="Security curve",
        summary=f"Accuracy falls from {number(start[1])} at budget {number(start[0])} to {number(end[1])} at budget "
        f"{number(end[0])}.",
        caption=f"The marked points, with their intervals, are at the budget that the attack was run for.{banded}",
        frame=frame,
        marks=marks,
        legend=tuple((f"line {tone}", curve.name) for tone, curve in drawn),
    )


def _judged(frame: Frame, budget: float, share: Figure, tone: str) -> list[Mark]:
    """The judged share with its interval, at its budget."""
    marks = [frame.dot((budget, share.value), tone)]
    if share.low is not None and share.high is not None:
        marks += frame.whisker((budget, share.low), (budget, share.high), tone)
    return marks


def _is_graded(curve: _Curve) -> bool:
    """Whether smaller budgets than the last were looked at; of something worn, only its whole size is tried."""
    shares = [share for _, share in curve.points]
    return len(set(shares[:-1])) > 1 or len(set(shares)) == 1


def _is_counted(curve: _Curve) -> bool:
    """Whether every share can be one of that many rows."""
    return curve.rows > 0 and all(0 <= share <= 1 for _, share in curve.points)


def _band(curve: _Curve) -> list[Point]:
    """The exact interval of the share at every budget, as an outline."""
    ends = [(x, clopper_pearson(round(share * curve.rows), curve.rows)) for x, share in curve.points]
    return [(x, low) for x, (low, _) in ends] + [(x, high) for x, (_, high) in reversed(ends)]
