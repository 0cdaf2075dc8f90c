"""A real bundle of a real model on the tumour data, and services around it; for the tests of serving and of http."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from holdfast.custody import Bundle, ModelCard, SigningKey, write_bundle
from holdfast.data import Dataset
from holdfast.evidence import Evidence, Figure, canonical_json
from holdfast.models import LinearModel, OnnxModel, accuracy, fit_estimator
from holdfast.policy import Policy
from holdfast.private_inference import PrivatePlan, compile_private
from holdfast.serving import (
    AuditLog,
    Reaction,
    Service,
    Store,
    WatchProfile,
    calibrate,
    plan_files,
    watch_files,
)

POLICY = Policy(limits={"min_accuracy": 0.9}, require=("utility",))


@dataclass(frozen=True)
class Kit:
    """What a bundle is made of. `seen` calibrated the watch, `fresh` had no part in anything."""

    model: LinearModel
    plan: PrivatePlan
    profile: WatchProfile
    seen: Dataset
    fresh: Dataset
    signing_key: SigningKey

    @classmethod
    def of(cls, tumour: Dataset) -> Kit:
        train, rest = tumour.split(test_fraction=0.5, seed=0)
        seen, fresh = rest.split(test_fraction=0.5, seed=1)
        model = fit_estimator(LogisticRegression(C=10.0, max_iter=1000), train)
        assert isinstance(model, LinearModel)
        return cls(
            model=model,
            plan=compile_private(model, X=seen.X),
            profile=calibrate(seen, rng=np.random.default_rng(2)),
            seen=seen,
            fresh=fresh,
            signing_key=SigningKey.generate(),
        )

    def evidence(self, model: LinearModel | OnnxModel) -> Evidence:
        return Evidence(
            kind="utility",
            subject=model.digest,
            subject_kind="model",
            title="accuracy on rows that nobody trained on",
            figures={"accuracy": Figure(value=accuracy(model, self.fresh))},
        )

    def files(self) -> dict[str, bytes]:
        """The files of a whole bundle."""
        evidence = canonical_json(self.evidence(self.model).to_json())
        files = {"model.onnx": self.model.onnx, "evidence/01-utility.json": evidence}
        return files | watch_files(self.profile) | plan_files(self.plan)

    def bundle(self, folder: Path, files: dict[str, bytes] | None = None) -> Bundle:
        """Write a bundle, whole or of other files."""
        card = ModelCard(
            name="tumour",
            version="1",
            created="2025-01-31T12:00:00Z",
            model_kind="logistic regression",
            intended_use="tests",
            not_for="patients",
            licence="",
            data_digest="",
            schema=self.model.schema.to_json(),
        )
        return write_bundle(folder, card=card, files=files or self.files(), signing_key=self.signing_key)


@dataclass
class Place:
    """A folder with a store and an audit log in it, and a service on top."""

    service: Service
    store: Store
    audit: AuditLog
    audit_key: SigningKey
    anchor: Path

    @classmethod
    def open(cls, folder: Path, bundle: Bundle, *, reaction: Reaction = "block") -> Place:
        store, key, anchor = Store(folder / "service.db"), SigningKey.generate(), folder / "audit.anchor"
        audit = AuditLog(store, key=key, anchor=anchor)
        service = Service(bundle, policy=POLICY, store=store, audit=audit, reaction=reaction)
        return cls(service, store, audit, key, anchor)

    def client(self, name: str = "ward 7", *, query_budget: int = 10_000) -> str:
        """Admit a client; returns its token."""
        return self.service.access.add_client(name, query_budget=query_budget)

    def close(self) -> None:
        self.service.close()
        self.audit.close()
        self.store.close()
