"""Retrain against the evasion found, measure what it bought and cost, and attack the result again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import numpy as np

from holdfast.attacks import FeasibleChange
from holdfast.data import Dataset, Matrix
from holdfast.evidence import Evidence
from holdfast.files import write_atomic
from holdfast.hardening import (
    HardeningResult,
    RobustTrainer,
    evasion_radius,
    harden_with_examples,
    robust_logistic,
)
from holdfast.hardening import harden as harden_model
from holdfast.models import LinearModel, Model, OnnxModel, Trainer
from holdfast.pipeline.project import Project, write_evidence
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.attack import attack_model, attacked_rows, threat_of
from holdfast.pipeline.steps.plain_models import PlainTrainer
from holdfast.pipeline.steps.robust_trees import harden_trees, takes_robust_trees
from holdfast.pipeline.steps.train import write_statement
from holdfast.pipeline.steps.trainers import enter_exact_use, open_ledger, private_trainer, spend
from holdfast.training import at_most, measure_utility, train_private

_NO_PRIVATE_WAY: Final = (
    "not hardened: only private logistic regression has a way of it that keeps the guarantee; training on changed rows "
    "would use them without noise"
)


@dataclass(frozen=True)
class PrivateRobustTrainer:
    """Trains with a privacy guarantee against the worst case inside the evasion radius."""

    epsilon: float
    delta: float

    def __call__(self, data: Dataset, *, evasion_radius: Matrix, seed: int) -> LinearModel:
        """Train with fresh noise; a seed decides nothing here."""
        del seed
        return train_private(data, epsilon=self.epsilon, delta=self.delta, evasion_radius=evasion_radius).model


@dataclass(frozen=True)
class RobustShadowTrainer:
    """Trains as a robustly trained model was trained, for shadow models."""

    train: RobustTrainer
    threat: FeasibleChange

    def __call__(self, data: Dataset, *, seed: int) -> Model:
        """Train with this seed."""
        return self.train(data, evasion_radius=evasion_radius(self.threat, data.schema), seed=seed)


def harden(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write the hardened `model.onnx`, its `evidence.json` and, for a private model, its statement."""
    if project.config.harden.method == "none":
        return _keep(project, folder, dropped=[], why="not hardened, as holdfast.toml says")
    private = project.config.train.is_private
    if private and project.config.train.model != "logistic":
        return _keep(project, folder, dropped=[], why=_NO_PRIVATE_WAY)
    result, shadow_trainer = _retrain(project, advance)
    if result.gain.value <= 0 or result.after.void:  # a model that says one thing only withstands everything
        dropped = _dropped(result, project.model("train").digest)
        return _keep(project, folder, dropped=[dropped], why=dropped.title)
    model = cast("LinearModel | OnnxModel", result.model)  # what the trainers of this step return
    statement = write_statement(project, folder, model, step="harden") if private else []
    claimed = project.config.harden.epsilon if private else None
    found, lines = attack_model(project, model, folder, trainer=shadow_trainer, claimed=claimed, advance=advance)
    hardening = result.to_evidence(model.digest)
    utility = measure_utility(model, project.test_data)
    write_atomic(folder / "model.onnx", model.onnx)
    write_evidence(folder / "evidence.json", [utility, *statement, hardening, *found])
    ledger = [_spent(project)] if statement else []
    return hardening.title, utility.title, *ledger, *lines


def _retrain(project: Project, advance: Advance) -> tuple[HardeningResult[Model], Trainer]:
    """The way of retraining that suits the model, and the trainer of its shadows."""
    model, rng = project.model("train"), np.random.default_rng(project.config.attack.seed)
    retrain = _retrain_linear if isinstance(model, LinearModel) else _retrain_other
    return retrain(project, model, rng, advance)


def _retrain_linear(
    project: Project, model: Model, rng: np.random.Generator, advance: Advance
) -> tuple[HardeningResult[Model], Trainer]:
    """At the worst point of each row, with or without privacy."""
    del advance
    config, threat = project.config, threat_of(project)
    train: RobustTrainer = robust_logistic
    if config.train.is_private:
        spend(project, replace(private_trainer(project), epsilon=config.harden.epsilon), step="harden")
        train = PrivateRobustTrainer(epsilon=config.harden.epsilon, delta=config.train.delta)
    else:
        enter_exact_use(project, "harden", note="training against the worst case")
    result = harden_model(
        model,
        project.train_data,
        attacked_rows(project),
        trainer=train,
        threat=threat,
        rng=rng,
        source_class=config.attack.source_class,
    )
    return result, RobustShadowTrainer(train, threat)


def _retrain_other(
    project: Project, model: Model, rng: np.random.Generator, advance: Advance
) -> tuple[HardeningResult[Model], Trainer]:
    """As robust trees where the model is of trees and their price is right, else on the changed rows that fool it."""
    enter_exact_use(project, "harden", note="training against what an attacker can change")
    plain, threat, source = PlainTrainer(project.config.train), threat_of(project), project.config.attack.source_class
    parts = (model, project.train_data, attacked_rows(project))
    if takes_robust_trees(model):
        robust = harden_trees(*parts, plain=plain, threat=threat, source_class=source, rng=rng, advance=advance)
        if robust is not None:
            return robust
    result = harden_with_examples(*parts, trainer=plain, threat=threat, rng=rng, source_class=source, progress=advance)
    return result, plain


def _dropped(result: HardeningResult[Model], kept: str) -> Evidence:
    """A hardening that bought nothing, as evidence about the model that is kept in its place."""
    tried = result.to_evidence(kept)
    return replace(
        tried,
        title=f"Hardening was tried and dropped, the first model is kept. {tried.title}",
        caveats=(*tried.caveats, "The figures after hardening are of the model that was dropped."),
    )


def _keep(project: Project, folder: Path, *, dropped: list[Evidence], why: str) -> tuple[str, ...]:
    """The model as it is, with the evidence that it has."""
    model = project.model("train")
    evidence = [item for item in project.evidence("train") if item.kind != "privacy-guarantee"]
    if project.config.train.is_private:  # once more, with what has used the records since
        evidence += write_statement(project, folder, model, step="train")
    evidence += [*dropped, *project.evidence("attack")]
    write_atomic(folder / "model.onnx", model.onnx)
    write_evidence(folder / "evidence.json", evidence)
    return (why,)


def _spent(project: Project) -> str:
    ledger = open_ledger(project)
    spent = at_most(ledger.epsilon, digits=3)
    return f"all private uses of the records together: epsilon at most {spent} of {ledger.epsilon_limit:g}"
