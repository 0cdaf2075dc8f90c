"""One service object: a verified model, and everything that stands between it and those who ask. No web framework.

Every request takes the same steps, and the first that fails ends it:

    authenticate    a token to a client                          CredentialError, BudgetError (its time is over)
    read            the rows, checked against the schema         InputError
    admit           a blocked or throttled client                AccessError, BudgetError
    charge          every row, private ones too                  BudgetError
    watch           rows in the clear; encrypted ones counted    AccessError, once flagged
    compute
    confirm         a client blocked or revoked meanwhile        AccessError, BudgetError
    audit           whatever came of it, before the answer is given

How a client stands is read again when it is charged and when its answer is ready: between authentication and the end of
a body lie seconds that the client decides. The watch looks before the model answers, so that ten thousand synthetic
rows in one request earn nothing. What was charged stays charged, so that trying out the watch costs budget. An answer
whose audit entry cannot be written is not given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from holdfast.custody import Bundle
from holdfast.data import Matrix, Schema, check_features
from holdfast.errors import (
    AccessError,
    DataError,
    HoldfastError,
    PolicyError,
    UnsupportedError,
    WireError,
)
from holdfast.evidence import digest_bytes
from holdfast.limits import MAX_PUBLIC_KEY_BYTES, MAX_REQUEST_ROWS
from holdfast.policy import Policy, Verdict, judge
from holdfast.private_inference import Evaluator
from holdfast.serving.access import Access, Client
from holdfast.serving.answers import EncryptedAnswer, Prediction
from holdfast.serving.audit import AuditLog
from holdfast.serving.contents import read_model, read_plan, read_watch_profile, telling_rows
from holdfast.serving.keyring import KeyRing
from holdfast.serving.reactions import Reaction, Reactions
from holdfast.serving.refusals import Refusals
from holdfast.serving.store import Store
from holdfast.serving.watch import Alert, Watch


class Service:
    """Serves one bundle. Threads may share it.

    Args:
        bundle: verified, as `verify_bundle` and `open_sealed` return it.
        policy: what the bundle's evidence has to show.
        store: clients, budgets and alerts.
        audit: the log that every request goes to.
        reaction: what a client whom the watch flags is met with; see `Reaction`.

    Raises:
        PolicyError: the evidence does not meet the policy.
        IntegrityError: evidence, watch profile or private plan are not of this model.
        WireError: a part of the bundle is malformed.
    """

    def __init__(
        self, bundle: Bundle, *, policy: Policy, store: Store, audit: AuditLog, reaction: Reaction = "block"
    ) -> None:
        self.bundle = bundle
        self.verdict = _demand(policy, bundle)
        self.model = read_model(bundle)
        self.access = Access(store)
        self.reactions = Reactions(store, reaction=reaction)
        self._audit = audit
        profile, plan = read_watch_profile(bundle), read_plan(bundle, self.model)
        self._watch = Watch(profile, schema=self.schema) if profile else None
        self._evaluator = Evaluator(plan) if plan else None
        self._telling_rows = telling_rows(plan) if plan else 0
        self._keys = KeyRing()
        self._refusals = Refusals(self._enter_refusals)

    @property
    def schema(self) -> Schema:
        """The schema of the rows that the model takes."""
        return self.model.schema

    @property
    def private(self) -> bool:
        """Whether rows may come encrypted."""
        return self._evaluator is not None

    @property
    def watched(self) -> bool:
        """Whether the bundle has a watch profile; without one, only budgets stand against copying."""
        return self._watch is not None

    def authenticate(self, token: str) -> Client:
        """The client of a token.

        Raises:
            CredentialError: nobody has this token, or not any more.
            BudgetError: the client's time is over.
        """
        try:
            return self.access.authenticate(token)
        except AccessError:
            self._refusals.add()
            raise

    def refused(self, client: Client, action: str, *, outcome: str) -> None:
        """Write into the audit log that a client's request was refused before it came here.

        Args:
            client: who asked, from `authenticate`.
            action: what it wanted.
            outcome: the name of an error, or a status.
        """
        self._enter(client.name, action, rows=0, outcome=outcome, started=time.perf_counter())

    def close(self) -> None:
        """Write into the audit log what was still to be written; to be called before the log is closed."""
        self._refusals.close()

    def describe(self, client: Client) -> dict[str, Any]:
        """What a client may know of the model: name, version, digest, schema, limits, and what privacy is on offer."""
        with self._recorded(client, "describe"):
            return {
                "name": self.bundle.name,
                "version": self.bundle.version,
                "digest": self.bundle.model_digest,
                "schema": self.schema.to_json(),
                "max_rows": MAX_REQUEST_ROWS,
                "private": self.private,
            }

    def infer(self, client: Client, rows: Callable[[], Matrix]) -> Prediction:
        """Answer rows in the clear.

        Args:
            client: who asks, from `authenticate`.
            rows: reads them: (rows, features) in the schema's units. A function, so that rows which cannot be read
                are in the audit log as well.

        Raises:
            DataError: no rows, too many, or one that is not what the schema says.
            BudgetError: the budget does not suffice, or the client is throttled.
            AccessError: the client is blocked.
        """
        with self._recorded(client, "infer") as record:
            X = rows()
            record.rows = len(X)
            self._check(X)
            admitted = self._admit(client, rows=len(X))
            self._react(admitted, self._watch.observe(client.name, X) if self._watch else None, rows=len(X))
            P = self.model.predict_proba(X)
            self._confirm(admitted, rows=len(X))
        return Prediction(probabilities=P, labels=tuple(self.schema.classes[c] for c in P.argmax(axis=1)))

    def private_plan(self, client: Client) -> dict[str, Any]:
        """The public half of the private plan, as JSON.

        Raises:
            UnsupportedError: the model has no private plan.
        """
        with self._recorded(client, "private plan"):
            return self._private().plan.public.to_json()

    def upload_key(self, client: Client, data: bytes, *, digest: str) -> None:
        """Keep a client's public key, of which a request says the digest.

        Raises:
            UnsupportedError: the model has no private plan.
            WireError: not a public key, or not of this digest.
        """
        with self._recorded(client, "upload key"):
            evaluator = self._private()
            if len(data) > MAX_PUBLIC_KEY_BYTES:
                raise WireError(f"expected a public key of at most {MAX_PUBLIC_KEY_BYTES} bytes, got {len(data)}")
            if digest_bytes(data) != digest:
                raise WireError(f"expected a public key with the digest {digest[:71]!r}, got one with another")
            self._keys.add(client.name, evaluator.load_key(data))

    def private_infer(self, client: Client, query: bytes) -> EncryptedAnswer:
        """Answer encrypted rows; neither they nor the scores are seen here.

        Raises:
            UnsupportedError: the model has no private plan.
            WireError: the query is malformed, damaged, or of another plan or key.
            UnknownKeyError: the key that it names is not here.
            BudgetError: the budget does not suffice, or the client is throttled.
            AccessError: the client is blocked.
        """
        with self._recorded(client, "private infer") as record:
            evaluator = self._private()
            header = evaluator.read_header(query)
            key = self._keys.get(client.name, header.key_digest)
            record.rows = header.n_rows
            admitted = self._admit(client, rows=header.n_rows)
            if self._watch:
                alert = self._watch.observe_private(client.name, rows=header.n_rows, enough=self._telling_rows)
                self._react(admitted, alert, rows=header.n_rows)
            answer = EncryptedAnswer(rows=header.n_rows, data=evaluator.answer(query, key=key))
            self._confirm(admitted, rows=header.n_rows)
            return answer

    def _check(self, X: Matrix) -> None:
        if not 1 <= len(X) <= MAX_REQUEST_ROWS:
            raise DataError(f"expected 1 to {MAX_REQUEST_ROWS} rows in one request, got {len(X)}")
        if X.shape != (len(X), len(self.schema.features)):
            raise DataError(f"expected rows of {len(self.schema.features)} features, got an array of shape {X.shape}")
        check_features(X, self.schema)

    def _admit(self, client: Client, *, rows: int) -> Client:
        """Charge a client as it stands now, and return it so."""
        admitted = self.access.current(client)
        self.reactions.pace(admitted, rows=rows)
        self.access.charge(admitted, rows=rows)
        return admitted

    def _react(self, admitted: Client, alert: Alert | None, *, rows: int) -> None:
        if alert:
            self._enter(admitted.name, "alert", rows=rows, outcome=alert.kind, started=time.perf_counter())
            self.reactions.react(alert)
            self._confirm(admitted, rows=rows)

    def _confirm(self, admitted: Client, *, rows: int) -> None:
        """Refuse a client that was restricted or revoked since it was admitted."""
        current = self.access.current(admitted)
        if current.restriction != admitted.restriction:
            self.reactions.pace(current, rows=rows)

    def _private(self) -> Evaluator:
        if self._evaluator is None:
            raise UnsupportedError(
                f"the model {self.bundle.name!r} cannot be asked privately: it has no private plan",
                hint="linear models can have one; ask in the clear, or seal the model with a plan",
            )
        return self._evaluator

    @contextmanager
    def _recorded(self, client: Client, action: str) -> Iterator[_Record]:
        """Write what came of a request into the audit log, whatever it was."""
        started, record, outcome = time.perf_counter(), _Record(), "fault"
        try:
            yield record
            outcome = "ok"
        except HoldfastError as error:
            outcome = type(error).__name__
            raise
        finally:
            self._enter(client.name, action, rows=record.rows, outcome=outcome, started=started)

    def _enter_refusals(self, count: int) -> None:
        self._append("", "authenticate", rows=count, outcome=AccessError.__name__, started=time.perf_counter())

    def _enter(self, client: str, action: str, *, rows: int, outcome: str, started: float) -> None:
        self._refusals.flush()
        self._append(client, action, rows=rows, outcome=outcome, started=started)

    def _append(self, client: str, action: str, *, rows: int, outcome: str, started: float) -> None:
        latency_us = round((time.perf_counter() - started) * 1e6)
        digest = self.bundle.model_digest
        self._audit.append(
            client=client, action=action, model=digest, rows=rows, outcome=outcome, latency_us=latency_us
        )


@dataclass
class _Record:
    """What a request turns out to be while it is carried out."""

    rows: int = 0


def _demand(policy: Policy, bundle: Bundle) -> Verdict:
    verdict = judge(policy, bundle.evidence(), model_digest=bundle.model_digest)
    unmet = [finding for finding in verdict.findings if finding.outcome != "met"]
    if unmet:
        reasons = "; ".join(finding.reason for finding in unmet)
        raise PolicyError(
            f"{bundle.name} {bundle.version} is not served, because {reasons}",
            hint="measure what is missing, harden the model, or change the policy",
        )
    return verdict
