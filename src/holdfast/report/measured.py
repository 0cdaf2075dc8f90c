"""What was measured: one section per piece of evidence, with its plots and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from holdfast.drawing.chart import Plot
from holdfast.drawing.words import figure_name, humanise, interval, judged_quantity, plain, sentence, short_digest
from holdfast.evidence import Evidence
from holdfast.report import bars, bounds, plots
from holdfast.report.kinds import KINDS, Kind, anchor_of, kind_of
from holdfast.report.story import PER_RECORD, ReportInput, as_shown

_MAX_FINDINGS: Final = 50
"""Findings of the data checks that the page lists; the evidence has all."""
_SHOWN_ELSEWHERE: Final = frozenset(
    {"curve", "curve_before", "curve_after", "uses", "parts", "not_covered", "findings", "first_bytes"}
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
        plots=tuple(plot for plot in _PLOTS.get(item.kind, _generic_plots)(story, item) if plot is not None),
        findings=_findings(item.context.get("findings")),
        wire_bytes=_wire_bytes(item.context.get("first_bytes")),
        parameters=tuple(
            (humanise(name), plain(value))
            for name, value in item.context.items()
            if name not in _SHOWN_ELSEWHERE | PER_RECORD
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


def _limit(story: ReportInput, item: Evidence, figure: str) -> float | None:
    finding = story.finding_on(item.kind, figure)
    return finding.limit if finding else None


def _privacy_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    history = [other for other in story.evidence if other.kind == item.kind]
    history = history[: history.index(item) + 1]
    return [plots.privacy_budget(history, limit=_limit(story, item, "epsilon"))]


def _membership_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    del story
    return [plots.membership_roc(item), plots.membership_scores(item)]


def _audit_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    del story
    return [bounds.audit_bounds(item)]


def _certificate_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    del story
    return [bounds.certified_curve(item)]


def _evasion_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    before = story.other("evasion") if item is story.current("evasion") else None
    limit = _limit(story, item, "robust_accuracy")
    return [plots.security_curve(item, before=before, limit=limit, other_name=other_model_name(story))]


def _extraction_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    return [plots.extraction_curve(item, limit=_limit(story, item, "fidelity"))]


def _private_inference_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    del story
    return [
        bars.bars(item, unit="bytes", title="Size of the messages", label="kB"),
        bars.bars(item, unit="ms", title="Time per prediction", label="Milliseconds"),
    ]


def _no_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    del story, item
    return []


def _generic_plots(story: ReportInput, item: Evidence) -> list[Plot | None]:
    del story
    return [bars.intervals(item)]


_PLOTS: Final[Mapping[str, Callable[[ReportInput, Evidence], list[Plot | None]]]] = {
    "poison-certificate": _certificate_plots,
    "privacy-guarantee": _privacy_plots,
    "privacy-audit": _audit_plots,
    "membership-inference": _membership_plots,
    "evasion": _evasion_plots,
    "extraction": _extraction_plots,
    "private-inference": _private_inference_plots,
    "hardening": _no_plots,
}


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
