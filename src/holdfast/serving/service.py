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

from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.custody import Bundle
from holdfast.data import Matrix, Schema, check_features
from holdfast.errors import AccessError, DataError, UnsupportedError
from holdfast.limits import MAX_REQUEST_ROWS
from holdfast.models import LinearModel, OnnxModel
from holdfast.policy import Policy
from holdfast.private_inference import PrivatePlan
from holdfast.serving.access import Access
from holdfast.serving.admission import Admission
from holdfast.serving.answers import EncryptedAnswer, Prediction
from holdfast.serving.audit import AuditLog
from holdfast.serving.clients import Client
from holdfast.serving.contents import demand, read_model, read_watch_profile
from holdfast.serving.description import describe
from holdfast.serving.private_desk import PrivateDesk
from holdfast.serving.private_plan import read_plan
from holdfast.serving.reactions import Reaction, Reactions
from holdfast.serving.recorder import Recorder
from holdfast.serving.store import Store
from holdfast.serving.watch import Watch


class Service:
    """Serves one bundle. Threads may share it; processes may each have one on the same store, audit log and keys.

    Args:
        bundle: verified, as `verify_bundle` and `open_sealed` return it.
        policy: what the bundle's evidence has to show.
        store: clients, budgets and alerts.
        audit: the log that every request goes to.
        reaction: what a client whom the watch flags is met with; see `Reaction`.
        keys: the folder of clients' keys for private inference, kept over a restart; without it, a temporary one.

    Raises:
        PolicyError: the evidence does not meet the policy.
        IntegrityError: evidence, watch profile or private plan are not of this model.
        WireError: a part of the bundle is malformed.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        policy: Policy,
        store: Store,
        audit: AuditLog,
        reaction: Reaction = "block",
        keys: Path | None = None,
    ) -> None:
        self.bundle = bundle
        self.verdict = demand(policy, bundle)
        self.model = read_model(bundle)
        self.access = Access(store)
        self.reactions = Reactions(store, reaction=reaction)
        self._recorder = Recorder(audit, model=bundle.model_digest)
        self._admission = Admission(self.access, self.reactions, self._recorder)
        profile, plan = read_watch_profile(bundle), read_plan(bundle, self.model)
        self._watch = Watch(profile, schema=self.schema) if profile else None
        self._desk = PrivateDesk(plan, keys=keys) if plan else None

    @property
    def schema(self) -> Schema:
        """The schema of the rows that the model takes in the clear.

        Raises:
            UnsupportedError: it takes none: it is a private plan alone.
        """
        return self._clear().schema

    @property
    def plan(self) -> PrivatePlan | None:
        """The private plan, in both halves; without one, rows cannot come encrypted."""
        return self._desk.evaluator.plan if self._desk else None

    @property
    def max_query_bytes(self) -> int:
        """Bytes of the largest private query; none where the model cannot be asked privately."""
        return self._desk.max_query_bytes if self._desk else 0

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
            self._recorder.stranger()
            raise

    def refused(self, client: Client, action: str, *, outcome: str) -> None:
        """Write into the audit log that a client's request was refused before it came here.

        Args:
            client: who asked, from `authenticate`.
            action: what it wanted.
            outcome: the name of an error, or a status.
        """
        self._recorder.enter(client.name, action, rows=0, outcome=outcome)

    def close(self) -> None:
        """Write into the audit log what was still to be written; to be called before the log is closed."""
        self._recorder.close()
        if self._desk:
            self._desk.close()

    def describe(self, client: Client) -> dict[str, Any]:
        """What a client may know of the model; see `description`."""
        with self._recorder.recorded(client.name, "describe"):
            return describe(self.bundle, self.model, self.plan)

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
            UnsupportedError: the model is a private plan alone.
        """
        with self._recorder.recorded(client.name, "infer") as record:
            model, X = self._clear(), rows()
            record.rows = len(X)
            self._check(X)
            admitted = self._admission.admit(client, rows=len(X))
            self._admission.react(admitted, self._watch.observe(client.name, X) if self._watch else None, rows=len(X))
            P = model.predict_proba(X)
            self._admission.confirm(admitted, rows=len(X))
        return Prediction(probabilities=P, labels=tuple(model.schema.classes[c] for c in P.argmax(axis=1)))

    def private_plan(self, client: Client) -> dict[str, Any]:
        """The public half of the private plan, as JSON.

        Raises:
            UnsupportedError: the model has no private plan.
        """
        with self._recorder.recorded(client.name, "private plan"):
            return self._private().evaluator.plan.public.to_json()

    def begin_keys(self, client: Client, manifest: bytes, *, digest: str) -> tuple[int, ...]:
        """Take the manifest of a client's keys, of which a request says the digest; returns the parts still to come.

        Raises:
            UnsupportedError: the model has no private plan.
            WireError: not a manifest of keys for this plan, or not of this digest.
        """
        with self._recorder.recorded(client.name, "begin keys"):
            return self._private().keys.begin(client.name, digest, manifest)

    def missing_keys(self, client: Client, *, digest: str) -> tuple[int, ...]:
        """The parts of a client's keys that are still to come; UnknownKeyError where their manifest is not here."""
        with self._recorder.recorded(client.name, "missing keys"):
            return self._private().keys.missing(client.name, digest)

    def upload_key(self, client: Client, part: bytes, *, digest: str, index: int) -> None:
        """Take one part of a client's keys.

        Raises:
            UnknownKeyError: the manifest is not here.
            WireError: not the part that the manifest names.
        """
        with self._recorder.recorded(client.name, "upload key"):
            self._private().keys.put(client.name, digest, index=index, part=part)

    def private_infer(self, client: Client, query: bytes) -> EncryptedAnswer:
        """Answer encrypted rows; neither they nor the scores are seen here.

        Raises:
            UnsupportedError: the model has no private plan.
            WireError: the query is malformed, damaged, or of another plan or key.
            UnknownKeyError: the keys that it names are not here, or not all of them.
            BudgetError: the budget does not suffice, or the client is throttled.
            AccessError: the client is blocked.
        """
        with self._recorder.recorded(client.name, "private infer") as record:
            desk = self._private()
            header = desk.evaluator.read_header(query)
            keys = desk.keys.get(client.name, header.key_digest)
            rows = record.rows = header.n_rows
            admitted = self._admission.admit(client, rows=rows)
            self._admission.react(admitted, desk.tally.observe(client.name, rows=rows), rows=rows)
            answer = EncryptedAnswer(rows=rows, data=desk.evaluator.answer(query, keys=keys))
            self._admission.confirm(admitted, rows=rows)
            return answer

    def _check(self, X: Matrix) -> None:
        if not 1 <= len(X) <= MAX_REQUEST_ROWS:
            raise DataError(f"expected 1 to {MAX_REQUEST_ROWS} rows in one request, got {len(X)}")
        if X.shape != (len(X), len(self.schema.features)):
            raise DataError(f"expected rows of {len(self.schema.features)} features, got an array of shape {X.shape}")
        check_features(X, self.schema)

    def _clear(self) -> LinearModel | OnnxModel:
        if self.model is None:
            raise UnsupportedError(
                f"the model {self.bundle.name!r} is asked under encryption alone: nobody has it here in the clear",
                hint="ask with private=True, or holdfast ask --private",
            )
        return self.model

    def _private(self) -> PrivateDesk:
        if self._desk is None:
            raise UnsupportedError(
                f"the model {self.bundle.name!r} cannot be asked privately: it has no private plan",
                hint="ask in the clear, or have the model sealed with a plan; holdfast plan says if it can have one",
            )
        return self._desk
