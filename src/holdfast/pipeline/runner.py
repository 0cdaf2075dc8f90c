"""Carry a project out, step by step: what has not changed is not done again, and what failed is done next time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from holdfast import limits
from holdfast.errors import HoldfastError, InputError
from holdfast.evidence import digest_bytes
from holdfast.files import read_bytes
from holdfast.pipeline.project import Project
from holdfast.pipeline.ready import check_ready
from holdfast.pipeline.reporter import Reporter
from holdfast.pipeline.state import State, digest_json
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.trainers import open_ledger
from holdfast.policy import Verdict, judge

Work = Callable[[Project, Path, Advance], tuple[str, ...]]


def _no_files(_: Project) -> tuple[Path, ...]:
    return ()


def _key_files(project: Project) -> tuple[Path, ...]:
    return project.key_files


@dataclass(frozen=True)
class Step:
    """One step of the main job.

    Args:
        name: of the step and of its folder.
        doing: what it does, for people.
        sections: of holdfast.toml that it depends on.
        needs: earlier steps whose files it reads.
        files: further files that it depends on, relative to the project.
    """

    name: str
    doing: str
    sections: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    files: Callable[[Project], tuple[Path, ...]] = _no_files

    def work(self) -> Work:
        """What does it: leaves files in the folder it is given, and returns its findings, a sentence each.

        It is the function of the step's name in the module of its name, and is loaded when the step has to be done.
        """
        module = import_module(f"holdfast.pipeline.steps.{self.name}")
        work: Work = getattr(module, self.name)
        return work

    def inputs(self, project: Project, state: State) -> str:
        """The digest of all that the step's result depends on."""
        config = project.config.model_dump(exclude={"data": {"key"}})  # the same table under another key is no change
        needed: Mapping[str, Any] = {
            "step": self.name,
            "version": version("holdfast"),
            "config": {section: config[section] for section in ("name", "data", *self.sections)},
            "table": project.table_digest,
            "steps": {name: state.outputs(name) for name in self.needs},
            "files": [
                _digest_file(path, what="a key", max_bytes=limits.MAX_CONFIG_BYTES) for path in self.files(project)
            ],
        }
        return digest_json(needed)


STEPS: Final = (
    Step("check", "looking for what is wrong with the data"),
    Step("train", "training the model", ("train",), ("check",)),
    Step("attack", "attacking the model", ("train", "attack"), ("train",)),
    Step(
        "harden",
        "retraining against the evasion found",
        ("train", "attack", "harden"),
        ("train", "attack"),
    ),
    Step(
        "seal",
        "sealing the model with its evidence",
        ("train", "attack", "harden", "seal"),
        ("check", "harden"),
        _key_files,
    ),
    Step(
        "rehearse",
        "serving, asking and attacking the service",
        ("attack", "serve", "policy"),
        ("seal",),
    ),
    Step(
        "report",
        "writing the report",
        ("policy",),
        ("check", "train", "attack", "harden", "seal", "rehearse"),
    ),
)
"""The main job, in order."""

NAMES: Final = tuple(step.name for step in STEPS)


@dataclass(frozen=True)
class Outcome:
    """What a run came to. The verdict is None where the run ended before there was a model to judge."""

    project: Project
    verdict: Verdict | None


def run(project: Project, *, reporter: Reporter, until: str = "report") -> Outcome:
    """Do the steps of a project up to and with `until`.

    Raises:
        ConfigError, BudgetError, …: something that a step will need is not there (see `check_ready`); nothing was done.
        HoldfastError: a step failed; its sentence begins with the step's name, and the next run goes on from it.
    """
    state = State(project.out)
    with state.alone():
        open_ledger(project)  # one that was lost or put back is told, also where every step is skipped
        check_ready(project, due=_due(project, state, until))
        for step in STEPS[: NAMES.index(until) + 1]:
            try:
                _do(step, project, state, reporter)
            except HoldfastError as error:
                error.args = (f"step {step.name}: {error}",)
                raise
    verdict = judge_model(project) if "harden" in NAMES[: NAMES.index(until) + 1] else None
    return Outcome(project, verdict)


def judge_model(project: Project) -> Verdict:
    """The judgement of the project's policy on the model that the harden step has left."""
    evidence = (*project.evidence("check"), *project.evidence("harden"))
    return judge(project.config.demands, evidence, model_digest=project.model("harden").digest)


def _due(project: Project, state: State, until: str) -> tuple[str, ...]:
    """The steps that have to be done: their inputs or files are not what they were, or a step that they need is due."""
    due: list[str] = []
    for step in STEPS[: NAMES.index(until) + 1]:
        try:
            done = not set(step.needs) & set(due) and state.finished(step.name, inputs=step.inputs(project, state))
        except InputError:  # a file that it needs is gone
            done = None
        if not done:
            due.append(step.name)
    return tuple(due)


def _do(step: Step, project: Project, state: State, reporter: Reporter) -> None:
    inputs = step.inputs(project, state)
    if record := state.finished(step.name, inputs=inputs):
        reporter.skip(step.name, lines=record.lines)
        return
    reporter.begin(step.name, doing=step.doing)

    def advance(done: int, total: int) -> None:
        reporter.advance(step.name, done=done, total=total)

    def work(folder: Path) -> tuple[str, ...]:
        return step.work()(project, folder, advance)

    record = state.do(step.name, inputs=inputs, work=work, clock=time.monotonic)
    reporter.finish(step.name, lines=record.lines, seconds=record.seconds)


def _digest_file(path: Path, *, what: str, max_bytes: int) -> str:
    return digest_bytes(read_bytes(path, max_bytes=max_bytes, what=what))
