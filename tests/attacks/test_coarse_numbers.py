"""Whole numbers whose step is more than the budget cannot move, and the result says so."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.attacks import FeasibleChange, evasion
from holdfast.data import Dataset, Feature, Schema
from holdfast.models import LinearModel

SCHEMA = Schema(
    features=(
        Feature(name="grade", kind="integer", low=0, high=4),
        Feature(name="age", kind="integer", low=0, high=100),
        Feature(name="sealed", kind="integer", low=0, high=4, mutability="fixed"),
    ),
    target="y",
    classes=("no", "yes"),
)
MODEL = LinearModel(SCHEMA, np.array([[1.0, 0.0, 0.0]]), np.array([0.0]))
DATA = Dataset(SCHEMA, np.array([[1.0, 50.0, 0.0], [3.0, 50.0, 0.0]]), np.array([0, 1]))


@pytest.mark.parametrize(("budget", "unmoved"), [(0.05, ("grade",)), (0.3, ())])
def test_features_that_the_budget_leaves_no_step_are_named(budget: float, unmoved: tuple[str, ...]) -> None:
    result = evasion(MODEL, DATA, threat=FeasibleChange(budget=budget), rng=np.random.default_rng(0))
    evidence = result.to_evidence(MODEL.digest)
    assert ("too coarse" in evidence.title) == bool(unmoved)
    assert any("grade" in caveat for caveat in evidence.caveats) == bool(unmoved)


def test_the_exact_attack_writes_nothing_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.integers(0, 5, 40), rng.integers(0, 101, 40), rng.integers(0, 5, 40)]).astype(float)
    model = LinearModel(SCHEMA, rng.normal(size=(1, 3)), np.array([0.1]))
    data = Dataset(SCHEMA, X, model.predict_proba(X).argmax(axis=1))
    result = evasion(model, data, threat=FeasibleChange(budget=0.3), rng=rng)
    assert result.evaded.any()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
