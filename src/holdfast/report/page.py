"""The report as one HTML page that needs nothing else, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from holdfast.drawing.pages import templates_of
from holdfast.drawing.words import duration
from holdfast.evidence import Evidence
from holdfast.policy import Finding
from holdfast.report.kinds import KINDS, kind_of
from holdfast.report.measured import sections
from holdfast.report.outlook import Gap, next_steps, not_covered, price
from holdfast.report.story import ReportInput, as_shown
from holdfast.report.verdict import BULLET_HEIGHT, BULLET_WIDTH, headline, promises

FORMAT: Final = "holdfast-report-1"


def render_report(story: ReportInput) -> str:
    """One self-contained HTML page: verdict, promises, measurements, price, gaps, next steps, references, digests.

    The page loads nothing and runs nothing (its own content security policy forbids both), and every text that came
    from data is escaped. The same input gives the same bytes. Evidence of a kind that this version does not know is
    shown with its figures and caveats. Per-record numbers appear as plots only, never row by row.

    Raises:
        UsageError: the context of a piece of evidence is not JSON.
    """
    built = sections(story)
    template = templates_of("holdfast.report").get_template("report.html.j2")
    return template.render(
        story=story,
        headline=headline(story.verdict),
        promises=promises(story),
        sections=[section for section in built if section.kind is not KINDS["hardening"]],
        hardening=[section for section in built if section.kind is KINDS["hardening"]],
        price=price(story),
        gaps=_by_source(not_covered(story)),
        steps=next_steps(story),
        catalogue=_catalogue(story),
        digests=_digests(story),
        times=[(step.name, "used again" if step.reused else duration(step.seconds)) for step in story.steps],
        bullet=(BULLET_WIDTH, BULLET_HEIGHT),
    )


def report_json(story: ReportInput) -> dict[str, Any]:
    """What the page says, for machines; `format` is "holdfast-report-1".

    Evidence comes without its per-record columns, which would tell about single people; its digest finds the whole in
    the bundle.

    Raises:
        UsageError: the context of a piece of evidence is not JSON.
    """
    return {
        "format": FORMAT,
        "project": story.project,
        "created": story.created,
        "model": {"name": story.model_name, "version": story.model_version, "digest": story.model_digest},
        "dataset": {**asdict(story.dataset), "classes": list(story.dataset.classes)},
        "verdict": {"met": story.verdict.met, "findings": [_finding_json(item) for item in story.verdict.findings]},
        "evidence": [_evidence_json(item) for item in story.evidence],
        "privacy_statement": story.privacy_statement,
        "not_covered": [gap._asdict() for gap in not_covered(story)],
        "next_steps": [asdict(step) for step in next_steps(story)],
        "steps": [asdict(step) for step in story.steps],
        "versions": dict(story.versions),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "demand": finding.demand,
        "outcome": finding.outcome,
        "reason": finding.reason,
        "figure": finding.figure.to_json() if finding.figure else None,
        "limit": finding.limit,
        "uncertain": finding.uncertain,
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    shown = as_shown(evidence)
    document = shown.to_json()
    del document["samples"]
    return {**document, "digest": shown.digest}


def _catalogue(story: ReportInput) -> list[tuple[str, ...]]:
    """Rows of the field's catalogues: which evidence serves which, and whether this run has it."""
    present = {item.kind for item in story.evidence}
    unknown = [kind for kind in dict.fromkeys(item.kind for item in story.evidence) if kind not in KINDS]
    rows: list[tuple[str, ...]] = []
    for name in [*KINDS, *unknown]:
        kind = kind_of(name)
        there = "yes" if name in present else "no"
        rows.append((kind.heading, there, kind.atlas, kind.owasp, kind.nist, kind.sp800_226, kind.ai_act))
    return rows


def _by_source(gaps: Iterable[Gap]) -> dict[str, list[str]]:
    """The gaps under what they concern, both in their order."""
    grouped: dict[str, list[str]] = {}
    for gap in gaps:
        grouped.setdefault(gap.source, []).append(gap.sentence)
    return grouped


def _digests(story: ReportInput) -> list[tuple[str, str]]:
    """Everything that the report rests on, by digest."""
    rows = [("Model", story.model_digest), ("Training data", story.dataset.digest)]
    return rows + [(f"Evidence: {kind_of(item.kind).heading}", as_shown(item).digest) for item in story.evidence]
