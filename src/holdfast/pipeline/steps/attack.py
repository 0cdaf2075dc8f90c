"""Attack the model as someone outside would: tell members, change records, copy it through queries.

A private training is audited as well: canaries try to contradict its epsilon.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from holdfast.attacks import FeasibleChange, evasion, extraction
from holdfast.data import Dataset
from holdfast.evidence import Evidence
from holdfast.models import LinearModel, OnnxModel, Trainer
from holdfast.pipeline.project import Project, write_evidence
from holdfast.pipeline.steps.advance import Advance
from holdfast.pipeline.steps.auditing import audit_claim
from holdfast.pipeline.steps.members import tell_members
from holdfast.pipeline.steps.trainers import enter_exact_use, trainer_of

_MAX_ATTACKED: Final = 1_000
"""Held-out rows that are changed; on so many, the interval of robust accuracy is within 3 points."""


def attack(project: Project, folder: Path, advance: Advance) -> tuple[str, ...]:
    """Write `evidence.json` and, for those who may see the records, `membership-risk.csv`."""
    enter_exact_use(project, "attack", note="attacks on the models, measured on the training rows and those held out")
    train = project.config.train
    claimed = train.epsilon if train.is_private else None
    found, lines = attack_model(
        project, project.model("train"), folder, trainer=trainer_of(project), claimed=claimed, advance=advance
    )
    write_evidence(folder / "evidence.json", found)
    return lines


def attack_model(
    project: Project,
    model: LinearModel | OnnxModel,
    folder: Path,
    *,
    trainer: Trainer,
    claimed: float | None,
    advance: Advance,
) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """All attacks on one model: the evidence, and a line on each.

    Args:
        project: with the records and the settings.
        model: to be attacked.
        folder: where the list of rows that stand out is left.
        trainer: makes the shadows; it trains as the model was trained.
        claimed: the epsilon that the training claims for itself; None where it claims none.
        advance: hears of progress.
    """
    settings = project.config.attack
    rng = np.random.default_rng(settings.seed)
    telling = tell_members(project, model, folder, trainer=trainer, rng=rng, advance=advance)
    rows, threat, source = attacked_rows(project), threat_of(project), settings.source_class
    evaded = evasion(model, rows, threat=threat, rng=rng, source_class=source, progress=advance)
    copied = extraction(model, reference=project.test_data, queries=settings.extraction_queries, rng=rng)
    found = [*telling, *(result.to_evidence(model.digest) for result in (evaded, copied))]
    lines = [item.title for item in found]
    if claimed is not None:
        audited, line = audit_claim(project, model, trainer=trainer, epsilon=claimed)
        found, lines = [*found, *audited], [*lines, line]
    return tuple(found), tuple(lines)


def attacked_rows(project: Project) -> Dataset:
    """Held-out rows, as many as hold a thousand that evasion changes: all, or those of the class that `[attack]` names.

    Rows of other classes stay among them in their share, so that what hardening costs is measured on all.
    """
    settings, data = project.config.attack, project.test_data
    order = np.random.default_rng(settings.seed).permutation(len(data))
    own = np.ones(len(data), dtype=bool)
    if settings.source_class is not None:
        own = data.y == data.schema.classes.index(settings.source_class)
    drawn = np.cumsum(own[order]) - own[order] < _MAX_ATTACKED
    return data.take(np.sort(order[drawn]))


def threat_of(project: Project) -> FeasibleChange:
    """What `[attack]` says that someone may change."""
    settings = project.config.attack
    return FeasibleChange(
        budget=settings.evasion_budget,
        max_category_changes=settings.category_changes,
        costs=settings.costs,
        max_cost=settings.max_cost,
    )
