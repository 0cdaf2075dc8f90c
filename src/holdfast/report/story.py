"""What a report is made from: frozen values that the pipeline fills in. Nothing in them is trusted text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from holdfast.errors import UsageError
from holdfast.evidence import Evidence
from holdfast.policy import THRESHOLDS, Finding, Verdict

PER_RECORD: Final = frozenset({"riskiest_members"})
"""Context that points at single people; a report is handed around, so it leaves this out (the evidence has it)."""


def as_shown(evidence: Evidence) -> Evidence:
    """Evidence without what it says of single records; its digest tells no more than the page does."""
    context = {name: value for name, value in evidence.context.items() if name not in PER_RECORD}
    return replace(evidence, samples={}, context=context)


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """The table that the model was made from; `digest` is the Dataset's."""

    name: str
    digest: str
    rows: int
    features: int
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One step of the run: how long it took, or that an earlier result was used again."""

    name: str
    seconds: float
    reused: bool = False

    def __post_init__(self) -> None:
        """Refuse a time that is not one."""
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise UsageError(f"a step takes 0 seconds or more, got {self.seconds}")


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """Everything that one report says, and nothing that it has to look up.

    Args:
        project: the project's name, from holdfast.toml.
        model_name: the model's name in its bundle.
        model_version: its version there.
        model_digest: digest of the model that the verdict is about, `sha256:…`.
        dataset: the table that it was made from.
        evidence: all evidence of the run, in the order of the steps, with that of earlier models (before hardening).
        verdict: the policy's judgement on that evidence.
        privacy_statement: the full text of the privacy guarantee; empty where training was not private.
        steps: time of each step, in order.
        versions: software name to version, for making the report again.
        created: when the run ended, as text (ISO 8601). The report never asks the clock: same input, same bytes.
    """

    project: str
    model_name: str
    model_version: str
    model_digest: str
    dataset: DatasetFacts
    evidence: tuple[Evidence, ...]
    verdict: Verdict
    privacy_statement: str = ""
    steps: tuple[StepTime, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    def __post_init__(self) -> None:
        """Freeze the mapping and refuse a verdict on another model."""
        if self.verdict.subject != self.model_digest:
            raise UsageError(
                f"the report is about {self.model_digest}, the verdict about {self.verdict.subject}",
                hint="judge the policy on the digest of the model that is reported",
            )
        object.__setattr__(self, "versions", MappingProxyType(dict(self.versions)))

    def current(self, kind: str) -> Evidence | None:
        """The last evidence of a kind about the reported model, or about its data; what the policy judges, too."""
        found = None
        for item in self.evidence:
            if item.kind == kind and (item.subject_kind == "dataset" or item.subject == self.model_digest):
                found = item
        return found

    def other(self, kind: str) -> Evidence | None:
        """The last evidence of a kind about another model: the one before hardening, or a rejected hardened one."""
        found = None
        for item in self.evidence:
            if item.kind == kind and item.subject_kind == "model" and item.subject != self.model_digest:
                found = item
        return found

    def finding_on(self, kind: str, figure: str) -> Finding | None:
        """The policy's finding on one figure, where the policy sets a threshold for it."""
        for finding in self.verdict.findings:
            threshold = THRESHOLDS.get(finding.demand)
            if threshold is not None and (threshold.kind, threshold.figure) == (kind, figure):
                return finding
        return None
