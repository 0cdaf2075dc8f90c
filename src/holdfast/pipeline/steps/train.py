"""Train the model: with a privacy guarantee that is entered into the ledger first, or without one."""

from __future__ import annotations

from pathlib import Path

from holdfast.evidence import Evidence, canonical_json
from holdfast.files import write_atomic
from holdfast.models import LinearModel, OnnxModel
from holdfast.pipeline.project import Project, write_evidence
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.plain_models import PlainTrainer
from holdfast.pipeline.steps.trainers import (
    describe_private,
    enter_exact_use,
    named,
    open_ledger,
    private_trainer,
    spend,
)
from holdfast.training import measure_utility


def train(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `model.onnx`, `evidence.json` and, for a private model, `statement.json` and `statement.txt`."""
    is_private = project.config.train.is_private
    model, line = _private(project) if is_private else _plain(project)
    data = project.config.data
    held_out = f"the rows held out with seed {data.seed} at {data.test_fraction:g}"
    enter_exact_use(project, "tests", note=f"exact figures on {held_out}, and the watch's profile of them")
    statement = write_statement(project, folder, model, step="train") if is_private else []
    utility = measure_utility(model, project.test_data)
    write_atomic(folder / "model.onnx", model.onnx)
    write_evidence(folder / "evidence.json", [utility, *statement])
    return line, utility.title


def _plain(project: Project) -> tuple[LinearModel | OnnxModel, str]:
    section = project.config.train
    enter_exact_use(project, "train", note=f"training by {section.method}")
    model = PlainTrainer(section)(project.train_data, seed=section.seed)
    return model, f"{section.method}, without a privacy guarantee"


def _private(project: Project) -> tuple[LinearModel | OnnxModel, str]:
    trainer = private_trainer(project)
    use = spend(project, trainer, step="train")
    model = trainer(project.train_data, seed=project.config.train.seed)
    return model, describe_private(use, open_ledger(project))


def write_statement(project: Project, folder: Path, model: LinearModel | OnnxModel, *, step: str) -> list[Evidence]:
    """Write the privacy statement of a step's model, and give it as evidence."""
    statement = open_ledger(project).statement_for(named(project, step))
    write_atomic(folder / "statement.json", canonical_json(statement.to_json()))
    write_atomic(folder / "statement.txt", statement.to_text().encode())
    return [statement.to_evidence(model.digest)]
