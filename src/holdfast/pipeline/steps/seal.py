"""Seal the model with its card and evidence: signed in a folder, and encrypted to the recipient in one file."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from holdfast.custody import ModelCard, Recipient, SigningKey, write_bundle
from holdfast.custody import seal as seal_bundle
from holdfast.errors import DataError, IntegrityError, UnsupportedError, UsageError
from holdfast.evidence import Evidence, canonical_json, find
from holdfast.models import LinearModel, OnnxModel
from holdfast.pipeline.keyring import passphrase
from holdfast.pipeline.project import Project
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.robust_trees import METHOD as ROBUST_TREES
from holdfast.pipeline.steps.trainers import open_ledger
from holdfast.private_inference import compile_private
from holdfast.serving import calibrate, plan_files, watch_files
from holdfast.serving.profile import MIN_ROWS

_ABOUT_SINGLE_RECORDS: Final = ("findings", "riskiest_members")


def seal(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `bundle/` and `NAME.holdfast`."""
    signing_path, recipient_path = project.key_files
    signing_key = SigningKey.load(signing_path, passphrase=passphrase())
    recipient = Recipient.load(recipient_path)
    model = project.model("harden")
    evidence = (*project.evidence("check"), *project.evidence("harden"))
    _check_against_ledger(project, evidence)
    private, line = _private_files(project, model)
    files = {"model.onnx": model.onnx, **_evidence_files(evidence), **_watch_files(project), **private}
    bundle = write_bundle(folder / "bundle", card=_card(project, model, evidence), files=files, signing_key=signing_key)
    path = sealed_path(project, folder)
    seal_bundle(bundle, path, recipient=recipient)
    return (
        f"{path.name}: {path.stat().st_size / 1024:.0f} KB, {len(bundle.all_files())} files",
        f"signed by {signing_key.id}, sealed to {recipient.id}",
        line,
    )


def _check_against_ledger(project: Project, evidence: tuple[Evidence, ...]) -> None:
    """What is signed must not claim a smaller privacy loss than the ledger added up when the statement was made.

    Raises:
        IntegrityError: it does, so one of the two files was changed by hand.
    """
    guarantee = find(evidence, "privacy-guarantee")
    if guarantee is None:
        return
    ledger = open_ledger(project)
    stated = guarantee.context["ledger_digest"]
    counted = ledger.links.index(stated) if stated in ledger.links else len(ledger.entries)
    claimed, spent = guarantee.figures["epsilon"].value, replace(ledger, entries=ledger.entries[:counted]).epsilon
    if claimed < spent:
        raise IntegrityError(
            f"the evidence to be signed claims epsilon {claimed:.4g}, the privacy ledger adds up to {spent:.4g}",
            hint="remove out/state.json, so that the steps are done again",
        )


def sealed_path(project: Project, folder: Path) -> Path:
    """The sealed bundle in the step's folder."""
    return folder / f"{project.config.name}-{project.config.seal.version}.holdfast"


def released(evidence: Evidence) -> Evidence:
    """The evidence as it leaves the house: without what it says of single records."""
    context = {name: value for name, value in evidence.context.items() if name not in _ABOUT_SINGLE_RECORDS}
    return replace(evidence, samples={}, context=context)


def _evidence_files(evidence: tuple[Evidence, ...]) -> dict[str, bytes]:
    """The evidence, one file each, numbered in the order in which it was found."""
    return {
        f"evidence/{number:02d}-{item.kind}.json": canonical_json(released(item).to_json())
        for number, item in enumerate(evidence, start=1)
    }


def _watch_files(project: Project) -> dict[str, bytes]:
    """The watch's profile, where there are rows enough to tell what is normal."""
    normal, _ = project.watch_parts
    if len(normal) < MIN_ROWS:
        return {}
    return watch_files(calibrate(normal, rng=np.random.default_rng(project.config.attack.seed)))


def _private_files(project: Project, model: LinearModel | OnnxModel) -> tuple[dict[str, bytes], str]:
    """The private plan of a model that can have one, compared with it on the test rows, and a line on it."""
    try:
        plan = compile_private(model, X=project.test_data.X)
    except (UnsupportedError, UsageError, DataError) as error:  # a plan is not worth a model that is not sealed
        return {}, f"cannot be asked under encryption: {error}"
    return plan_files(plan), f"can be asked under encryption: {plan.public.kind}, {len(plan.public.classes)} classes"


def _card(project: Project, model: LinearModel | OnnxModel, evidence: tuple[Evidence, ...]) -> ModelCard:
    config = project.config
    return ModelCard(
        name=config.name,
        version=config.seal.version,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model_kind=_model_kind(project, model, evidence),
        intended_use=config.seal.intended_use,
        not_for=config.seal.not_for,
        licence="",
        data_digest=project.table_id,
        schema=project.config.schema.to_json(),
        training=_training(project),
        privacy=_privacy(project),
        evidence=tuple(item.title for item in evidence),
    )


def _model_kind(project: Project, model: LinearModel | OnnxModel, evidence: tuple[Evidence, ...]) -> str:
    """What the model is, for people."""
    if isinstance(model, LinearModel):
        return "logistic regression"
    hardening, train = find(evidence, "hardening"), project.config.train
    if (
        hardening is not None
        and model.digest != project.model("train").digest
        and hardening.context["method"] == ROBUST_TREES
    ):
        return ROBUST_TREES
    return f"private {train.model}" if train.is_private else train.method


def _training(project: Project) -> dict[str, Any]:
    """The settings that made the model, without those of a guarantee that it does not have."""
    train, harden = project.config.train.model_dump(), project.config.harden.model_dump()
    if not project.config.train.is_private:
        train = {name: value for name, value in train.items() if name not in ("model", "epsilon", "delta")}
        harden.pop("epsilon")
    return {"train": train, "harden": harden}


def _privacy(project: Project) -> dict[str, Any]:
    """The privacy statement that the harden step has left; empty where the training was not private."""
    path = project.out / "harden" / "statement.json"
    return dict(json.loads(path.read_bytes())) if path.exists() else {}
