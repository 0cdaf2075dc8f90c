"""Ask the service under encryption, row by row, and compare every answer with the clear one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from holdfast.errors import IntegrityError
from holdfast.evidence import Evidence, Figure
from holdfast.http import Client, PrivateAnswer
from holdfast.intervals import proportion
from holdfast.models import LinearModel
from holdfast.pipeline.project import Project
from holdfast.pipeline.steps.advance import Advance
from holdfast.private_inference import PrivatePlan
from holdfast.serving import Store, read_audit

_SHOWN_BYTES: Final = 128
_ROWS: Final = 32
"""Rows asked of a model that is not linear; one takes longer."""
_MAX_NOISE: Final = {"linear": 2.0**-20, "additive": 2.0**-20, "trees": 0.0, "network": 2.0**-8}
"""How far encryption may take a score, by the kind of model."""


def ask_in_private(project: Project, client: Client, plan: PrivatePlan, store: Store, *, advance: Advance) -> Evidence:
    """Ask test rows under encryption, each in a query of its own: all of a linear model, some of any other.

    Raises:
        IntegrityError: a private answer is farther from what the plan gives in the clear than encryption may take it.
    """
    model = project.model("harden")
    X = project.test_data.X if isinstance(model, LinearModel) else project.test_data.X[:_ROWS]
    client.ask_private(X[:1])  # makes and uploads the keys, which is done once and not timed
    answers: list[PrivateAnswer] = []
    for row in range(len(X)):
        answers.append(client.ask_private(X[row : row + 1]))
        advance(row + 1, len(X))
    scores = np.vstack([answer.scores for answer in answers])
    if not np.abs(scores - plan.clear_scores(X)).max() <= _MAX_NOISE[plan.public.kind]:
        raise IntegrityError("a private answer differs from the plan's score in the clear")
    P = np.vstack([answer.values for answer in answers])
    own = model.predict_proba(X)
    gaps = np.abs(scores - model.scores(X)) if isinstance(model, LinearModel) else np.abs(P - own)
    agrees = P.argmax(axis=1) == own.argmax(axis=1)
    server_ms = _server_ms(store, len(X))
    return _evidence(model.digest, plan, answers, agrees=agrees, gaps=gaps.max(axis=1), server_ms=server_ms)


def _server_ms(store: Store, queries: int) -> float:
    """The median of the time inside the service, from its audit log."""
    entries = [entry for entry in read_audit(store, newest=queries) if entry.action == "private infer"]
    return float(np.median([entry.latency_us / 1000 for entry in entries]))


def _evidence(
    digest: str, plan: PrivatePlan, answers: list[PrivateAnswer], *, agrees: Any, gaps: Any, server_ms: float
) -> Evidence:
    round_trips = [1000 * answer.latency_s for answer in answers]
    return Evidence(
        kind="private-inference",
        subject=digest,
        subject_kind="model",
        title=(
            f"{int(agrees.sum())} of {len(agrees)} encrypted queries gave the clear answer, "
            f"{np.median(round_trips):.0f} ms each; the service saw ciphertexts only"
        ),
        figures={
            "agreement": proportion(int(agrees.sum()), len(agrees)),
            "worst_error": Figure(value=float(gaps.max())),
            "round_trip_ms": Figure(value=float(np.median(round_trips)), unit="ms"),
            "server_ms": Figure(value=server_ms, unit="ms"),
            "query_bytes": Figure(value=answers[0].bytes_sent, unit="bytes"),
            "answer_bytes": Figure(value=answers[0].bytes_received, unit="bytes"),
        },
        samples={"round_trip_ms": round_trips, "score_error": gaps.tolist()},
        context={
            "first_bytes": answers[0].query[:_SHOWN_BYTES].hex(),
            "leakage": plan.public.leakage,
            "security": plan.public.security,
        },
        references=("NIST AI 100-2e2025 privacy attacks", "MITRE ATLAS AML.M0012 Encrypt Sensitive Information"),
        caveats=(
            "The service sees who asks, when, and how many rows.",
            "A client that asks for enough exact scores can rebuild the model; only its query budget bounds that.",
        ),
    )
