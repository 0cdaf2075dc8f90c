"""One piece of evidence as a page: what was measured, the plots, record by record, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from holdfast.drawing import evasion_words, hardening_words
from holdfast.drawing.cards import Card
from holdfast.drawing.evidence_plots import plots_of
from holdfast.drawing.examples import Examples
from holdfast.drawing.pages import templates_of
from holdfast.drawing.words import figure_name, humanise, interval, judged_quantity, number, plain
from holdfast.evidence import NO_MODEL, Evidence

WHETHER: Final = frozenset(
    {
        "agrees",
        "by_imputation",
        "certified",
        "correct",
        "correct_after",
        "correct_before",
        "evaded",
        "fooled",
        "member",
        "robust_after",
        "robust_before",
        "with_model",
    }
)
"""Columns of records that say whether."""
_SHOWN_ELSEWHERE: Final = frozenset({"curve", "curve_before", "curve_after", "changed_features", "within"})
"""Context that a plot, a table or a card shows."""
MOST_ROWS: Final = 50
"""Records on a page, the first ones; the JSON has all."""


def evidence_page(evidence: Evidence, *, examples: Sequence[Examples] = ()) -> str:
    """One self-contained HTML page: it loads nothing, runs nothing, and escapes every text that came from data.

    Args:
        evidence: what was measured.
        examples: a few of the inputs, where whoever may see them wants them shown.

    Raises:
        UsageError: the context of the evidence is not JSON.
    """
    evasion = evasion_words.is_evasion(evidence)
    shown = evasion_words.figures_of(evidence) if evasion else evidence.figures
    figures = [
        (figure_name(name, figure.unit), judged_quantity(figure), interval(figure)) for name, figure in shown.items()
    ]
    columns = evasion_words.columns(evidence) if evasion else list(evidence.samples)
    numbered = bool(columns) and columns[0] != "row"
    return (
        templates_of("holdfast.drawing")
        .get_template("evidence.html.j2")
        .render(
            no_model=NO_MODEL,
            evidence=evidence,
            cards=_cards(evidence),
            figures=figures,
            plots=plots_of(evidence),
            plots_note=evasion_words.curve_note(evidence) if evasion else "",
            examples=examples,
            heads=["Record"] * numbered + [humanise(name) for name in columns],
            records=_records(evidence, columns, numbered=numbered),
            records_note=evasion_words.distance_note(evidence) if evasion else "",
            records_in_all=len(evidence.samples[columns[0]]) if columns else 0,
            parameters=[
                (humanise(name), plain(value))
                for name, value in evidence.context.items()
                if name not in _SHOWN_ELSEWHERE and value not in (None, "")
            ],
            digest=evidence.digest,
        )
    )


def _cards(evidence: Evidence) -> list[Card]:
    """What a reader should see first, where the kind of evidence has words for it."""
    if evasion_words.is_evasion(evidence):
        return evasion_words.cards(evidence)
    return hardening_words.cards(evidence) if hardening_words.is_hardening(evidence) else []


def _records(evidence: Evidence, columns: Sequence[str], *, numbered: bool) -> list[list[str]]:
    """The first records, cell by cell; numbered from 0 where no column says which they are."""
    first = {name: values[:MOST_ROWS] for name, values in evidence.samples.items()}
    rows = [dict(zip(first, values, strict=True)) for values in zip(*first.values(), strict=True)]
    return [
        [number(place)] * numbered + [_cell(evidence, name, row) for name in columns] for place, row in enumerate(rows)
    ]


def _cell(evidence: Evidence, name: str, row: Mapping[str, Any]) -> str:
    """A record's value; of columns that say whether, yes or no."""
    if name == "distance" and evasion_words.is_evasion(evidence):
        return evasion_words.distance_cell(evidence, row)
    return ("yes" if row[name] else "no") if name in WHETHER else number(row[name])
