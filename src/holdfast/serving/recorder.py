"""Every request's entry in the audit log, whatever came of it; strangers' in bulk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast.errors import AccessError, HoldfastError
from holdfast.serving.audit import AuditLog
from holdfast.serving.refusals import Refusals


@dataclass
class Record:
    """What a request turns out to be while it is carried out."""

    rows: int = 0


class Recorder:
    """Writes what is asked of one model into the audit log. Threads may share it.

    Args:
        audit: the log.
        model: the model's digest.
    """

    def __init__(self, audit: AuditLog, *, model: str) -> None:
        self._audit = audit
        self._model = model
        self._refusals = Refusals(self._enter_refusals)

    @contextmanager
    def recorded(self, client: str, action: str) -> Iterator[Record]:
        """Write what came of a request when the `with` block is left.

        Raises:
            SystemFault: it cannot be written; the answer must then not be given.
        """
        started, record, outcome = time.perf_counter(), Record(), "fault"
        try:
            yield record
            outcome = "ok"
        except HoldfastError as error:
            outcome = type(error).__name__
            raise
        finally:
            seconds = time.perf_counter() - started
            self.enter(client, action, rows=record.rows, outcome=outcome, seconds=seconds)

    def enter(self, client: str, action: str, *, rows: int, outcome: str, seconds: float = 0.0) -> None:
        """Write one entry.

        Raises:
            SystemFault: it cannot be written.
        """
        self._refusals.flush()
        self._append(client, action, rows=rows, outcome=outcome, seconds=seconds)

    def stranger(self) -> None:
        """Count somebody whose token nobody has.

        Raises:
            SystemFault: it cannot be written.
        """
        self._refusals.add()

    def close(self) -> None:
        """Write what was still to be written."""
        self._refusals.close()

    def _enter_refusals(self, count: int) -> None:
        self._append("", "authenticate", rows=count, outcome=AccessError.__name__, seconds=0.0)

    def _append(self, client: str, action: str, *, rows: int, outcome: str, seconds: float) -> None:
        self._audit.append(
            client=client,
            action=action,
            model=self._model,
            rows=rows,
            outcome=outcome,
            latency_us=round(seconds * 1e6),
        )
