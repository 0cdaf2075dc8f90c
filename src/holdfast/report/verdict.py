"""The top of the page: the policy's verdict in words, its demands one by one, and four promises at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from holdfast.drawing.chart import Mark
from holdfast.drawing.words import humanise, interval, judged_quantity, percent, plain, quantity, share
from holdfast.evidence import Figure
from holdfast.policy import THRESHOLDS, Finding, Verdict
from holdfast.report.story import ReportInput

Status = Literal["met", "not met", "no evidence", "not judged", "not measured"]

_DEMANDS: Final = {
    "max_epsilon": "Privacy loss ε",
    "max_membership_advantage": "Advantage of a membership attack",
    "max_extraction_fidelity": "Fidelity of a stolen copy",
    "min_accuracy": "Accuracy",
    "min_robust_accuracy": "Accuracy under attack",
}

BULLET_WIDTH: Final = 180
BULLET_HEIGHT: Final = 26


@dataclass(frozen=True, kw_only=True)
class Demand:
    """One finding as a row of the verdict's table."""

    name: str
    status: Status
    uncertain: bool
    asked: str
    value: str
    interval: str
    reason: str
    bullet: Sequence[Mark]


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The verdict in one line and one sentence."""

    tone: Literal["good", "warn", "bad"]
    title: str
    sentence: str
    demands: tuple[Demand, ...]


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A key figure: what is promised, what was measured, how the policy judged it."""

    name: str
    status: Status
    uncertain: bool
    value: str
    label: str
    details: tuple[str, ...]
    anchor: str


@dataclass(frozen=True)
class _Key:
    """Where a promise finds its figure, and what the figure is called."""

    name: str
    kind: str
    figure: str
    label: str
    beside: tuple[tuple[str, str, str], ...]
    is_share: bool = True


_PROMISES: Final = (
    _Key(
        "Asking in private",
        "private-inference",
        "agreement",
        "of encrypted answers equal the clear ones",
        (("private-inference", "server_ms", "service time per row"),),
    ),
    _Key(
        "Privacy of the records",
        "privacy-guarantee",
        "epsilon",
        "is ε, the proven bound on what any record leaks; smaller is better",
        (
            ("membership-inference", "advantage", "measured advantage of a membership attack"),
            ("privacy-audit", "epsilon_lower", "is the least ε, as an audit shows"),
        ),
        is_share=False,
    ),
    _Key(
        "Theft by asking",
        "extraction",
        "fidelity",
        "of answers agree between model and stolen copy; smaller is better",
        (("extraction", "queries", "by the attacker"),),
    ),
    _Key(
        "Resistance to manipulation",
        "evasion",
        "robust_accuracy",
        "of decisions stay right under attack",
        (("utility", "accuracy", "accuracy when nobody attacks"),),
    ),
)


def headline(verdict: Verdict) -> Headline:
    """The verdict in words; never surer than its intervals."""
    missed = [finding for finding in verdict.findings if finding.outcome != "met"]
    unsure = sum(finding.uncertain for finding in verdict.findings)
    total = len(verdict.findings)
    tone: Literal["good", "warn", "bad"] = "bad" if missed else "warn" if unsure or not total else "good"
    if missed:
        title = "Policy not met"
        names = ", ".join(_inside_sentence(demand_name(finding.demand)) for finding in missed)
        verb = "is" if len(missed) == 1 else "are"
        sentence = (
            f"{len(missed)} of {_count(total, 'demand')} {verb} not met: {names}. This model is not to be served."
        )
    elif not total:
        title, sentence = "No policy was set", "Nothing was demanded, so nothing was judged."
    else:
        title = "Policy met"
        sentence = "Its one demand is met." if total == 1 else f"All {total} demands are met."
    if unsure:
        sentence += (
            f" For {_count(unsure, 'demand')} the confidence interval lies on both sides of the limit:"
            " the test was too small to be sure."
        )
    return Headline(tone=tone, title=title, sentence=sentence, demands=tuple(_demand(f) for f in verdict.findings))


def promises(story: ReportInput) -> tuple[Promise, ...]:
    """The four promises, each with its key figure or the plain word that it was not measured."""
    return tuple(_promise(story, key) for key in _PROMISES)


def demand_name(demand: str) -> str:
    """A demand of the policy in words."""
    if demand.startswith("require "):
        return f"Evidence of {humanise(demand.removeprefix('require ')).lower()}"
    return _DEMANDS.get(demand) or humanise(demand)


def _promise(story: ReportInput, key: _Key) -> Promise:
    evidence = story.current(key.kind)
    figure = evidence.figures.get(key.figure) if evidence else None
    finding = story.finding_on(key.kind, key.figure)
    details = [
        f"{quantity(other.figures[name])} {label}"
        for kind, name, label in key.beside
        if (other := story.current(kind)) and name in other.figures
    ]
    if figure and figure.low is not None and figure.high is not None:
        span = f"{percent(figure.low)} to {percent(figure.high)}" if key.is_share else interval(figure)
        details.insert(0, f"interval {span}")
    source = evidence.context.get("source_class") if evidence and key.kind == "evasion" else None
    label = key.label if source is None else f"{key.label}, of rows of class {plain(source)}"
    status: Status = "not measured" if figure is None else finding.outcome if finding else "not judged"
    return Promise(
        name=key.name,
        status=status,
        uncertain=finding.uncertain if finding else False,
        value=(share(figure) if key.is_share else quantity(figure)) if figure else "—",
        label=label if figure else "There is no evidence on this.",
        details=tuple(details),
        anchor=key.kind if evidence else "not-covered",
    )


def _demand(finding: Finding) -> Demand:
    threshold = THRESHOLDS.get(finding.demand)
    side = threshold.side if threshold else ""
    figure = finding.figure
    there = {"met": "is there", "no evidence": "missing"}.get(finding.outcome, "does not count")
    return Demand(
        name=demand_name(finding.demand),
        status=finding.outcome,
        uncertain=finding.uncertain,
        asked=f"{side} {finding.limit:g}".strip() if finding.limit is not None else "must be there",
        value=judged_quantity(figure) if figure else there,
        interval=interval(figure) if figure else "",
        reason=finding.reason,
        bullet=bullet(figure, finding.limit, side=side) if figure and finding.limit is not None else (),
    )


def bullet(figure: Figure, limit: float, *, side: str) -> list[Mark]:
    """A small picture of a figure: a band for its interval, a dot for its value, an upright line for the limit.

    The stretch that the policy allows is drawn broader. Each picture has a scale of its own: from zero where there is
    no interval, else just around the interval and the limit.
    """
    ends = [figure.value, limit, *(end for end in (figure.low, figure.high) if end is not None)]
    low, high = min(ends), max(ends)
    room = 0.4 * (high - low) or abs(high) or 1.0
    low, high = (min(low, 0.0) if figure.low is None else low - room), high + room
    middle = f"{BULLET_HEIGHT / 2:.1f}"

    def at(value: float) -> str:
        return f"{6 + (value - low) / (high - low) * (BULLET_WIDTH - 12):.1f}"

    allowed = f"M{at(low)},{middle}H{at(limit)}" if side == "at most" else f"M{at(limit)},{middle}H{at(high)}"
    marks = [
        Mark("path", "track", {"d": f"M{at(low)},{middle}H{at(high)}"}),
        Mark("path", "allowed", {"d": allowed}),
    ]
    if figure.low is not None and figure.high is not None:
        marks.append(Mark("path", "span", {"d": f"M{at(figure.low)},{middle}H{at(figure.high)}"}))
    marks.append(Mark("path", "limit", {"d": f"M{at(limit)},3V{BULLET_HEIGHT - 3}"}))
    marks.append(Mark("circle", "dot a", {"cx": at(figure.value), "cy": middle, "r": "5"}))
    return marks


def _inside_sentence(name: str) -> str:
    return name[:1].lower() + name[1:]


def _count(number_of: int, noun: str) -> str:
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"
