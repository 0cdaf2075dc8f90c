"""Write the report: what was measured, what the policy says, what it cost, and what to do next."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from holdfast.evidence import Evidence, canonical_json
from holdfast.files import write_atomic
from holdfast.pipeline.project import Project
from holdfast.pipeline.state import State
from holdfast.pipeline.steps.advance import Advance
from holdfast.policy import judge
from holdfast.report import DatasetFacts, ReportInput, StepTime, render_report, report_json

_BEFORE_REPORT: Final = ("check", "train", "attack", "harden", "seal", "rehearse")
_WITH_EVIDENCE: Final = ("check", "train", "attack", "harden", "rehearse")
_PACKAGES: Final = ("holdfast", "numpy", "scikit-learn", "onnx", "onnxruntime", "cryptography", "dp-accounting")


def report(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `report.html` and `report.json`."""
    del advance
    story = _story(project)
    write_atomic(folder / "report.html", render_report(story).encode())
    write_atomic(folder / "report.json", canonical_json(report_json(story)))
    return (f"open {project.out / 'report' / 'report.html'} in a browser",)


def _story(project: Project) -> ReportInput:
    config, data = project.config, project.data
    digest = project.model("harden").digest
    evidence = tuple(item for step in _WITH_EVIDENCE for item in project.evidence(step))
    statement = project.out / "harden" / "statement.txt"
    state = State(project.out)
    return ReportInput(
        project=config.name,
        model_name=config.name,
        model_version=config.seal.version,
        model_digest=digest,
        dataset=DatasetFacts(
            name=config.data.file,
            digest=project.table_id,
            rows=len(data),
            features=len(data.schema.features),
            classes=data.schema.classes,
        ),
        evidence=_once(evidence),
        verdict=judge(config.demands, evidence, model_digest=digest),
        privacy_statement=statement.read_text() if statement.exists() else "",
        steps=tuple(StepTime(name=step, seconds=state.seconds(step)) for step in _BEFORE_REPORT),
        versions={"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _once(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Each piece of evidence once, where a model that was not hardened has carried it on."""
    return tuple({item.digest: item for item in evidence}.values())
