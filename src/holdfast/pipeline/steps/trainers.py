"""How the project's model is trained: the same way for the model itself, its shadows, and its retraining."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast import limits
from holdfast.data import Dataset
from holdfast.errors import ConfigError, IntegrityError
from holdfast.files import read_bytes, system_fault
from holdfast.models import LinearModel, OnnxModel
from holdfast.pipeline.project import Project
from holdfast.training import (
    Entry,
    Ledger,
    PrivateTraining,
    at_most,
    check_records,
    estimator_from_name,
    private_events,
    train_plain,
    train_private,
)


@dataclass(frozen=True)
class PrivateShadowTrainer:
    """Trains as the private model was trained, for shadow models that are never released."""

    epsilon: float
    delta: float

    def __call__(self, data: Dataset, *, seed: int) -> LinearModel:
        """Train with fresh noise; a seed decides nothing here."""
        del seed
        return train_private(data, epsilon=self.epsilon, delta=self.delta).model


@dataclass(frozen=True)
class PlainTrainer:
    """Trains the scikit-learn classifier of `[train]`."""

    project: Project

    def __call__(self, data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
        """Train with this seed."""
        train = self.project.config.train
        return train_plain(data, estimator=estimator_from_name(train.method, train.params), seed=seed)


def open_ledger(project: Project) -> Ledger:
    """The ledger of the project's table, held against the limit that the project has today.

    Raises:
        BudgetError: what was spent already is over the limit.
        IntegrityError: the file was changed, or lacks what a statement among the results counts.
    """
    limit, delta = project.config.privacy.limit_epsilon, project.config.train.delta
    path = project.ledger_path
    there = path.exists()
    ledger = Ledger.load(path, epsilon_limit=limit, delta=delta) if there else Ledger(epsilon_limit=limit, delta=delta)
    for statement in sorted(project.out.glob("*/statement.json")):
        if _ledger_digest(statement) not in ledger.links:
            raise IntegrityError(
                f"{statement} counts uses of the records that the privacy ledger "
                + (f"{path} does not have" if there else f"should have, and there is none at {path}"),
                hint=f"put the ledger back as it was; if the statement is on another table, remove {project.out}",
            )
    return ledger


def enter(project: Project, entry: Entry) -> None:
    """Write a use of the records down, before it happens; one without noise once, however often it is done.

    Raises:
        BudgetError: the limit would be passed.
        IntegrityError: see `open_ledger`.
    """
    with _alone(project.ledger_path):
        ledger = open_ledger(project)
        if entry.private or entry not in ledger.entries:
            ledger.add(entry).save(project.ledger_path)


def enter_exact_use(project: Project, step: str, *, note: str) -> None:
    """Write down that a step uses rows of the table without noise, and how.

    The entry is on the whole table: another seed moves rows between training and test, and releases are not undone.
    """
    enter(project, Entry(step=named(project, step), data_digest=project.data.digest, released=True, note=note))


def spend(project: Project, *, step: str, epsilon: float) -> None:
    """Enter a private training into the ledger, before it runs.

    Raises:
        BudgetError: the limit would be passed, and the training must not run.
        ConfigError, DataError, UsageError: the training would refuse; nothing is spent.
    """
    if params := project.config.train.params:
        raise ConfigError(
            f"[train] params ({', '.join(params)}) are for scikit-learn classifiers, private training has none",
            hint='take them out, or name a classifier as the method in place of "private"',
        )
    data, delta = project.train_data, project.config.train.delta
    events = private_events(data.schema, epsilon=epsilon, delta=delta)
    check_records(data, delta=delta)
    enter(project, Entry(step=named(project, step), data_digest=data.digest, released=True, events=events))


def named(project: Project, step: str) -> str:
    """What a step is called in the ledger, which may be that of other projects too."""
    return f"{project.config.name}: {step}"


def describe_private(training: PrivateTraining, ledger: Ledger) -> str:
    """One line on what a private training cost."""
    return (
        f"private: epsilon at most {at_most(training.epsilon, digits=3)} at delta {at_most(training.delta)}; "
        f"all uses together at most {at_most(ledger.epsilon, digits=3)} of {ledger.epsilon_limit:g}"
    )


def _ledger_digest(statement: Path) -> str:
    """The head of the ledger that a statement was made from; empty where the file is no statement."""
    try:
        document = json.loads(read_bytes(statement, max_bytes=limits.MAX_JSON_BYTES, what="a privacy statement"))
        return str(document["ledger_digest"])
    except (ValueError, KeyError, TypeError):
        return ""


@contextmanager
def _alone(ledger: Path) -> Iterator[None]:
    """Keep other runs away from a ledger for the length of a `with` block; they wait."""
    try:
        lock = ledger.with_suffix(".lock").open("w")
    except OSError as error:
        raise system_fault(error, f"write beside {ledger}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
