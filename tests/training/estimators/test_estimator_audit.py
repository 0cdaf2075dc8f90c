"""An attacker who knows everything but the noise asks each estimator whether one record was there.

As in tests/training/test_audit.py: the two error rates of a threshold test give a lower bound on epsilon. With noise it
must stay below the claim; with the noise taken away the same attack must win, or it would show nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.training.test_audit import epsilon_at_least

from holdfast.training.estimators import DPGradientBoostingClassifier, DPLinearRegression, DPLogisticRegression
from holdfast.training.release import mechanism

CLAIM = 2.0
RANGES = (-1.0, 1.0)
RUNS = 60
ESTIMATORS = [
    DPLogisticRegression(CLAIM, feature_ranges=RANGES, steps=4),
    DPLinearRegression(CLAIM, feature_ranges=RANGES, target_range=(0.0, 1.0)),
    DPGradientBoostingClassifier(CLAIM, feature_ranges=RANGES, rounds=2),
]


@pytest.mark.parametrize("broken", [False, True], ids=["with noise", "without"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_fit_keeps_its_claim_and_one_without_noise_does_not(
    estimator: Any, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    X = rng.uniform(-0.5, 0.5, (12, 2))
    y = (X[:, 0] > 0).astype(int)
    X[0], y[0] = (1.0, 1.0), 0  # far from all others, and with the other label
    if broken:
        monkeypatch.setattr(mechanism, "gaussian_integers", lambda count: np.zeros(count, dtype=np.int64))
        seeded = np.random.default_rng
        monkeypatch.setattr(np.random, "default_rng", lambda: seeded(0))

    def observe(rows: slice) -> np.ndarray:
        fits = (estimator.fit(X[rows], y[rows]) for _ in range(RUNS))
        return np.array([-_score(fit, X[:1]) for fit in fits])

    found = epsilon_at_least(observe(slice(1, None)), observe(slice(None)))
    assert found > CLAIM if broken else found <= CLAIM


def _score(fit: Any, row: np.ndarray) -> float:
    return float(fit.predict_proba(row)[0, 1] if hasattr(fit, "classes_") else fit.predict(row)[0])
