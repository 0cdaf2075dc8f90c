"""What is proven beside what was measured, as plots: a claim of epsilon and its audit, a certificate against poison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from holdfast.drawing.chart import Axis, Frame, Mark, Plot, Point
from holdfast.drawing.plots import is_number
from holdfast.drawing.words import number, percent
from holdfast.evidence import Evidence

_LOW, _HIGH = 0.3, 0.7
"""Where the stretch between two bounds lies, as shares of the plot's height."""
_MAX_STEPS: Final = 2_000
_MAX_RADII: Final = 400
"""Steps of a curve over radii, of which there is one for each picture; a plot has no more pixels."""


def audit_bounds(evidence: Evidence) -> Plot | None:
    """The claimed upper bound on epsilon and the measured lower bound on one axis; the truth lies between them."""
    claimed, lower = evidence.figures.get("epsilon_claimed"), evidence.figures.get("epsilon_lower")
    if claimed is None or lower is None or min(claimed.value, lower.value) < 0:
        return None
    ends = sorted((lower.value, claimed.value))
    crossed = lower.value > claimed.value
    frame = Frame(Axis("ε, privacy loss", 0, ends[1] * 1.15 or 1.0), Axis("", 0, 1, names=("",)), height=150, left=16)
    corners = [(ends[0], _LOW), (ends[1], _LOW), (ends[1], _HIGH), (ends[0], _HIGH)]
    marks: list[Mark] = [
        frame.area(corners, "b" if crossed else "a"),
        frame.line([(lower.value, 0.1), (lower.value, 0.9)], "a"),
        frame.line([(claimed.value, 0.1), (claimed.value, 0.9)], "b"),
    ]
    measured, said = f"at least {_down(lower.value)}", f"at most {_up(claimed.value)}"
    return Plot(
        title="The claim, and what an audit shows",
        summary=f"The audit shows that epsilon is {measured}; the claim is that it is {said}.",
        caption="The two have crossed: the claim is false, or this audit is one of the few that err."
        if crossed
        else "But for the few audits that err, the truth lies in the shaded stretch; a stronger audit may shorten it.",
        frame=frame,
        marks=marks,
        legend=(("line a", f"audit: {measured}"), ("line b", f"claim: {said}")),
    )


def certified_curve(evidence: Evidence) -> Plot | None:
    """The share of answers that are proven to stay right, by how many training records are poisoned.

    Reads `context["curve"]`, a list of [records, share] at which the share changes.
    """
    steps = _steps(evidence.context.get("curve"))
    if not steps:
        return None
    far = max(steps[-1][0], 1.0)
    frame = Frame(Axis("Poisoned training records", 0, far), Axis("Answers certain to stay right", 0, 1))
    corners = [
        corner
        for (x, y), (after, _) in zip(steps, [*steps[1:], (far, 0)], strict=True)
        for corner in ((x, y), (after, y))
    ]
    marks, legend = [frame.line(corners, "a")], [("line a", "voting models")]
    alone = evidence.figures.get("accuracy_of_one_model")
    if alone is not None:
        marks.append(frame.dot((0, alone.value), "b"))
        legend.append(("dot b", "one model, without a certificate"))
    return Plot(
        title="Certified accuracy",
        summary=f"{percent(steps[0][1])} of answers are right with clean data; the share falls to "
        f"{percent(steps[-1][1])} at {steps[-1][0]:.0f} poisoned records.",
        caption="Proven for the worst choice of records.",
        frame=frame,
        marks=marks,
        legend=tuple(legend),
    )


def certified_radii(evidence: Evidence) -> Plot | None:
    """The share of answers that are proven to stay right, by how far a picture may be changed.

    Reads the per-picture columns `correct` and `radius`; the interval is at the budget of the figures.
    """
    right = [r for r, ok in zip(*(evidence.samples.get(name, ()) for name in ("radius", "correct")), strict=True) if ok]
    share, budget = evidence.figures.get("certified_accuracy"), evidence.figures.get("budget")
    if not right or share is None or budget is None or max(right) <= 0:
        return None
    n, far = len(evidence.samples["radius"]), max(*right, budget.value)
    frame = Frame(Axis(f"Change allowed ({budget.unit})", 0, far * 1.05), Axis("Answers certain to stay right", 0, 1))
    corners, ordered = [(0.0, len(right) / n)], sorted(right)
    apart = math.ceil(len(right) / _MAX_RADII)
    for place in sorted({*range(0, len(right), apart), len(right) - 1}):
        corners += [(ordered[place], corners[-1][1]), (ordered[place], (len(right) - place - 1) / n)]
    marks = [frame.line(corners, "a"), frame.dot((budget.value, share.value), "a")]
    if share.low is not None and share.high is not None:
        marks += frame.whisker((budget.value, share.low), (budget.value, share.high), "a")
    return Plot(
        title="Certified accuracy",
        summary=f"{percent(share.value)} of answers are certain to stay right at {number(budget.value)} {budget.unit}.",
        caption="Certified picture by picture for every change of that size, but for the small probability stated.",
        frame=frame,
        marks=marks,
    )


def _steps(value: Any) -> list[Point]:
    """Pairs of finite numbers, by the first; nothing where the list holds anything else, or is longer than a plot."""
    pairs = value if isinstance(value, Sequence) and not isinstance(value, str) and len(value) <= _MAX_STEPS else []
    if not all(isinstance(pair, Sequence) and len(pair) == 2 and all(map(is_number, pair)) for pair in pairs):
        return []
    return sorted((float(x), float(y)) for x, y in pairs)


def _down(epsilon: float) -> str:
    return f"{math.floor(epsilon * 100) / 100:g}"


def _up(epsilon: float) -> str:
    return f"{math.ceil(epsilon * 100) / 100:g}"
