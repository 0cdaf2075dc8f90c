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
from holdfast.evidence import Evidence, canonical_json
from holdfast.models import LinearModel, OnnxModel
from holdfast.pipeline.keyring import passphrase
from holdfast.pipeline.project import Project
from holdfast.pipeline.steps.advance import Advance
from holdfast.private_inference import compile_linear
from holdfast.serving import calibrate, plan_files, watch_files
from holdfast.serving.profile import MIN_ROWS

_ABOUT_SINGLE_RECORDS: Final = ("findings", "riskiest_members")


def key_files(project: Project) -> tuple[Path, ...]:
    """The key files that sealing depends on."""
    seal = project.config.seal
    return project.root / seal.signing_key, project.root / seal.recipient


def seal(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `bundle/` and `NAME.holdfast`."""
    signing_path, recipient_path = key_files(project)
    signing_key = SigningKey.load(signing_path, passphrase=passphrase())
    recipient = Recipient.load(recipient_path)
    model = project.model("harden")
    evidence = (*project.evidence("check"), *project.evidence("harden"))
    files = {"model.onnx": model.onnx, **_evidence_files(evidence), **_serving_files(project, model)}
    bundle = write_bundle(folder / "bundle", card=_card(project, model, evidence), files=files, signing_key=signing_key)
    path = sealed_path(project, folder)
    seal_bundle(bundle, path, recipient=recipient)
    return (
        f"{path.name}: {path.stat().st_size / 1024:.0f} KB, {len(bundle.all_files())} files",
        f"signed by {signing_key.id}, sealed to {recipient.id}",
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


def _serving_files(project: Project, model: LinearModel | OnnxModel) -> dict[str, bytes]:
    """What the service uses beside the model: the watch's profile, and for a linear model the private plan."""
    files: dict[str, bytes] = {}
    normal, _ = project.watch_parts
    if len(normal) >= MIN_ROWS:
        files |= watch_files(calibrate(normal, rng=np.random.default_rng(project.config.attack.seed)))
    if isinstance(model, LinearModel):
        files |= plan_files(compile_linear(model.coef, model.intercept, classes=model.schema.classes))
    return files


def _card(project: Project, model: LinearModel | OnnxModel, evidence: tuple[Evidence, ...]) -> ModelCard:
    config = project.config
    return ModelCard(
        name=config.name,
        version=config.seal.version,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model_kind="logistic regression" if isinstance(model, LinearModel) else config.train.method,
        intended_use=config.seal.intended_use,
        not_for=config.seal.not_for,
        licence="",
        data_digest=project.train_data.digest,
        schema=project.config.schema.to_json(),
        training={"train": config.train.model_dump(), "harden": config.harden.model_dump()},
        privacy=_privacy(project),
        evidence=tuple(item.title for item in evidence),
    )


def _privacy(project: Project) -> dict[str, Any]:
    """The privacy statement that the harden step has left; empty where the training was not private."""
    path = project.out / "harden" / "statement.json"
    return dict(json.loads(path.read_bytes())) if path.exists() else {}
