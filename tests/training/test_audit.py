"""An attacker with everything but the noise tries to tell neighbours apart; broken mechanisms are caught by it.

The audit runs a mechanism many times with and without one record, guesses by a threshold, and turns the two error
rates into a lower bound on the privacy that is lost (Nasr et al., "Tight auditing of differentially private machine
learning", 2023): mu >= Phi^-1(true positive rate) - Phi^-1(false positive rate), each rate at the unfavourable end of
its Clopper-Pearson interval, so that the bound is too high with probability below 2e-8.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from holdfast.data import Dataset
from holdfast.training import NoisySums, epsilon_of, train_private
from holdfast.training.release import mechanism
from holdfast.training.release.mechanism import noisy_sum, on_grid

ERROR = 1e-8
DELTA = 1e-5
CLIP_NORM = 0.5
NOISE_MULTIPLIER = 1.0


def epsilon_at_least(absent: np.ndarray, present: np.ndarray) -> float:
    """A lower bound on epsilon at `DELTA`, from observations without and with the record."""
    threshold = (np.median(absent) + np.median(present)) / 2
    false_positives, true_positives = int((absent > threshold).sum()), int((present > threshold).sum())
    highest = (
        stats.beta.ppf(1 - ERROR, false_positives + 1, len(absent) - false_positives)
        if false_positives < len(absent)
        else 1.0
    )
    lowest = stats.beta.ppf(ERROR, true_positives, len(present) - true_positives + 1) if true_positives else 0.0
    mu = float(stats.norm.ppf(lowest) - stats.norm.ppf(highest))
    if not mu > 0:
        return 0.0
    return epsilon_of([NoisySums(noise_multiplier=1 / mu, count=1, width=1)], delta=DELTA) if mu < 20 else math.inf


def audit_one_step(runs: int = 3_000, *, size: float = 2.0) -> float:
    """The lower bound for one noisy sum of gradients, with a record whose gradient has norm `size`."""
    rng = np.random.default_rng(11)
    rows = on_grid(rng.uniform(-1, 1, (20, 4)))
    rows[0] = [size, 0.0, 0.0, 0.0]
    ones = np.ones((20, 1))

    def observe(keep: slice) -> np.ndarray:
        options = {"clip_norm": CLIP_NORM, "noise_multiplier": NOISE_MULTIPLIER}
        return np.array([noisy_sum(rows[keep], ones[keep], **options)[0, 0] for _ in range(runs)])

    return epsilon_at_least(observe(slice(1, None)), observe(slice(None)))


@pytest.fixture(scope="module")
def claimed() -> float:
    return epsilon_of([NoisySums(noise_multiplier=NOISE_MULTIPLIER, count=1, width=4)], delta=DELTA)


def test_the_mechanism_is_not_above_its_claim_and_not_far_below(claimed: float) -> None:
    found = audit_one_step()
    assert 0.4 * claimed < found <= claimed


def test_the_audit_catches_half_the_noise(claimed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mechanism.gaussian_integers
    monkeypatch.setattr(mechanism, "gaussian_integers", lambda count: whole(count) // 2)
    assert audit_one_step() > claimed


def test_the_audit_catches_missing_noise(claimed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanism, "gaussian_integers", lambda count: np.zeros(count, dtype=np.int64))
    assert audit_one_step(200) > claimed


def test_the_audit_catches_missing_clipping(claimed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def unclipped(rows, coefficients, *, clip_norm: float, noise_multiplier: float):
        return np.trunc(coefficients / (clip_norm * noise_multiplier) * 2**20)

    monkeypatch.setattr(mechanism, "clipped_integers", unclipped)
    assert audit_one_step() > claimed


@pytest.mark.parametrize("broken", [False, True])
def test_a_whole_training_keeps_its_claim_and_one_without_noise_does_not(
    small: Dataset, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = small.X[:12].copy(), small.y[:12].copy()
    X[0], y[0] = (100.0, 120.0, 2.0), 0  # far from all others, and with the other label
    target = Dataset(small.schema, X, y)
    if broken:
        monkeypatch.setattr(mechanism, "gaussian_integers", lambda count: np.zeros(count, dtype=np.int64))

    def observe(data: Dataset) -> np.ndarray:
        trained = (train_private(data, epsilon=2.0, delta=1e-5, steps=4) for _ in range(300))
        return np.array([-float(run.model.scores(X[:1])[0, 0]) for run in trained])

    found = epsilon_at_least(observe(target.take(np.arange(1, 12))), observe(target))
    assert found > 2.0 if broken else found <= 2.0
