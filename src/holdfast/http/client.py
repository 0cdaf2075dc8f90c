"""A client of the service. It is a `Model`, so whatever works on a model, attacks too, works on a live service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from holdfast.data import Matrix, Schema
from holdfast.errors import IntegrityError, UnsupportedError, UsageError, WireError
from holdfast.evidence import canonical_json
from holdfast.http.answers import ModelMetadata, PrivateAnswer
from holdfast.http.connection import Connection
from holdfast.http.inputs import Inputs, PlanInputs, Rows, SchemaInputs
from holdfast.http.key_safe import KeySafe
from holdfast.http.private_line import PrivateLine, Progress
from holdfast.http.tensors import MATRIX
from holdfast.limits import MAX_REQUEST_BYTES
from holdfast.private_inference import PublicPlan

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
        keys: where keys for private inference are kept from one run to the next; without it, they end with the client.

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
        keys: KeySafe | None = None,
    ) -> None:
        self._connection = Connection(url, token, timeout_s=timeout_s, certificate=certificate)
        self._model = model
        self._plan_digest = plan_digest
        self._safe = keys
        self._line: PrivateLine | None = None
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
        """The schema of the rows that the model takes in the clear.

        Raises:
            UnsupportedError: it takes none: it is a private plan alone.
        """
        if self.metadata.schema is None:
            raise UnsupportedError(
                f"the model {self.metadata.name!r} is asked under encryption alone", hint="ask with private=True"
            )
        return self.metadata.schema

    @property
    def classes(self) -> tuple[str, ...]:
        """The model's classes; of a regression none."""
        return self.metadata.schema.classes if self.metadata.schema else self._plan.classes

    @cached_property
    def inputs(self) -> Inputs:
        """What the model takes."""
        metadata = self.metadata
        return SchemaInputs(metadata.schema) if metadata.schema else PlanInputs(self._plan, metadata.columns)

    def predict_proba(self, rows: Rows, *, private: bool = False) -> Matrix:
        """(rows, classes) probabilities; with `private`, the service sees neither the rows nor the answer.

        Raises:
            DataError: a row is not what the model takes; nothing was sent.
            AccessError: the token is not accepted, the budget does not suffice, or the client is blocked.
            UnsupportedError: the model cannot be asked privately, or not in the clear, or has no classes.
            SystemFault: the service cannot be reached, or stopped before it answered.
        """
        if private:
            return self._ask_classes(rows).values
        X = SchemaInputs(self.schema).rows(rows)
        size = max(min(self.metadata.max_rows, MAX_REQUEST_BYTES // (_BYTES_PER_NUMBER * X.shape[1])), 1)
        return np.vstack([self._infer(part) for part in _parts(X, size)])

    def predict(self, rows: Rows, *, private: bool = False) -> tuple[str, ...]:
        """The most probable class of each row. Raises what `predict_proba` raises."""
        if private:
            return self._ask_classes(rows).labels
        return self._labels(self.predict_proba(rows))

    def ask_private(self, rows: Rows, *, progress: Progress | None = None) -> PrivateAnswer:
        """Ask under encryption, with all there is to know of the answer.

        Args:
            rows: as for `predict_proba`.
            progress: called after each query with the rows answered so far, and all.

        Raises:
            HoldfastError: as `predict_proba`.
            IntegrityError: the plan or an answer is not the one expected. Do not tell the service which it was.
        """
        return self._private_line().ask(self.inputs.rows(rows), progress=progress)

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

    def _ask_classes(self, rows: Rows) -> PrivateAnswer:
        """Ask under encryption a model that has classes."""
        if not self.classes:
            raise UnsupportedError(
                f"the model {self.metadata.name!r} gives numbers and no classes", hint="take ask_private(rows).values"
            )
        return self.ask_private(rows)

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

    def _private_line(self) -> PrivateLine:
        """Made when it is first needed."""
        with self._meeting:
            if self._line is None:
                path = self._path("private")
                self._line = PrivateLine(self._connection, path=path, plan=self._plan, safe=self._safe)
            return self._line

    @cached_property
    def _plan(self) -> PublicPlan:
        """The public half of the private plan; asked once."""
        metadata = self.metadata
        plan = PublicPlan.from_json(self._connection.ask_json("GET", self._path("private")))
        if self._plan_digest not in (None, plan.digest):
            raise IntegrityError(f"expected the private plan {self._plan_digest}, the service shows {plan.digest}")
        if metadata.schema is None:
            fits = plan.digest == metadata.digest and len(metadata.columns) in (0, plan.n_features)
        else:
            fits = plan.classes == metadata.schema.classes and plan.n_features == len(metadata.schema.features)
        if not fits:
            raise IntegrityError("the private plan that the service shows is not of the model that it describes")
        return plan

    def _path(self, rest: str) -> str:
        return f"/v2/models/{quote(self.metadata.name, safe='')}/{rest}"


def _parts(rows: Matrix, size: int) -> Iterator[Matrix]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _field(document: Any, name: str) -> Any:
    value = document.get(name) if isinstance(document, dict) else None
    if not value:
        raise WireError(f"expected {name!r} in the service's answer, it is not there")
    return value
