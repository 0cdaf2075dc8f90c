"""What `holdfast plan` prints: sizes, times, security, agreement and leakage of one plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from holdfast.private_inference import key_wire, wire
from holdfast.private_inference.client import PrivateSession
from holdfast.private_inference.evaluator import Evaluator
from holdfast.private_inference.plan import PrivatePlan
from holdfast.private_inference.public_plan import Measured

_T = TypeVar("_T")
_REPEATS: Final = 5
"""Queries timed for each layout; the median is reported."""


@dataclass(frozen=True, kw_only=True)
class LayoutReport:
    """The figures of one layout.

    Args:
        parameters: ring and moduli, as a sentence.
        rows: of the query that was measured.
        key_bytes, query_bytes, answer_bytes: sizes of the key set, of that query and of its answer.
        server_ms: measured here, median, from the query's bytes to the answer's.
        client_ms: measured here, median, to encrypt and to decrypt.
        predicted_ms: what the layout expects of the server; None where it expects nothing.
    """

    parameters: str
    rows: int
    key_bytes: int
    query_bytes: int
    answer_bytes: int
    server_ms: float
    client_ms: float
    predicted_ms: float | None


@dataclass(frozen=True, kw_only=True)
class PlanReport:
    """One plan in figures and sentences.

    Args:
        kind: of the model.
        layouts: the figures, by layout.
        memory_bytes: what the model's plaintexts take in the service.
        measured: agreement with the clear model; None where there were no rows.
        security, leakage: the statements.
        notes: what the compiler did to the model.
    """

    kind: str
    layouts: dict[str, LayoutReport]
    memory_bytes: int
    measured: Measured | None
    security: str
    leakage: str
    notes: tuple[str, ...] = field(default=())


def report_plan(plan: PrivatePlan, *, X: NDArray[np.float64]) -> PlanReport:
    """Ask the plan some rows on this machine, and put together what it takes and tells.

    Args:
        plan: both halves.
        X: (rows, n_features) at least one row; a layout for many is asked with as many as there are.
    """
    evaluator = Evaluator(plan)
    session = PrivateSession(plan.public)
    layouts = {name: _measured(name, evaluator, session, X) for name in plan.public.layouts}
    return PlanReport(
        kind=plan.public.kind,
        layouts=layouts,
        memory_bytes=evaluator.memory_bytes,
        measured=plan.public.measured,
        security=plan.public.security,
        leakage=plan.public.leakage,
        notes=plan.public.notes,
    )


def _measured(name: str, evaluator: Evaluator, session: PrivateSession, X: NDArray[np.float64]) -> LayoutReport:
    layout = session.plan.layout(name)
    count = 1 if name == "row" else max(min(len(X), layout.max_rows), wire.least_rows(layout))
    rows = X[np.arange(count) % len(X)]
    key_set = session.keys(name)
    keys = evaluator.load_keys(key_set.manifest, key_set.parts)
    server, client = [], []
    for _ in range(_REPEATS):
        query, encrypting = _timed(lambda: session.encrypt(rows, layout=name))
        answer, answering = _timed(lambda query=query: evaluator.answer(query, keys=keys))  # type: ignore[misc]
        _, decrypting = _timed(lambda answer=answer: session.decrypt(answer))  # type: ignore[misc]
        server.append(answering)
        client.append(encrypting + decrypting)
    return LayoutReport(
        parameters=layout.parameters.security(),
        rows=len(rows),
        key_bytes=len(key_set.manifest) + sum(key_wire.part_sizes(layout)),
        query_bytes=wire.query_bytes(layout, len(rows)),
        answer_bytes=wire.answer_bytes(layout, len(rows)),
        server_ms=float(np.median(server)),
        client_ms=float(np.median(client)),
        predicted_ms=getattr(layout, "predicted_ms", None),
    )


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    start = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - start)
