"""Run the extraction attack against the live service, and see whether the watch flags it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from holdfast.attacks import ExtractionResult, extraction, synthetic_rows
from holdfast.evidence import Evidence, Figure
from holdfast.http import Client
from holdfast.pipeline.project import Project
from holdfast.serving import Service, WatchProfile, try_watch

_TRIAL_ROWS: Final = 2_000


@dataclass(frozen=True)
class Caught:
    """What the attack on the live service came to, and what the watch said of it; empty where it said nothing."""

    result: ExtractionResult
    reason: str


def attack_live(project: Project, client: Client, service: Service) -> Caught:
    """Copy the model through the service, as the attack step did with the model itself."""
    rng = np.random.default_rng(project.config.attack.seed)
    queries = project.config.attack.extraction_queries
    model = project.model("harden")
    result = extraction(client, reference=project.test_data, queries=queries, rng=rng, model=model)
    alerts = [alert for alert in service.reactions.recorded() if alert.client == "attacker"]
    return Caught(result, alerts[0].reason if alerts else "")


def try_the_watch(project: Project, profile: WatchProfile, caught: Caught) -> Evidence:
    """The sealed watch on simulated clients, and beside it what happened to the attack on the live service."""
    rng = np.random.default_rng(project.config.attack.seed)
    _, trial = project.watch_parts
    rows = synthetic_rows(project.config.schema, _TRIAL_ROWS, rng)
    evidence = try_watch(profile, clean=trial, attack=rows, rng=rng).to_evidence(project.model("harden").digest)
    answered = caught.result.queries
    fidelity = caught.result.fidelity
    figures = {
        **evidence.figures,
        "live_flagged": Figure(value=float(bool(caught.reason))),
        "live_answered_queries": Figure(value=answered, unit="queries"),
        "live_copy_fidelity": Figure(
            value=fidelity.value, low=fidelity.low, high=fidelity.high, confidence=fidelity.confidence
        ),
    }
    context = {**evidence.context, "live_reason": caught.reason, "live_stopped_by": caught.result.stopped_by}
    return replace(evidence, title=f"{_live(caught)}. {evidence.title}", figures=figures, context=context)


def _live(caught: Caught) -> str:
    answered = caught.result.queries
    if not caught.reason:
        return f"The extraction attack on the live service was NOT flagged in {answered} queries"
    when = f"after {answered} answers" if answered else "before it got one answer"
    return f"The extraction attack on the live service was flagged {when}"
