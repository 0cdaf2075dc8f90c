"""What follows from what was measured: the price of hardening, what is not covered, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from holdfast.drawing.bars import pairs_of
from holdfast.drawing.chart import Plot
from holdfast.drawing.evidence_plots import plots_of
from holdfast.drawing.words import humanise, interval, judged_quantity, quantity, sentence, signed
from holdfast.evidence import Figure
from holdfast.policy import THRESHOLDS, Finding
from holdfast.report.kinds import KINDS, kind_of
from holdfast.report.measured import Row
from holdfast.report.story import ReportInput
from holdfast.report.verdict import demand_name

Urgency = Literal["now", "soon", "later"]

_GRADES: Final[Mapping[Any, Urgency]] = {"serious": "now", "warning": "soon"}
"""How urgent a finding of the data checks is, by its severity."""

_MENDS: Final = {
    "max_epsilon": "Train with a smaller epsilon, or use the records less often; then measure accuracy again.",
    "max_membership_advantage": "Lower epsilon, regularise more, or answer with coarser scores; then attack again.",
    "max_extraction_fidelity": "Answer with labels or rounded scores, lower the query budgets, and watch the service.",
    "min_accuracy": "Give training more rows or a larger privacy budget, or mend the labels that the checks flag.",
    "min_robust_accuracy": "Harden against the attack found, or declare features that nobody can change as fixed.",
}


class Change(NamedTuple):
    """One measure before and after hardening."""

    name: str
    before: str
    after: str
    difference: str


@dataclass(frozen=True, kw_only=True)
class Price:
    """What hardening cost beside what it bought."""

    sentence: str
    changes: tuple[Change, ...]
    totals: tuple[Row, ...]
    plots: tuple[Plot, ...]


class Gap(NamedTuple):
    """Something that the report's evidence does not cover."""

    source: str
    sentence: str


@dataclass(frozen=True)
class Step:
    """Something to do next, and why."""

    urgency: Urgency
    action: str
    reason: str
    anchor: str = ""


def price(story: ReportInput) -> Price | None:
    """The hardening evidence as pairs before/after; None where nothing was hardened."""
    evidence = story.current("hardening") or story.other("hardening")
    if evidence is None:
        return None
    pairs = pairs_of(evidence)
    named = {f"{name}_{when}" for name, _, _ in pairs for when in ("before", "after")}
    return Price(
        sentence=sentence(evidence.title),
        changes=tuple(
            Change(
                humanise(name),
                _with_interval(old),
                _with_interval(new),
                signed(new.value - old.value),
            )
            for name, old, new in pairs
        ),
        totals=tuple(
            Row(humanise(name), judged_quantity(figure), interval(figure))
            for name, figure in evidence.figures.items()
            if name not in named
        ),
        plots=plots_of(evidence),
    )


def not_covered(story: ReportInput) -> tuple[Gap, ...]:
    """Kinds of evidence that are missing, then every caveat once, with where it comes from."""
    present = {item.kind for item in story.evidence}
    gaps = [
        Gap(kind.heading, f"Not measured in this run, so nothing is said on: {kind.question}")
        for name, kind in KINDS.items()
        if name not in present
    ]
    gaps += [Gap(kind_of(item.kind).heading, caveat) for item in story.evidence for caveat in item.caveats]
    return tuple(dict.fromkeys(gaps))


def next_steps(story: ReportInput) -> tuple[Step, ...]:
    """What to do, most urgent first: demands not met, uncertain ones, data findings, gaps, and the standing re-test."""
    steps = [step for finding in story.verdict.findings for step in _from_finding(finding)]
    steps += _from_audit(story)
    steps += _from_data_checks(story)
    present = {item.kind for item in story.evidence}
    demanded = {step.anchor for step in steps}
    steps += [
        Step("later", kind.next_step, f"There is no evidence on: {kind.question}", "not-covered")
        for name, kind in KINDS.items()
        if kind.next_step and name not in present and name not in demanded
    ]
    steps.append(
        Step(
            "later",
            "Attack every new version again, and this one on a schedule.",
            "This evidence holds for exactly this model and these attacks; both age.",
        )
    )
    order = ("now", "soon", "later")
    return tuple(sorted(steps, key=lambda step: order.index(step.urgency)))


def _from_finding(finding: Finding) -> list[Step]:
    threshold = THRESHOLDS.get(finding.demand)
    kind = threshold.kind if threshold else finding.demand.removeprefix("require ")
    name = demand_name(finding.demand)
    if finding.outcome == "no evidence":
        known = KINDS.get(kind)
        action = (known.next_step if known else "") or f"Measure it: {humanise(kind).lower()}."
        return [Step("now", action, f"{name}: {finding.reason}.", kind)]
    steps = []
    if finding.outcome == "not met":
        steps.append(Step("now", _MENDS.get(finding.demand, "Mend what this demand found."), _because(finding), kind))
    if finding.uncertain:
        reason = f"{name}: the interval {interval(finding.figure)} holds the limit." if finding.figure else ""
        steps.append(Step("soon", "Test on more rows, until the interval no longer holds the limit.", reason, kind))
    return steps


def _because(finding: Finding) -> str:
    if finding.figure is None or finding.limit is None:
        return finding.reason
    return f"{demand_name(finding.demand)} is {quantity(finding.figure)}; the policy's limit is {finding.limit:g}."


def _from_audit(story: ReportInput) -> list[Step]:
    evidence = story.current("privacy-audit")
    contradicts = evidence.figures.get("contradicts") if evidence else None
    if evidence is None or contradicts is None or contradicts.value == 0:
        return []
    action = "Do not rely on the epsilon that is claimed: audit again, and find what the training does wrong."
    return [Step("now", action, sentence(evidence.title), "privacy-audit")]


def _from_data_checks(story: ReportInput) -> list[Step]:
    evidence = story.current("data-checks")
    findings: Any = evidence.context.get("findings") if evidence else None
    return [
        Step(_GRADES[item["severity"]], sentence(item["advice"]), sentence(item.get("sentence")), "data-checks")
        for item in (findings if isinstance(findings, list | tuple) else [])
        if isinstance(item, Mapping) and item.get("severity") in _GRADES and item.get("advice")
    ]


def _with_interval(figure: Figure) -> str:
    return f"{quantity(figure)}, {interval(figure)}" if interval(figure) else quantity(figure)
