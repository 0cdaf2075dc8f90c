"""Attack the model as someone outside would: tell members, change records, copy it through queries."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from holdfast.attacks import FeasibleChange, evasion, extraction, membership_inference
from holdfast.data import Dataset
from holdfast.evidence import Evidence
from holdfast.models import LinearModel, OnnxModel, Trainer
from holdfast.pipeline.project import Project, write_evidence
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.trainers import PlainTrainer, PrivateShadowTrainer, enter_exact_use

_MAX_ATTACKED: Final = 1_000
"""Held-out rows that are changed; on so many, the interval of robust accuracy is within 3 points."""


def attack(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `evidence.json`."""
    train = project.config.train
    enter_exact_use(project, "attack", note="attacks on the models, measured on the training rows and those held out")
    if train.is_private:
        trainer: Trainer = PrivateShadowTrainer(epsilon=train.epsilon, delta=train.delta)
    else:
        trainer = PlainTrainer(project)
    found = attack_model(project, project.model("train"), trainer=trainer, advance=advance)
    write_evidence(folder / "evidence.json", found)
    return tuple(item.title for item in found)


def attack_model(
    project: Project, model: LinearModel | OnnxModel, *, trainer: Trainer, advance: Advance
) -> tuple[Evidence, ...]:
    """All attacks on one model. `trainer` makes the shadows: it trains as the model was trained."""
    settings = project.config.attack
    rng = np.random.default_rng(settings.seed)
    membership = membership_inference(
        model,
        members=project.train_data,
        non_members=project.test_data,
        trainer=trainer,
        n_shadows=settings.shadow_models,
        rng=rng,
        progress=advance,
    )
    evaded = evasion(model, attacked_rows(project), threat=threat_of(project), rng=rng, progress=advance)
    copied = extraction(model, reference=project.test_data, queries=settings.extraction_queries, rng=rng)
    return tuple(result.to_evidence(model.digest) for result in (membership, evaded, copied))


def attacked_rows(project: Project) -> Dataset:
    """The held-out rows that evasion changes: all of them, or a thousand drawn at random."""
    rng = np.random.default_rng(project.config.attack.seed)
    data = project.test_data
    return data.take(np.sort(rng.permutation(len(data))[:_MAX_ATTACKED]))


def threat_of(project: Project) -> FeasibleChange:
    """What `[attack]` says that someone may change."""
    settings = project.config.attack
    return FeasibleChange(budget=settings.evasion_budget, max_category_changes=settings.category_changes)
