"""Run the extraction attack against the live service, and see whether the watch flags it and others like it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from holdfast.attacks import ExtractionResult, extraction, levelled_rows, ranges, repair, synthetic_rows
from holdfast.data import Matrix, Schema
from holdfast.evidence import Evidence, Figure
from holdfast.http import Client
from holdfast.pipeline.project import Project
from holdfast.serving import Service, WatchProfile, try_watch

_TRIAL_ROWS: Final = 2_000
_CENTRES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
_WIDTHS: Final = (0.05, 0.1, 0.2, 0.4)
"""As shares of each feature's range: made-up rows that keep to a small room, where real ones may be rare."""


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
    attack = _made_up(project.config.schema, rng)
    evidence = try_watch(profile, clean=trial, attack=attack, rng=rng).to_evidence(project.model("harden").digest)
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


def _made_up(schema: Schema, rng: np.random.Generator) -> dict[str, Matrix]:
    """Rows of attackers who know the schema alone: all over its ranges, rising and falling together, or in one room."""
    kinds = {
        "uniform": synthetic_rows(schema, _TRIAL_ROWS, rng),
        "levelled": rng.permutation(levelled_rows(schema, _TRIAL_ROWS, rng)),
    }
    for centre in _CENTRES:
        for width in _WIDTHS:
            uniform = synthetic_rows(schema, _TRIAL_ROWS, rng)
            kinds[f"{width:.0%} wide at {centre:.0%}"] = _shrunken(uniform, schema, centre=centre, width=width)
    return kinds


def _shrunken(X: Matrix, schema: Schema, *, centre: float, width: float) -> Matrix:
    """Rows drawn together to a share of each feature's range about a place in it; categories stay."""
    box = ranges(schema, rows=len(X))
    span = box.high - box.low
    middle = box.low + centre * span
    numbers = [feature.kind != "category" for feature in schema.features]
    near = np.where(numbers, middle + width * (X - (box.low + span / 2)), X)
    return repair(near, box, schema)


def _live(caught: Caught) -> str:
    answered = caught.result.queries
    if not caught.reason:
        return f"The extraction attack on the live service was NOT flagged in {answered} queries"
    when = f"after {answered} answers" if answered else "before it got one answer"
    return f"The extraction attack on the live service was flagged {when}"
