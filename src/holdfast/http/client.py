"""A client of the service. It is a `Model`, so whatever works on a model, attacks too, works on a live service."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import pandas as pd

from holdfast.data import Matrix, Schema, check_features, features_from_frame
from holdfast.errors import DataError, IntegrityError, UsageError, WireError
from holdfast.evidence import canonical_json
from holdfast.http.answers import ModelMetadata, PrivateAnswer
from holdfast.http.connection import Connection
from holdfast.http.tensors import MATRIX
from holdfast.limits import MAX_REQUEST_BYTES
from holdfast.models import Encoding, probabilities
from holdfast.private_inference import PrivateSession, PublicPlan
from holdfast.serving import UnknownKeyError

Rows = pd.DataFrame | Matrix
"""Rows as a table with the schema's columns, or as (rows, features) in its units."""

_BYTES: Final = "application/octet-stream"
_BYTES_PER_NUMBER: Final = 32
"""More than any number takes in JSON."""


class Client:
    """Asks one model of one service. Threads may share it. Close it, or use it in a `with` block.

    Args:
        url: of the service, such as https://models.example.org:8080.
        token: the client's.
        model: the name of the model; without it, the one that the service serves.
        timeout_s: seconds without a sign of life after which the service counts as gone.
        certificate: a PEM file of the authority that the service's certificate is checked with, in place of the usual.
        plan_digest: the digest that the model's private plan must have, learnt from someone trusted; without it, the
            plan that the service shows first is the one that every answer is held to.

    Raises:
        UsageError: the address or the token cannot be one.
        InputError: the certificate cannot be read.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        model: str | None = None,
        timeout_s: float = 30.0,
        certificate: Path | None = None,
        plan_digest: str | None = None,
    ) -> None:
        self._connection = Connection(url, token, timeout_s=timeout_s, certificate=certificate)
        self._model = model
        self._plan_digest = plan_digest
        self._session: PrivateSession | None = None
        self._meeting = threading.Lock()

    @cached_property
    def metadata(self) -> ModelMetadata:
        """What the service says of its model; asked once.

        Raises:
            AccessError: the token is not accepted.
            InputError: there is no such model.
            SystemFault: the service cannot be reached.
        """
        name = self._model or _field(self._connection.ask_json("GET", "/v2"), "models")[0]
        told = _field(self._connection.ask_json("GET", f"/v2/models/{quote(name, safe='')}"), "holdfast")
        return ModelMetadata.from_json(told)

    @property
    def schema(self) -> Schema:
        """The schema of the rows that the model takes."""
        return self.metadata.schema

    def predict_proba(self, rows: Rows, *, private: bool = False) -> Matrix:
        """(rows, classes) probabilities; with `private`, the service sees neither the rows nor the answer.

        Raises:
            DataError: a row is not what the schema says; nothing was sent.
            AccessError: the token is not accepted, the budget does not suffice, or the client is blocked.
            UnsupportedError: the model cannot be asked privately.
            SystemFault: the service cannot be reached, or stopped before it answered.
        """
        if private:
            return self.ask_private(rows).probabilities
        X = self._rows(rows)
        size = max(min(self.metadata.max_rows, MAX_REQUEST_BYTES // (_BYTES_PER_NUMBER * X.shape[1])), 1)
        return np.vstack([self._infer(part) for part in _parts(X, size)])

    def predict(self, rows: Rows, *, private: bool = False) -> tuple[str, ...]:
        """The most probable class of each row. Raises what `predict_proba` raises."""
        return self._labels(self.predict_proba(rows, private=private))

    def ask_private(self, rows: Rows) -> PrivateAnswer:
        """Ask under encryption, with all there is to know of the answer.

        Raises:
            HoldfastError: as `predict_proba`.
            IntegrityError: the plan or an answer is not the one expected. Do not tell the service which it was.
        """
        session = self._private_session()
        E = Encoding(self.schema).encode(self._rows(rows))
        started, sent, received = time.perf_counter(), [], []
        scores = []
        for part in _parts(E, session.plan.max_rows):
            sent.append(session.encrypt(part))
            received.append(self._ask_encrypted(session, sent[-1]))
            scores.append(session.decrypt(received[-1]).values)
        all_scores = np.vstack(scores)
        P = probabilities(all_scores)
        return PrivateAnswer(
            scores=all_scores,
            probabilities=P,
            labels=self._labels(P),
            bytes_sent=sum(map(len, sent)),
            bytes_received=sum(map(len, received)),
            latency_s=time.perf_counter() - started,
            query=sent[0],
        )

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r}, token not shown)"

    def __reduce__(self) -> Any:
        raise UsageError("a client holds a token and does not leave its process; make one where it is needed")

    def _rows(self, rows: Rows) -> Matrix:
        if isinstance(rows, pd.DataFrame):
            X = features_from_frame(rows, self.schema)
        else:
            X = np.asarray(rows, dtype=np.float64)
            if X.ndim != 2 or X.shape[1] != len(self.schema.features):
                raise DataError(f"expected rows of {len(self.schema.features)} features, got an array of {X.shape}")
            check_features(X, self.schema)
        if len(X) == 0:
            raise DataError("expected rows to ask about, got none")
        return X

    def _labels(self, P: Matrix) -> tuple[str, ...]:
        return tuple(self.schema.classes[position] for position in P.argmax(axis=1))

    def _infer(self, X: Matrix) -> Matrix:
        values = [None if np.isnan(value) else value for value in X.ravel().tolist()]
        tensor = {"name": MATRIX, "datatype": "FP64", "shape": list(X.shape), "data": values}
        asked = canonical_json({"inputs": [tensor], "outputs": [{"name": "probabilities"}]})
        outputs = _field(self._connection.ask_json("POST", self._path("infer"), asked), "outputs")
        shape = (len(X), len(self.schema.classes))
        try:
            P = np.array(outputs[0]["data"], dtype=np.float64).reshape(shape)
        except (KeyError, IndexError, TypeError, ValueError):
            raise WireError(f"expected probabilities of shape {shape} from the service, got something else") from None
        if not ((P >= 0).all() and np.allclose(P.sum(axis=1), 1)):
            raise WireError("expected probabilities from the service, got numbers that are none")
        return P

    def _private_session(self) -> PrivateSession:
        """The session of this client, with its key uploaded; made when it is first needed."""
        with self._meeting:
            if self._session is None:
                session = PrivateSession(self._plan())
                self._upload(session)
                self._session = session
            return self._session

    def _plan(self) -> PublicPlan:
        plan = PublicPlan.from_json(self._connection.ask_json("GET", self._path("private")))
        if self._plan_digest not in (None, plan.digest):
            raise IntegrityError(f"expected the private plan {self._plan_digest}, the service shows {plan.digest}")
        if plan.classes != self.schema.classes or plan.n_features != Encoding(self.schema).width:
            raise IntegrityError("the private plan that the service shows is not of the model that it describes")
        return plan

    def _upload(self, session: PrivateSession) -> None:
        path = self._path(f"private/keys/{session.key_digest}")
        self._connection.ask("PUT", path, session.public_key_bytes(), media_type=_BYTES)

    def _ask_encrypted(self, session: PrivateSession, query: bytes) -> bytes:
        path = self._path("private/infer")
        try:
            return self._connection.ask("POST", path, query, media_type=_BYTES)
        except UnknownKeyError:  # the service was restarted, or made room
            self._upload(session)
            return self._connection.ask("POST", path, query, media_type=_BYTES)

    def _path(self, rest: str) -> str:
        return f"/v2/models/{quote(self.metadata.name, safe='')}/{rest}"


def _parts(rows: Matrix, size: int) -> Iterator[Matrix]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _field(document: Any, name: str) -> Any:
    value = document.get(name) if isinstance(document, dict) else None
    if not value:
        raise WireError(f"expected {name!r} in the service's answer, it is not there")
    return value
