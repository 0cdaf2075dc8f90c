"""Audit a private training: canaries among the records try to contradict the epsilon that it claims."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.attacks.privacy import (
    ANY_MECHANISM,
    INTERFERING_CANARIES,
    AuditMethod,
    Claim,
    approximate,
    audit_training,
    gaussian,
    own_category,
)
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence
from holdfast.models import LinearModel, OnnxModel, Trainer
from holdfast.pipeline.project import Project
from holdfast.pipeline.steps.trainers import enter_exact_use

_CANARIES: Final = 250
"""Made-up records, of which about half are among the real ones; more tell more, and crowd out the real ones."""


def audit_claim(
    project: Project, model: LinearModel | OnnxModel, *, trainer: Trainer, epsilon: float
) -> tuple[list[Evidence], str]:
    """One more training, on the records and canaries, and what it says about the claim: the evidence, and a line on it.

    The model of that training is thrown away. How many canaries were guessed is told, and depends on the records a
    little, so this is a use without noise. Where the records leave no room for canaries there is no evidence.
    """
    enter_exact_use(project, "audit", note="an audit: a training with canaries, of which the right guesses are counted")
    rng = np.random.default_rng(project.config.attack.seed)
    claim, method = _claim(project, epsilon)
    try:
        canaries = own_category(project.train_data, count=_CANARIES, rng=rng)
        found = audit_training(canaries, lambda data: trainer(data, seed=0), claim=claim, method=method)
    except (UnsupportedError, UsageError, DataError) as error:  # a column of their name, too large a delta, …
        return [], f"not audited: {error}"
    return [found.to_evidence(model.digest)], found.title


def _claim(project: Project, epsilon: float) -> tuple[Claim, AuditMethod]:
    """What the training claims of its trade-off curve: noisy sums over all records have that of a Gaussian mechanism.

    Over samples they have another, of which only epsilon and delta are claimed.
    """
    delta = project.config.train.delta
    if project.config.train.model == "network":
        return approximate(epsilon, delta), ANY_MECHANISM
    return gaussian(epsilon, delta), INTERFERING_CANARIES
