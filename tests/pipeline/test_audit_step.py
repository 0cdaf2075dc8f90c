"""The audit of the attack step: it lets a true claim stand, and contradicts one whose noise is not there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from holdfast.models import LinearModel
from holdfast.pipeline import Project
from holdfast.pipeline.steps.auditing import audit_claim
from holdfast.pipeline.steps.trainers import private_trainer
from holdfast.training.release import mechanism

from .conftest import entered


@pytest.fixture
def project(write: Callable[..., Project]) -> Project:
    return write(method="private")


@pytest.fixture
def model(project: Project) -> LinearModel:
    """Any model: the evidence is about it, the audit trains its own."""
    return LinearModel(project.config.schema, np.zeros((1, 5)), np.zeros(1))


def test_a_true_claim_stands_and_the_use_is_entered(project: Project, model: LinearModel) -> None:
    (evidence,), line = audit_claim(project, model, trainer=private_trainer(project), epsilon=2.0)
    assert evidence.subject == model.digest
    assert evidence.figures["contradicts"].value == 0
    assert evidence.title == line
    (use,) = entered(project)
    assert (use.step, use.private, use.released) == ("loans: audit", False, True)


def test_a_training_without_noise_is_contradicted(
    project: Project, model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mechanism, "gaussian_integers", lambda count: np.zeros(count, dtype=np.int64))
    (evidence,), line = audit_claim(project, model, trainer=private_trainer(project), epsilon=2.0)
    assert evidence.figures["contradicts"].value == 1
    assert evidence.figures["epsilon_lower"].value > evidence.figures["epsilon_claimed"].value == 2.0
    assert "contradicts the claim of epsilon at most 2" in line


def test_where_canaries_have_no_room_there_is_no_evidence_and_it_is_said(project: Project, model: LinearModel) -> None:
    text = project.path.read_text().replace("delta = 1e-4", f"delta = {1 / (len(project.train_data) + 2)}")
    project.path.write_text(text)
    tight = Project.read(project.path)
    evidence, line = audit_claim(tight, model, trainer=private_trainer(tight), epsilon=2.0)
    assert evidence == []
    assert "not audited: delta" in line
