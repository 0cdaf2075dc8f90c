"""The policy: which evidence is demanded, and the judgement on it. Frozen values, no IO.

A threshold is judged on the figure itself; where the figure's confidence interval lies on both sides of the
threshold, the finding says so, because a larger test would be needed to be sure.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from holdfast.errors import ConfigError
from holdfast.evidence import Evidence, Figure, is_finite_number

Outcome = Literal["met", "not met", "no evidence"]


@dataclass(frozen=True)
class Threshold:
    """Where the number that a threshold judges is found, and on which side it must lie."""

    kind: str
    figure: str
    side: Literal["at most", "at least"]


THRESHOLDS: Final[Mapping[str, Threshold]] = MappingProxyType(
    {
        "max_epsilon": Threshold("privacy-guarantee", "epsilon", "at most"),
        "max_membership_advantage": Threshold("membership-inference", "advantage", "at most"),
        "max_extraction_fidelity": Threshold("extraction", "fidelity", "at most"),
        "min_accuracy": Threshold("utility", "accuracy", "at least"),
        "min_robust_accuracy": Threshold("evasion", "robust_accuracy", "at least"),
    }
)
"""Every threshold that a policy can set, by the name it has in holdfast.toml."""

ABOUT_DATA: Final = frozenset({"data-checks"})
"""The kinds of evidence that are about a data set; every other kind counts only if it is about the judged model."""

ABOUT_ATTACKS: Final = frozenset({"membership-inference", "membership-risk", "privacy-audit", "evasion", "extraction"})
"""The kinds that attacks on a model leave."""

_VOID: Final = "void"
"""In the context of evidence, the reasons for which nothing was measured in earnest."""

_CONTRADICTS: Final = "contradicts"
"""The figure of evidence that tries to refute a claim; above 0, it did."""

REQUIRABLE: Final = (
    "data-checks",
    "utility",
    "privacy-guarantee",
    "membership-inference",
    "membership-risk",
    "privacy-audit",
    "evasion",
    "extraction",
    "hardening",
    "private-inference",
)
"""The kinds that a holdfast.toml can require: those that may be there when a model is sealed and judged."""


@dataclass(frozen=True)
class Policy:
    """What a model has to show before it is served.

    Args:
        limits: threshold name (a key of `THRESHOLDS`) to number.
        require: kinds of evidence that must be there, whatever their figures say, but for an audit that contradicts the
            claim it was made of, and for evidence that says that nothing was measured in earnest;
            your own kinds are possible here, where a holdfast.toml can name only those in `REQUIRABLE`.
    """

    limits: Mapping[str, float]
    require: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that no threshold has, and limits that are not finite numbers."""
        for name, limit in self.limits.items():
            if name not in THRESHOLDS:
                raise ConfigError(f"the policy knows {', '.join(THRESHOLDS)} and require; it does not know {name!r}")
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise ConfigError(f"the policy's {name} must be a number, got {limit!r}")
            if not is_finite_number(limit):
                raise ConfigError(f"the policy's {name} must be a finite number: any other demands nothing, or all")
        object.__setattr__(self, "limits", MappingProxyType(dict(self.limits)))

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Policy:
        """The policy of a `[policy]` table.

        Raises:
            ConfigError: a name or a value that a policy cannot have, or a kind of evidence that is never there.
        """
        require = table.get("require", [])
        if not isinstance(require, list) or not all(isinstance(kind, str) for kind in require):
            raise ConfigError(f"the policy's require must be a list of kinds of evidence, got {require!r}")
        if unknown := [kind for kind in require if kind not in REQUIRABLE]:
            raise ConfigError(
                f"the policy's require names {unknown[0]!r:.80}, which no sealed model can have",
                hint=f"what can be required: {', '.join(REQUIRABLE)}",
            )
        limits = {name: value for name, value in table.items() if name != "require"}
        return cls(limits=limits, require=tuple(require))

    def about(self, kinds: Container[str]) -> Policy:
        """The demands on these kinds of evidence alone."""
        limits = {name: limit for name, limit in self.limits.items() if THRESHOLDS[name].kind in kinds}
        return Policy(limits=limits, require=tuple(kind for kind in self.require if kind in kinds))

    def to_table(self) -> dict[str, Any]:
        """The inverse of `from_table`."""
        return {**self.limits, "require": list(self.require)}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The judgement on one demand of the policy."""

    demand: str
    outcome: Outcome
    reason: str
    figure: Figure | None = None
    limit: float | None = None
    uncertain: bool = False
    """The confidence interval lies on both sides of the limit."""


@dataclass(frozen=True)
class Verdict:
    """The judgement on all demands of a policy, for one model."""

    subject: str
    findings: tuple[Finding, ...]

    @property
    def met(self) -> bool:
        """Whether every demand is met. A policy without demands is met by any model."""
        return all(finding.outcome == "met" for finding in self.findings)


def judge(policy: Policy, evidence: Iterable[Evidence], *, model_digest: str) -> Verdict:
    """Judge the evidence about one model.

    Only evidence that `counts` is judged. Of several measurements of one kind the worst counts. Missing evidence is a
    demand not met, never a pass; nor does evidence pass that says itself that nothing was measured in earnest.
    """
    about = [item for item in evidence if counts(item, model_digest=model_digest)]
    findings = [_judge_threshold(name, limit, about) for name, limit in policy.limits.items()]
    findings += [_judge_presence(kind, about) for kind in policy.require]
    return Verdict(subject=model_digest, findings=tuple(findings))


def counts(item: Evidence, *, model_digest: str) -> bool:
    """Whether evidence says something of a model: it is about this very model, or of a kind that is about data.

    The kind decides, and not what the evidence calls itself. That data is the data of this model is not judged here:
    whoever signed both says so.
    """
    if item.kind in ABOUT_DATA:
        return item.subject_kind == "dataset"
    return item.subject_kind == "model" and item.subject == model_digest


def _judge_presence(kind: str, about: list[Evidence]) -> Finding:
    there = [item for item in about if item.kind == kind]
    if not there:
        return Finding(demand=f"require {kind}", outcome="no evidence", reason=f"no {kind} evidence about this model")
    if any(item.figures[_CONTRADICTS].value > 0 for item in there if _CONTRADICTS in item.figures):
        reason = f"{kind} evidence is there, and contradicts what is claimed"
        return Finding(demand=f"require {kind}", outcome="not met", reason=reason)
    if (why := _void(there)) is not None:
        reason = f"{kind} evidence is there, but nothing was measured in earnest: {why}"
        return Finding(demand=f"require {kind}", outcome="not met", reason=reason)
    return Finding(demand=f"require {kind}", outcome="met", reason=f"{kind} evidence is there")


def _void(there: list[Evidence]) -> str | None:
    """Why none of the evidence of one kind was measured in earnest; None where some was."""
    reasons = [item.context.get(_VOID) for item in there]
    if not reasons or not all(reasons):
        return None
    first = reasons[0]
    return str(first[0] if isinstance(first, list | tuple) else first)


def _worst(threshold: Threshold, about: list[Evidence]) -> Figure | None:
    """The figure farthest on the wrong side: a later, weaker measurement does not undo an earlier one."""
    figures = [
        item.figures[threshold.figure]
        for item in about
        if item.kind == threshold.kind and threshold.figure in item.figures
    ]
    sign = 1 if threshold.side == "at most" else -1
    return max(figures, key=lambda figure: sign * figure.value, default=None)


def _judge_threshold(name: str, limit: float, about: list[Evidence]) -> Finding:
    threshold = THRESHOLDS[name]
    figure = _worst(threshold, about)
    if figure is None:
        reason = f"no {threshold.kind} evidence about this model"
        return Finding(demand=name, outcome="no evidence", reason=reason, limit=limit)
    met = figure.value <= limit if threshold.side == "at most" else figure.value >= limit
    label = threshold.figure.replace("_", " ")
    if met and (why := _void([item for item in about if item.kind == threshold.kind])) is not None:
        reason = f"{label} was not measured in earnest: {why}"
        return Finding(demand=name, outcome="not met", reason=reason, figure=figure, limit=limit)
    return Finding(
        demand=name,
        outcome="met" if met else "not met",
        reason=f"{label} is {figure.value:.4g}, {threshold.side} {limit:g} is demanded",
        figure=figure,
        limit=limit,
        uncertain=figure.low is not None and figure.high is not None and figure.low < limit < figure.high,
    )
