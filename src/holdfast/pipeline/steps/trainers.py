"""How the project's model is trained, and how that is entered into the privacy ledger."""

from __future__ import annotations

import json
from pathlib import Path

from holdfast import limits
from holdfast.errors import IntegrityError
from holdfast.files import read_bytes
from holdfast.pipeline.project import Project
from holdfast.pipeline.steps.plain_models import PlainTrainer
from holdfast.pipeline.steps.private_models import PrivateTrainer
from holdfast.training import Entry, Ledger, LedgerFile, at_most, epsilon_of
from holdfast.training.account.methods import METHODS


def open_ledger(project: Project) -> Ledger:
    """The ledger of the project's table, held against the limit that the project has today.

    Raises:
        BudgetError: what was spent already is over the limit.
        IntegrityError: the file was changed, or lacks what a statement among the results counts.
    """
    path = project.ledger_path
    stated = {statement: _ledger_digest(statement) for statement in sorted(project.out.glob("*/statement.json"))}
    ledger = _ledger_file(project).read()  # after the statements, which another run may be adding
    for statement, digest in stated.items():
        if digest not in ledger.links:
            raise IntegrityError(
                f"{statement} counts uses of the records that the privacy ledger "
                + (f"{path} does not have" if path.exists() else f"should have, and there is none at {path}"),
                hint=f"put the ledger back as it was; if the statement is on another table, remove {project.out}",
            )
    return ledger


def enter(project: Project, entry: Entry) -> None:
    """Write a use of the records down, before it happens; one without noise once, however often it is done.

    Raises:
        BudgetError: the limit would be passed.
        IntegrityError: see `open_ledger`.
    """
    open_ledger(project)
    _ledger_file(project).spend(entry)


def enter_exact_use(project: Project, step: str, *, note: str) -> None:
    """Write down that a step uses rows of the table without noise, and how.

    The entry is on the whole table: another seed moves rows between training and test, and releases are not undone.
    """
    enter(project, Entry(step=named(project, step), data_digest=project.data.digest, released=True, note=note))


def private_trainer(project: Project) -> PrivateTrainer:
    """The private training that `[train]` describes."""
    train = project.config.train
    return PrivateTrainer(model=train.model, epsilon=train.epsilon, delta=train.delta)


def trainer_of(project: Project) -> PrivateTrainer | PlainTrainer:
    """The training that `[train]` describes, for the model and for its shadows."""
    train = project.config.train
    return private_trainer(project) if train.is_private else PlainTrainer(train)


def spend(project: Project, trainer: PrivateTrainer, *, step: str) -> Entry:
    """Enter a private training into the ledger, before it runs.

    Raises:
        BudgetError: the limit would be passed, and the training must not run.
        ConfigError, DataError, UsageError, UnsupportedError: the training would refuse; nothing is spent.
    """
    use = trainer.use_of(project.train_data, step=named(project, step))
    enter(project, use)
    return use


def named(project: Project, step: str) -> str:
    """What a step is called in the ledger, which may be that of other projects too."""
    return f"{project.config.name}: {step}"


def describe_private(use: Entry, ledger: Ledger) -> str:
    """One line on what a private training was and cost."""
    epsilon = epsilon_of(use.events, delta=ledger.delta)
    return (
        f"private {METHODS[use.method].title}: epsilon at most {at_most(epsilon, digits=3)} "
        f"at delta {at_most(ledger.delta)}; "
        f"all uses together at most {at_most(ledger.epsilon, digits=3)} of {ledger.epsilon_limit:g}"
    )


def _ledger_file(project: Project) -> LedgerFile:
    return LedgerFile(
        project.ledger_path, epsilon_limit=project.config.privacy.limit_epsilon, delta=project.config.train.delta
    )


def _ledger_digest(statement: Path) -> str:
    """The head of the ledger that a statement was made from; empty where the file is no statement."""
    try:
        document = json.loads(read_bytes(statement, max_bytes=limits.MAX_JSON_BYTES, what="a privacy statement"))
        return str(document["ledger_digest"])
    except (ValueError, KeyError, TypeError):
        return ""
