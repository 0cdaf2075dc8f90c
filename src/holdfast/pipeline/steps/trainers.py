"""How the project's model is trained: the same way for the model itself, its shadows, and its retraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from holdfast.data import Dataset
from holdfast.models import LinearModel, OnnxModel
from holdfast.pipeline.project import Project
from holdfast.training import (
    Entry,
    Ledger,
    PrivateTraining,
    estimator_from_name,
    private_events,
    train_plain,
    train_private,
)

NO_NOISE_NOTE: Final = "exact figures on these rows; they are in the evidence"


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
    """The project's ledger with the limit that holds today; an empty one where there is none yet.

    Raises:
        BudgetError: what was spent already is over the limit.
        IntegrityError: the file was changed.
    """
    limit, delta = project.config.privacy.limit_epsilon, project.config.train.delta
    past = Ledger.load(project.ledger_path).entries if project.ledger_path.exists() else ()
    return Ledger(epsilon_limit=limit, delta=delta, entries=past)


def enter(project: Project, entry: Entry) -> Ledger:
    """Write a use of the records down, before it happens.

    Raises:
        BudgetError: the limit would be passed.
    """
    ledger = open_ledger(project).add(entry)
    ledger.save(project.ledger_path)
    return ledger


def enter_exact_use(project: Project, step: str) -> None:
    """Write down that a step looks at the training rows without noise, once for each version of these rows."""
    entry = Entry(step=step, data_digest=project.train_data.digest, released=True, note=NO_NOISE_NOTE)
    if entry not in open_ledger(project).entries:
        enter(project, entry)


def spend(project: Project, *, step: str, epsilon: float) -> None:
    """Enter a private training into the ledger, before it runs.

    Raises:
        BudgetError: the limit would be passed, and the training must not run.
    """
    events = private_events(project.config.schema, epsilon=epsilon, delta=project.config.train.delta)
    enter(project, Entry(step=step, data_digest=project.train_data.digest, released=True, events=events))


def describe_private(training: PrivateTraining, ledger: Ledger) -> str:
    """One line on what a private training cost."""
    return (
        f"private: epsilon at most {training.epsilon:.3g} at delta {training.delta:g}; "
        f"all uses together at most {ledger.epsilon:.3g} of {ledger.epsilon_limit:g}"
    )
