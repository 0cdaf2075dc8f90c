"""Attacks and guarantees to plots. Each function takes evidence and gives a `Plot`, or None if there is none to draw.

What is drawn is always what was measured: no smoothing, and an interval where the evidence carries one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from holdfast.drawing.chart import Axis, Frame, Mark, Plot, Point
from holdfast.drawing.words import number, percent
from holdfast.evidence import Evidence

_MAX_BINS: Final = 24
_MAX_LISTED: Final = 50
"""Members of a list that are drawn; more dots run together."""
_LEAST_Q: Final = 1e-6
"""A smaller q-value is drawn as this; a list would need a million outsiders for it."""


def privacy_budget(history: Sequence[Evidence], *, limit: float | None) -> Plot | None:
    """Epsilon after each private use of the records, stacked, against the limit.

    `history` is the privacy evidence of the run up to the reported model, in order; each carries the composed `epsilon`
    up to then. Uses do not simply add up, so what is stacked is what each one added to the total. Their names are the
    private steps of the last one's `context["uses"]`, where there are as many.
    """
    totals = [item.figures["epsilon"].value for item in history if "epsilon" in item.figures]
    if not totals or sorted(totals) != totals:
        return None
    names = _private_steps(history[-1], len(totals))
    top = max(totals[-1], limit or 0.0) * 1.12 or 1.0
    axis = Axis("ε, proven upper bound on the privacy loss", 0, top)
    frame = Frame(axis, Axis("", 0, 1, names=("",)), height=150, left=16)
    marks: list[Mark] = []
    legend: list[tuple[str, str]] = []
    for place, (name, before, after) in enumerate(zip(names, [0.0, *totals], totals, strict=False)):
        tone, label = "abcd"[place % 4], str(place + 1)
        marks += [frame.box((before, 0.25), (after, 0.72), tone), frame.inside(((before + after) / 2, 0.485), label)]
        legend.append((f"box {tone}", f"{label} {name}: +{number(after - before)}"))
    if limit is not None:
        marks.append(frame.line([(limit, 0), (limit, 0.92)], "limit"))
        marks.append(frame.note((limit, 1), f"limit {limit:g}", anchor="end", dx=-5, dy=8))
    return Plot(
        title="Privacy budget spent, by use of the records",
        summary=f"Epsilon {number(totals[-1])} in total, from {len(totals)} private use(s)."
        + (f" The limit is {limit:g}." if limit is not None else ""),
        caption="Each part is what one private use of the records added to the total.",
        frame=frame,
        marks=marks,
        legend=tuple(legend),
    )


def membership_roc(evidence: Evidence) -> Plot | None:
    """True against false positive rate on log axes, from the per-record columns `score` and `member`.

    Source: Carlini et al. 2022, "Membership Inference Attacks From First Principles", section III.
    """
    scores, members = _membership(evidence)
    if not scores:
        return None
    curve = roc(scores, members)
    positives, negatives = sum(members), len(members) - sum(members)
    low = 10.0 ** math.floor(math.log10(1 / max(positives, negatives)))
    frame = Frame(
        Axis("False positive rate: outsiders taken for members", low, 1, log=True),
        Axis("True positive rate", low, 1, log=True),
    )
    silent = max((tpr for fpr, tpr in curve if fpr == 0), default=0.0)
    return Plot(
        title="Membership attack, ROC on log axes",
        summary=f"The attack finds {percent(silent)} of the members without one false alarm.",
        caption=f"{percent(silent)} of the members are found without one false alarm. The closer the line is to the "
        "dotted diagonal, the less the attack knows beyond guessing.",
        frame=frame,
        marks=[frame.line([(low, low), (1, 1)], "c"), frame.line(curve, "a")],
        legend=(("line a", "attack"), ("line c", "guessing")),
    )


def membership_scores(evidence: Evidence) -> Plot | None:
    """How the per-record scores of members and of outsiders lie; the two outermost bins hold everything beyond them."""
    scores, members = _membership(evidence)
    if not scores:
        return None
    ordered = sorted(scores)
    low, high = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    if low == high:
        return None
    groups = [[s for s, member in zip(scores, members, strict=True) if member == inside] for inside in (True, False)]
    bins = min(_MAX_BINS, max(6, math.isqrt(min(len(group) for group in groups))))
    shares = [_histogram(group, low, high, bins) for group in groups]
    top = max(max(share) for share in shares) * 1.1
    frame = Frame(Axis("Attack score of a record (high: looks like a member)", low, high), Axis("Share", 0, top))
    marks: list[Mark] = []
    for share, tone in zip(shares, "ab", strict=True):
        outline = _steps(share, low, high)
        marks += [frame.area(outline, tone), frame.line(outline, tone)]
    return Plot(
        title="Score of every record",
        summary=f"Histograms of the attack's scores: {len(groups[0])} training records, {len(groups[1])} outsiders.",
        caption="The more the two shapes lie on each other, the less an attacker can tell training records from "
        "outsiders. The outermost bins hold everything beyond them.",
        frame=frame,
        marks=marks,
        legend=(("line a", f"training records ({len(groups[0])})"), ("line b", f"outsiders ({len(groups[1])})")),
    )


def membership_risks(evidence: Evidence) -> Plot | None:
    """How sure one can be of each listed member, by its place in the list and not by who it is.

    Reads the per-record column `q_value`, the worst first, and `context["false_share"]`, below which a member counts
    as exposed.
    """
    values, share = list(evidence.samples.get("q_value", ()))[:_MAX_LISTED], evidence.context.get("false_share")
    if not values or not is_number(share) or not 0 < share < 1:
        return None
    low = 10.0 ** math.floor(math.log10(max(min(*values, share), _LEAST_Q)))
    frame = Frame(Axis("Place in the list", 0, len(values) + 1), Axis("q-value", low, 1, log=True))
    marks = [frame.line([(0, share), (len(values) + 1, share)], "limit")]
    marks += [frame.dot((place, value), "a" if value <= share else "b") for place, value in enumerate(values, start=1)]
    surely = sum(value <= share for value in values)
    return Plot(
        title="How sure one can be of those listed",
        summary=f"{surely} of the {len(values)} members listed have a q-value of at most {share:g}.",
        caption="The q-value of a place: of those listed down to it, the share expected to be there by chance.",
        frame=frame,
        marks=marks,
        legend=(("dot a", "exposed"), ("dot b", "may be chance"), ("line limit", f"{percent(share)} by chance")),
    )


def extraction_curve(evidence: Evidence, *, limit: float | None) -> Plot | None:
    """Agreement of the stolen copy with the model, by queries asked.

    Reads `context["curve"]`, equally long columns `queries` and `fidelity`.
    """
    curve = points_of(evidence.context.get("curve"), "queries", "fidelity")
    if not curve:
        return None
    last = max(x for x, _ in curve) or 1.0
    frame = Frame(Axis("Queries asked", 0, last), Axis("Fidelity of the copy", 0, 1))
    marks, legend = limit_line(frame, limit, last), [("line a", "copy agrees with model")]
    baseline = evidence.figures.get("baseline_fidelity")
    if baseline is not None:
        marks.append(frame.line([(0, baseline.value), (last, baseline.value)], "c"))
        legend.append(("line c", "always the commonest class"))
    marks += [frame.line(curve, "a"), *(frame.dot(point, "a") for point in curve)]
    return Plot(
        title="How fast the model can be copied",
        summary=f"After {number(curve[-1][0])} queries the copy agrees with the model on {percent(curve[-1][1])} of "
        "held-out rows.",
        frame=frame,
        marks=marks,
        legend=tuple(legend),
    )


def roc(scores: Sequence[float], members: Sequence[bool]) -> list[Point]:
    """The ROC's corners from (0, 0) to (1, 1); equal scores are one step, since no threshold parts them."""
    positives = sum(members)
    negatives = len(members) - positives
    counts = Counter(zip(scores, members, strict=True))
    curve, hits, alarms = [(0.0, 0.0)], 0, 0
    for score in sorted(set(scores), reverse=True):
        hits += counts[score, True]
        alarms += counts[score, False]
        curve.append((alarms / negatives, hits / positives))
    return curve


def _private_steps(evidence: Evidence, count: int) -> list[str]:
    uses = evidence.context.get("uses")
    items = [use for use in uses if isinstance(use, Mapping)] if isinstance(uses, list | tuple) else []
    names = [str(use.get("step")) for use in items if use.get("private")]
    return names if len(names) == count else [f"use {place + 1}" for place in range(count)]


def points_of(value: Any, x: str, y: str) -> list[Point]:
    """Points out of a JSON object of two columns; what is not a pair of finite numbers is left out."""
    columns = [value.get(name) if isinstance(value, Mapping) else None for name in (x, y)]
    first, second = (column if isinstance(column, list | tuple) else [] for column in columns)
    return sorted((float(a), float(b)) for a, b in zip(first, second, strict=False) if is_number(a) and is_number(b))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value from evidence is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _membership(evidence: Evidence) -> tuple[list[float], list[bool]]:
    scores = list(evidence.samples.get("score", ()))
    members = [member > 0 for member in evidence.samples.get("member", ())]
    return (scores, members) if 0 < sum(members) < len(members) == len(scores) else ([], [])


def _histogram(values: Sequence[float], low: float, high: float, bins: int) -> list[float]:
    counts = [0] * bins
    for value in values:
        place = int((value - low) / (high - low) * bins)
        counts[min(max(place, 0), bins - 1)] += 1
    return [count / len(values) for count in counts]


def _steps(shares: Sequence[float], low: float, high: float) -> list[Point]:
    width = (high - low) / len(shares)
    corners = [(low, 0.0)]
    for place, share in enumerate(shares):
        corners += [(low + place * width, share), (low + (place + 1) * width, share)]
    return [*corners, (high, 0.0)]


def limit_line(frame: Frame, limit: float | None, end: float) -> list[Mark]:
    """The limit of a policy across a plot, from 0 to `end`; nothing where there is none."""
    if limit is None:
        return []
    line = frame.line([(0, limit), (end, limit)], "limit")
    return [line, frame.note((end, limit), f"policy {limit:g}", anchor="end", dy=-6 if limit < 0.85 else 16)]
