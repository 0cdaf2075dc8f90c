"""Epsilon is never below the truth, and hardly above it."""

from __future__ import annotations

import math
import subprocess
import sys

import dp_accounting
import pytest
from dp_accounting import pld
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr, ndtr

from holdfast.errors import UsageError
from holdfast.training import NoisySums, advantage_of, epsilon_of, epsilon_per_training, noise_for


def true_delta(epsilon: float, noise_multiplier: float) -> float:
    """Delta of the Gaussian mechanism, exact (Balle and Wang 2018, theorem 8)."""
    mu = 1 / noise_multiplier
    return math.exp(log_ndtr(mu / 2 - epsilon / mu)) - math.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu))


def sums(noise_multiplier: float, count: int = 1, width: int = 1) -> NoisySums:
    return NoisySums(noise_multiplier=noise_multiplier, count=count, width=width)


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-9])
@pytest.mark.parametrize("noise_multiplier", [0.6, 1.0, 3.7, 20.0, 100.0])
def test_epsilon_is_an_upper_bound_and_a_close_one(noise_multiplier: float, delta: float) -> None:
    epsilon = epsilon_of([sums(noise_multiplier)], delta=delta)
    assert true_delta(epsilon, noise_multiplier) <= delta
    assert true_delta(epsilon * 0.995 - 1e-4, noise_multiplier) > delta


@pytest.mark.parametrize("noise_multiplier", [0.3, 1.0, 5.0, 40.0])
def test_the_advantage_of_a_membership_test_is_bounded_closely(noise_multiplier: float) -> None:
    exact = 2 * ndtr(1 / (2 * noise_multiplier)) - 1  # total variation of two normal distributions
    assert exact <= advantage_of([sums(noise_multiplier)]) <= exact + 1e-4
    assert exact <= advantage_of([sums(noise_multiplier * 3, 9)]) <= exact + 1e-4


def test_nothing_gives_no_advantage_and_little_noise_all_of_it() -> None:
    assert advantage_of([]) == 0.0
    assert advantage_of([sums(0.01)]) == 1.0


@pytest.mark.parametrize("delta", [1e-5, 1e-7])
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 1.0, 3.0, 8.0, 10.0])
def test_noise_and_epsilon_are_inverse_to_each_other(epsilon: float, delta: float) -> None:
    noise_multiplier = noise_for(epsilon=epsilon, delta=delta, steps=60, width=31)
    spent = epsilon_of([sums(noise_multiplier, 60, 31)], delta=delta)
    assert 0.98 * epsilon <= spent <= epsilon
    assert true_delta(epsilon, noise_multiplier / math.sqrt(60)) <= delta


def test_composition_agrees_with_the_accountant_of_dp_accounting() -> None:
    events = [sums(11.8), sums(21.5), sums(32.9, 60)]
    accountant = pld.PLDAccountant(dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    for event in events:
        accountant.compose(dp_accounting.GaussianDpEvent(event.noise_multiplier), event.count)
    assert epsilon_of(events, delta=1e-5) == pytest.approx(accountant.get_epsilon(1e-5), rel=5e-3)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(2, 50), min_size=1, max_size=4))
def test_another_event_never_lowers_epsilon(multipliers: list[float]) -> None:
    fewer = epsilon_of([sums(m) for m in multipliers[:-1]], delta=1e-5)
    assert epsilon_of([sums(m) for m in multipliers], delta=1e-5) >= fewer


def test_nothing_costs_nothing_and_little_noise_costs_everything() -> None:
    assert epsilon_of([], delta=1e-5) == 0.0
    assert epsilon_of([sums(0.01)], delta=1e-5) == math.inf


def test_the_gap_between_drawn_and_true_noise_is_paid_for() -> None:
    assert epsilon_of([sums(5.0, 1, 10**9)], delta=1e-5) > epsilon_of([sums(5.0)], delta=1e-5)
    assert epsilon_of([sums(1.0, 1, 10**15)], delta=1e-5) == math.inf


@pytest.mark.parametrize("trainings", [1, 2, 5])
def test_equal_trainings_fit_into_the_whole_and_get_more_than_an_equal_share(trainings: int) -> None:
    each = epsilon_per_training(epsilon=3.0, delta=1e-5, trainings=trainings)
    noise_multiplier = noise_for(epsilon=each, delta=1e-5, width=2_000)
    assert epsilon_of([sums(noise_multiplier, 1, 2_000)] * trainings, delta=1e-5) <= 3.0
    assert each >= 3.0 / trainings


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan, 11.0, 1e-9])
def test_an_epsilon_without_meaning_is_refused(epsilon: float) -> None:
    with pytest.raises(UsageError, match=r"expected an epsilon from 0.01 to 10"):
        noise_for(epsilon=epsilon, delta=1e-5)


@pytest.mark.parametrize("delta", [0.0, -1e-5, 1.0, math.nan, 1e-30])
def test_a_delta_without_meaning_is_refused(delta: float) -> None:
    with pytest.raises(UsageError, match="expected a delta"):
        noise_for(epsilon=1.0, delta=delta)


@pytest.mark.parametrize("options", [{"steps": 0}, {"width": 0}])
def test_steps_without_meaning_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="1 or more steps"):
        noise_for(epsilon=1.0, delta=1e-5, **options)
    with pytest.raises(UsageError, match="1 or more trainings"):
        epsilon_per_training(epsilon=1.0, delta=1e-5, trainings=0)


def test_noise_that_cannot_be_drawn_well_enough_is_refused() -> None:
    with pytest.raises(UsageError, match="no noise gives epsilon"):
        noise_for(epsilon=0.1, delta=1e-12, width=10**9)


def test_importing_the_room_does_not_import_the_accountant() -> None:
    code = "import sys, holdfast.training; sys.exit('dp_accounting' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
