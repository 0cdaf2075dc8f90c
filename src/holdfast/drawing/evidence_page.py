"""One piece of evidence as a page: what was measured, the plot, record by record, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from holdfast.drawing import evasion_words
from holdfast.drawing.chart import Axis, Frame, Mark, Plot
from holdfast.drawing.pages import templates_of
from holdfast.drawing.words import figure_name, humanise, interval, judged_quantity, number, plain
from holdfast.evidence import NO_MODEL, Evidence

_WHETHER: Final = frozenset({"correct", "evaded", "agrees", "fooled"})
_MARKED: Final = "The marked point, with its interval, is at the budget that the attack was run for."
MOST_ROWS: Final = 50
"""Records on a page, the first ones; the JSON has all."""


def evidence_page(evidence: Evidence) -> str:
    """One self-contained HTML page: it loads nothing, runs nothing, and escapes every text that came from data.

    Raises:
        UsageError: the context of the evidence is not JSON.
    """
    evasion = evasion_words.is_evasion(evidence)
    shown = evasion_words.figures_of(evidence) if evasion else evidence.figures
    figures = [
        (figure_name(name, figure.unit), judged_quantity(figure), interval(figure)) for name, figure in shown.items()
    ]
    columns = evasion_words.columns(evidence) if evasion else list(evidence.samples)
    curve = security_curve(evidence)
    return (
        templates_of("holdfast.drawing")
        .get_template("evidence.html.j2")
        .render(
            no_model=NO_MODEL,
            evidence=evidence,
            cards=evasion_words.cards(evidence) if evasion else [],
            figures=figures,
            plots=[curve] if curve else [],
            heads=[humanise(name) for name in columns],
            records=_records(evidence, columns),
            records_note=evasion_words.distance_note(evidence) if evasion else "",
            records_in_all=len(evidence.samples[columns[0]]) if columns else 0,
            parameters=[(humanise(name), plain(value)) for name, value in evidence.context.items() if name != "curve"],
            digest=evidence.digest,
        )
    )


def _records(evidence: Evidence, columns: Sequence[str]) -> list[list[str]]:
    """The first records, cell by cell."""
    first = {name: values[:MOST_ROWS] for name, values in evidence.samples.items()}
    rows = [dict(zip(first, values, strict=True)) for values in zip(*first.values(), strict=True)]
    return [[_cell(evidence, name, row) for name in columns] for row in rows]


def _cell(evidence: Evidence, name: str, row: Mapping[str, float]) -> str:
    """A record's value; of columns that say whether, yes or no."""
    if name == "distance" and evasion_words.is_evasion(evidence):
        return evasion_words.distance_cell(evidence, row)
    return ("yes" if row[name] else "no") if name in _WHETHER else number(row[name])


def security_curve(evidence: Evidence) -> Plot | None:
    """What is left against the attacker's budget: `context["curve"]`, with the measured figure and its interval."""
    points = _points(evidence.context.get("curve"))
    judged, budget = evidence.figures.get("robust_accuracy"), evidence.figures.get("budget")
    if len(points) < 2 or judged is None or budget is None:
        return None
    label = f"Budget of the attacker ({budget.unit})" if budget.unit else "Budget of the attacker"
    frame = Frame(Axis(label, 0, max(x for x, _ in points) or 1.0), Axis("Accuracy under attack", 0, 1))
    marks: list[Mark] = [frame.line(points, "a"), frame.dot((budget.value, judged.value), "a")]
    if judged.low is not None and judged.high is not None:
        marks += frame.whisker((budget.value, judged.low), (budget.value, judged.high), "a")
    return Plot(
        title="Security curve",
        summary=f"Accuracy falls from {number(points[0][1])} to {number(points[-1][1])}.",
        caption=_MARKED + (f" {evasion_words.curve_note(evidence)}" if evasion_words.is_evasion(evidence) else ""),
        frame=frame,
        marks=marks,
    )


def _points(curve: Any) -> list[tuple[float, float]]:
    """The points of a curve with the columns `budgets` and `robust_accuracy`; none where it has others."""
    if not isinstance(curve, dict) or not {"budgets", "robust_accuracy"} <= curve.keys():
        return []
    return list(zip(map(float, curve["budgets"]), map(float, curve["robust_accuracy"]), strict=True))
