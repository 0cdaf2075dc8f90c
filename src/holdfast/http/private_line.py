"""The client's side of asking under encryption: keys uploaded once, then queries and answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from holdfast.data import Matrix
from holdfast.errors import SystemFault, WireError
from holdfast.http.answers import PrivateAnswer
from holdfast.http.connection import Connection
from holdfast.http.key_safe import KeySafe
from holdfast.models.links import top_class
from holdfast.private_inference import KeySet, PrivateScores, PrivateSession, PublicPlan
from holdfast.serving import UnknownKeyError

Progress = Callable[[int, int], None]
"""Called with the rows that are answered, and with all."""

_BYTES: Final = "application/octet-stream"
_ATTEMPTS: Final = 3
"""How often an upload that broke off is taken up again."""


class PrivateLine:
    """Asks one model under encryption. Threads may share it.

    Args:
        connection: to the service.
        path: of the model's private addresses, without an end.
        plan: the public half of the model's plan.
        safe: where keys are kept from one run to the next; without it, they end with this object.

    Raises:
        CredentialError: the keys that were kept do not open.
    """

    def __init__(self, connection: Connection, *, path: str, plan: PublicPlan, safe: KeySafe | None) -> None:
        self.plan = plan
        self._connection = connection
        self._path = path
        self._safe = safe
        self._session, self._uploaded = safe.open(plan) if safe else (PrivateSession(plan), {})
        self._uploading = threading.Lock()

    def ask(self, X: Matrix, *, progress: Progress | None = None) -> PrivateAnswer:
        """Ask rows (rows, features), in as many queries as they need.

        Raises:
            HoldfastError: whatever the service refuses with.
            IntegrityError: an answer is not to what was asked, or does not decrypt. Do not tell the service which.
        """
        started, first_query, sent, received = time.perf_counter(), b"", 0, 0
        parts: list[PrivateScores] = []
        for portion in self.plan.split(len(X)):
            query, answer = self._exchange(X[portion.rows], layout=portion.layout)
            parts.append(self._session.decrypt(answer))
            first_query, sent, received = first_query or query, sent + len(query), received + len(answer)
            if progress:
                progress(portion.rows.stop, len(X))
        scores = np.vstack([part.scores for part in parts])
        classes = self.plan.classes
        top = top_class(scores, self.plan.link, classes=len(classes)) if classes else ()
        return PrivateAnswer(
            scores=scores,
            values=np.vstack([part.values for part in parts]),
            labels=tuple(classes[position] for position in top),
            bytes_sent=sent,
            bytes_received=received,
            latency_s=time.perf_counter() - started,
            query=first_query,
        )

    def _exchange(self, X: Matrix, *, layout: str) -> tuple[bytes, bytes]:
        """A query and its answer; where the service does not have the keys, they are uploaded and it is asked again."""
        self._ensure_keys(layout)
        query = self._session.encrypt(X, layout=layout)
        try:
            return query, self._ask("POST", "infer", query)
        except UnknownKeyError:  # the service made room
            with self._uploading:
                self._upload(layout)
        query = self._session.encrypt(X, layout=layout)
        return query, self._ask("POST", "infer", query)

    def _ensure_keys(self, layout: str) -> None:
        with self._uploading:
            if layout not in self._uploaded:
                self._upload(layout)

    def _upload(self, layout: str) -> None:
        """Upload what the service does not have of a layout's keys, and remember that it has them."""
        keys = self._session.keys(layout)
        missing = self._missing(self._ask("PUT", f"keys/{keys.digest}", keys.manifest), keys)
        for attempt in range(_ATTEMPTS):
            try:
                for index in missing:
                    self._ask("PUT", f"keys/{keys.digest}/{index}", keys.parts[index])
                break
            except SystemFault:
                if attempt == _ATTEMPTS - 1:
                    raise
                missing = self._missing(self._ask("GET", f"keys/{keys.digest}"), keys)
        self._uploaded[layout] = keys.digest
        self._session.forget_keys(layout)
        if self._safe:
            self._safe.keep(self._session, key_digests=self._uploaded)

    def _missing(self, answer: bytes, keys: KeySet) -> list[int]:
        """The parts that the service asks for.

        Raises:
            WireError: it asks for something else.
        """
        told: Any = self._connection.parsed(answer)
        missing = told.get("missing") if isinstance(told, dict) else None
        if not isinstance(missing, list) or not all(type(i) is int and 0 <= i < len(keys.parts) for i in missing):
            raise WireError("expected a list of parts of the keys from the service, got something else")
        return missing

    def _ask(self, method: str, place: str, content: bytes | None = None) -> bytes:
        return self._connection.ask(method, f"{self._path}/{place}", content, media_type=_BYTES)
