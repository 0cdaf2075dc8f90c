"""Hardening against evasion: retrain against the attack, attack again, and set both beside each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from holdfast.arguments import check_kind
from holdfast.attacks import EvasionResult, FeasibleChange, check_subject, evasion
from holdfast.data import Dataset, Matrix
from holdfast.errors import UsageError
from holdfast.hardening.result import HardeningResult, Right, compare
from holdfast.hardening.robust_logistic import evasion_radius
from holdfast.models import Model, Trainer, predict

_SEEDS: Final = 2**31
_MAX_ROUNDS: Final = 100
_MAX_ATTACKED: Final = 1_000
"""Training rows that are attacked in each round; on more, a search takes longer than what it finds is worth."""

Progress = Callable[[int, int], None]


class RobustTrainer(Protocol):
    """How a model is trained against an attacker who may move encoded columns."""

    def __call__(self, data: Dataset, *, evasion_radius: Matrix, seed: int) -> Model:
        """Train on a data set; `evasion_radius` is (width,) of encoded units, 0 or more."""
        ...


def harden(
    model: Model,
    data_train: Dataset,
    data_test: Dataset,
    *,
    trainer: RobustTrainer,
    threat: FeasibleChange,
    rng: np.random.Generator,
    max_queries: int = 500,
    source_class: str | None = None,
) -> HardeningResult[Model]:
    """Retrain once with a trainer that knows the attacker's radii, and attack both models on the test rows.

    Trains exactly once, so that a private trainer spends its budget once. The training rows are used by `trainer` only.

    Args:
        model: the model as it is.
        data_train: rows to train on.
        data_test: rows that neither model was trained on.
        trainer: such as `robust_logistic`, or a private trainer.
        threat: what an attacker may change.
        max_queries: of each search, per row.
        source_class: attack only the rows of this class.
        rng: for the trainer's seed and the searches.

    Raises:
        UsageError: an argument of another kind.
        DataError: the data does not fit the model.
        UnsupportedError: as in `evasion`.
    """
    _check_kinds(threat, rng)
    check_subject(model, data_train)
    radius = evasion_radius(threat, data_train.schema)
    attack = _Attack(threat, max_queries, source_class, rng)
    before = attack(model, data_test)
    hardened = trainer(data_train, evasion_radius=radius, seed=int(rng.integers(_SEEDS)))
    return compare(
        hardened,
        method="worst-case training",
        before=before,
        after=attack(hardened, data_test),
        right=(right_on(model, data_test), right_on(hardened, data_test)),
        details={"evasion_radius": radius.tolist()},
    )


def harden_with_examples(
    model: Model,
    data_train: Dataset,
    data_test: Dataset,
    *,
    trainer: Trainer,
    threat: FeasibleChange,
    rng: np.random.Generator,
    rounds: int = 3,
    max_queries: int = 500,
    source_class: str | None = None,
    progress: Progress | None = None,
) -> HardeningResult[Model]:
    """Retrain on the training rows and the changed rows that fooled the model, for a few rounds; for any estimator.

    In each round the changed rows found on the training rows (at most 1,000 of them, drawn once) against the latest
    model join those found before, with the labels of the rows they come from. The round with the best robust accuracy
    on the attacked training rows is kept; the original model is round 0 and wins where no round beats it. The test
    rows are attacked twice, before and after, and decide nothing.

    Args:
        model: the model as it is.
        data_train: rows to train on.
        data_test: rows that no model was trained on.
        trainer: how to train; called once per round.
        threat: what an attacker may change.
        max_queries: of each search, per row.
        source_class: attack only the rows of this class.
        rng: for the seeds and the searches.
        rounds: 1 to 100.
        progress: called with (rounds done, rounds) after each.

    Raises:
        UsageError: an argument of another kind, or a number of rounds that means nothing.
        DataError: the data does not fit the model.
        UnsupportedError: as in `evasion`.
    """
    _check_kinds(threat, rng)
    if not 1 <= rounds <= _MAX_ROUNDS:
        raise UsageError(f"expected 1 to {_MAX_ROUNDS} rounds of hardening, got {rounds}")
    attack = _Attack(threat, max_queries, source_class, rng)
    attacked = data_train.take(np.sort(rng.permutation(len(data_train))[:_MAX_ATTACKED]))
    found, pool = attack(model, attacked), data_train
    best, best_robust = model, found.robust_accuracy.value
    history = [best_robust]
    for done in range(rounds):
        pool = _with_examples(pool, attacked, found)
        candidate = trainer(pool, seed=int(rng.integers(_SEEDS)))
        found = attack(candidate, attacked)
        history.append(found.robust_accuracy.value)
        if history[-1] > best_robust:
            best, best_robust = candidate, history[-1]
        if progress is not None:
            progress(done + 1, rounds)
    before = attack(model, data_test)
    after = attack(best, data_test) if best is not model else before
    details = {"rounds": rounds, "robust_accuracy_on_training_rows": history, "chosen_round": int(np.argmax(history))}
    return compare(
        best,
        method="retraining on adversarial rows",
        before=before,
        after=after,
        right=(right_on(model, data_test), right_on(best, data_test)),
        details=details,
    )


def right_on(model: Model, data: Dataset) -> Right:
    """(rows,) whether a model is right on each row."""
    right: Right = predict(model, data.X) == data.y
    return right


def _check_kinds(threat: FeasibleChange, rng: np.random.Generator) -> None:
    """Before a training that may be long."""
    check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")


@dataclass(frozen=True)
class _Attack:
    """The same attack for every model and every set of rows."""

    threat: FeasibleChange
    max_queries: int
    source_class: str | None
    rng: np.random.Generator

    def __call__(self, model: Model, data: Dataset) -> EvasionResult:
        return evasion(
            model,
            data,
            threat=self.threat,
            rng=self.rng,
            max_queries=self.max_queries,
            source_class=self.source_class,
        )


def _with_examples(pool: Dataset, data_train: Dataset, found: EvasionResult) -> Dataset:
    """The pool and the changed rows that fooled a model, labelled as the rows they come from."""
    labels = data_train.y[found.rows[found.evaded]]
    X = np.vstack([pool.X, found.adversarial[found.evaded]])
    return Dataset(pool.schema, X, np.concatenate([pool.y, labels]))
