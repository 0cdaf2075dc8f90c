"""What was measured: one section per piece of evidence, with its plots and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from holdfast.drawing.chart import Plot
from holdfast.drawing.evidence_plots import Beside, plots_of
from holdfast.drawing.words import figure_name, humanise, interval, judged_quantity, plain, sentence, short_digest
from holdfast.evidence import Evidence
from holdfast.policy import THRESHOLDS
from holdfast.report.kinds import KINDS, Kind, anchor_of, kind_of
from holdfast.report.story import PER_RECORD, ReportInput, as_shown

_MAX_FINDINGS: Final = 50
"""Findings of the data checks that the page lists; the evidence has all."""
_SHOWN_ELSEWHERE: Final = frozenset(
    {
        "changed_features",
        "curve",
        "curve_after",
        "curve_before",
        "findings",
        "first_bytes",
        "not_covered",
        "parts",
        "uses",
        "within",
    }
)
"""Context that a plot, a table or the privacy statement shows, and the list of parameters leaves out."""


class Row(NamedTuple):
    """One line of a table of figures."""

    name: str
    value: str
    interval: str


class DataFinding(NamedTuple):
    """One finding of the data checks."""

    sentence: str
    severity: str
    action: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A piece of evidence as the page shows it."""

    anchor: str
    primary: bool
    """Whether it is what the verdict rests on; else it is about another model, or was measured again since."""
    kind: Kind
    about: str
    answer: str
    rows: tuple[Row, ...]
    plots: tuple[Plot, ...]
    findings: tuple[DataFinding, ...]
    wire_bytes: str
    parameters: tuple[tuple[str, str], ...]
    references: tuple[str, ...]
    num_caveats: int
    digest: str


def sections(story: ReportInput) -> tuple[Section, ...]:
    """All sections: known kinds in the report's order, then unknown ones as they came; one per piece of evidence."""
    order = {kind: place for place, kind in enumerate(KINDS)}
    ranked = sorted(
        story.evidence, key=lambda item: (order.get(item.kind, len(order)), item is not story.current(item.kind))
    )
    used: Counter[str] = Counter()
    built = []
    for item in ranked:
        name = anchor_of(item.kind) + ("" if item is story.current(item.kind) else "-other")
        used[name] += 1
        built.append(_section(story, item, name if used[name] == 1 else f"{name}-{used[name]}"))
    return tuple(built)


def other_model_name(story: ReportInput) -> str:
    """What to call the model that the verdict is not about."""
    hardening = story.current("hardening")
    return "before hardening" if hardening is not None else "another model of this run"


def _section(story: ReportInput, item: Evidence, anchor: str) -> Section:
    return Section(
        anchor=anchor,
        primary=item is story.current(item.kind),
        kind=kind_of(item.kind),
        about=_about(story, item),
        answer=sentence(item.title),
        rows=tuple(
            Row(figure_name(name, figure.unit), judged_quantity(figure), interval(figure))
            for name, figure in item.figures.items()
        ),
        plots=plots_of(item, _beside(story, item)),
        findings=_findings(item.context.get("findings")),
        wire_bytes=_wire_bytes(item.context.get("first_bytes")),
        parameters=tuple(
            (humanise(name), plain(value))
            for name, value in item.context.items()
            if name not in _SHOWN_ELSEWHERE | PER_RECORD and value not in (None, "")
        ),
        references=item.references,
        num_caveats=len(item.caveats),
        digest=as_shown(item).digest,
    )


def _about(story: ReportInput, item: Evidence) -> str:
    if item.subject_kind == "dataset":
        return "about the training data"
    if item.subject == story.model_digest:
        return "about this model"
    return f"about the model {other_model_name(story)} ({short_digest(item.subject)})"


def _beside(story: ReportInput, item: Evidence) -> Beside:
    """What the plots of a piece of evidence show beside it: the policy's limits, another model, what came before."""
    limits = {
        threshold.figure: finding.limit
        for finding in story.verdict.findings
        if (threshold := THRESHOLDS.get(finding.demand)) is not None
        and threshold.kind == item.kind
        and finding.limit is not None
    }
    same = [other for other in story.evidence if other.kind == item.kind]
    return Beside(
        limits=limits,
        other=story.other(item.kind) if item is story.current(item.kind) else None,
        other_name=other_model_name(story),
        history=same[: same.index(item) + 1],
    )


def _findings(value: Any) -> tuple[DataFinding, ...]:
    items = value if isinstance(value, list | tuple) else []
    return tuple(
        DataFinding(
            sentence(item.get("sentence", "")), plain(item.get("severity", "")), sentence(item.get("advice", ""))
        )
        for item in items[:_MAX_FINDINGS]
        if isinstance(item, Mapping)
    )


def _wire_bytes(value: Any) -> str:
    """Hexadecimal text in pairs, as a hex dump shows it."""
    text = value if isinstance(value, str) else ""
    digits = "".join(text.split())[:256]
    return " ".join(digits[place : place + 2] for place in range(0, len(digits), 2))
