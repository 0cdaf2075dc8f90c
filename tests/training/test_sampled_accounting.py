"""Epsilon of sums over Poisson samples: never below the truth, hardly above it, and in the right order."""

from __future__ import annotations

import json
import math
from pathlib import Path

import dp_accounting
import pytest
from dp_accounting import rdp
from dp_accounting.pld import privacy_loss_distribution as pld
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from holdfast.errors import UsageError
from holdfast.training import NoisySums, SampledSums, advantage_of, epsilon_of, noise_for, noise_for_sampled

from .test_accounting import true_delta

VECTORS = Path(__file__).parents[1] / "vectors" / "prv_accountant.json"
GRID = 1e-3
"""By how much a bound may be above the truth, as a share: the grid's, see `privacy_loss`."""


def sampled(noise: float, rate: float, count: int = 1, width: int = 1) -> SampledSums:
    return SampledSums(noise_multiplier=noise, sampling_rate=rate, count=count, width=width)


def true_sampled_delta(epsilon: float, noise: float, rate: float) -> float:
    """Delta of one sum over a Poisson sample, exact, the larger of both directions.

    With the record the sum is (1 - q) N(0, s²) + q N(1, s²), without it N(0, s²); where the likelihood ratio passes
    e^epsilon is a half line, and its probabilities are those of normal distributions.
    """

    def crossing(ratio: float) -> float:
        return noise**2 * math.log((ratio - 1 + rate) / rate) + 0.5

    leaves = crossing(math.exp(epsilon))
    beyond, beyond_shifted = ndtr(-leaves / noise), ndtr((1 - leaves) / noise)
    delta = (1 - rate) * beyond + rate * beyond_shifted - math.exp(epsilon) * beyond
    if math.exp(-epsilon) > 1 - rate:
        joins = crossing(math.exp(-epsilon))
        below, below_shifted = ndtr(joins / noise), ndtr((joins - 1) / noise)
        delta = max(delta, below - math.exp(epsilon) * ((1 - rate) * below + rate * below_shifted))
    return float(delta)


@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-9])
@pytest.mark.parametrize(("noise", "rate"), [(0.7, 0.01), (1.0, 0.2), (1.0, 0.9), (4.0, 0.5)])
def test_one_step_is_that_of_the_exact_formula(noise: float, rate: float, delta: float) -> None:
    epsilon = epsilon_of([sampled(noise, rate)], delta=delta)
    assert true_sampled_delta(epsilon, noise, rate) <= delta
    assert epsilon < 1e-9 or true_sampled_delta(epsilon * (1 - GRID), noise, rate) > delta


@pytest.mark.parametrize("number", range(50))
def test_another_accountant_agrees_within_its_own_bounds(number: int) -> None:
    """prv-accountant (Gopi, Lee and Wutschitz 2021), asked about random settings by benches/privacy_accounting.py."""
    vector = json.loads(VECTORS.read_text())["vectors"][number]
    event = sampled(vector["noise_multiplier"], vector["sampling_rate"], vector["steps"])
    epsilon = epsilon_of([event], delta=vector["delta"])
    assert vector["low"] <= epsilon <= vector["high"]
    assert epsilon <= vector["estimate"] * (1 + GRID)


@pytest.mark.parametrize(("count", "delta"), [(10, 1e-9), (10_000, 1e-9), (10**7 + 1, 1e-6)])
def test_rounding_in_many_compositions_does_not_show(count: int, delta: float) -> None:
    """Sums over nearly all records are composed step by step; over all of them there is an exact formula."""
    noise = 1.5 * math.sqrt(count)
    epsilon = epsilon_of([sampled(noise, 1 - 1e-12, count)], delta=delta)
    assert true_delta(epsilon, 1.5) <= delta
    assert true_delta(epsilon * (1 - GRID), 1.5) > delta


def test_rounding_that_would_show_is_no_epsilon() -> None:
    """A hundred million sums may be off by 9e-8 in delta, so a smaller delta has no answer."""
    assert epsilon_of([sampled(15_000.0, 0.9, 10**8)], delta=1e-9) == math.inf


def test_sums_over_all_records_are_the_same_by_either_name() -> None:
    whole = NoisySums(noise_multiplier=20.0, count=60, width=31)
    assert epsilon_of([sampled(20.0, 1.0, 60, 31)], delta=1e-5) == epsilon_of([whole], delta=1e-5)
    assert noise_for_sampled(epsilon=1.0, delta=1e-5, sampling_rate=1.0, steps=60, width=31) == noise_for(
        epsilon=1.0, delta=1e-5, steps=60, width=31
    )


def test_it_lies_between_what_rounds_down_and_what_renyi_accounting_says() -> None:
    """dp_accounting's optimistic distribution is a lower bound, Rényi accounting an upper one."""
    noise, rate, count, delta = 1.1, 0.02, 500, 1e-5
    low = pld.from_gaussian_mechanism(
        noise,
        sampling_prob=rate,
        pessimistic_estimate=False,
        use_connect_dots=False,
        value_discretization_interval=1e-3,
    )
    renyi = rdp.RdpAccountant(neighboring_relation=dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    renyi.compose(dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise)), count)
    epsilon = epsilon_of([sampled(noise, rate, count)], delta=delta)
    assert low.self_compose(count).get_epsilon_for_delta(delta) <= epsilon
    assert 0.7 * renyi.get_epsilon(delta) < epsilon < renyi.get_epsilon(delta)


EVENTS = st.one_of(
    st.builds(
        lambda noise, count: NoisySums(noise_multiplier=noise, count=count, width=1),
        st.floats(5, 50),
        st.integers(1, 9),
    ),
    st.builds(sampled, st.floats(1, 20), st.sampled_from([0.05, 0.3, 0.7]), st.integers(1, 9)),
)


@settings(deadline=None, max_examples=6)
@given(st.lists(EVENTS, min_size=1, max_size=4), st.randoms())
def test_the_order_of_composition_does_not_matter(events: list[NoisySums | SampledSums], random: object) -> None:
    shuffled = sorted(events, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert epsilon_of(shuffled, delta=1e-5) == epsilon_of(events, delta=1e-5)


@settings(deadline=None, max_examples=6)
@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_together_costs_at_least_each_and_at_most_all_added_up(events: list[NoisySums | SampledSums]) -> None:
    each = [epsilon_of([event], delta=1e-5 / len(events)) for event in events]
    together = epsilon_of(events, delta=1e-5)
    assert max(epsilon_of([event], delta=1e-5) for event in events) <= together * (1 + GRID) + 1e-9
    assert together <= sum(each) * (1 + GRID) + 1e-9


@settings(deadline=None, max_examples=4)
@given(st.floats(1, 10), st.floats(0.01, 0.4), st.integers(1, 40), st.floats(1e-8, 1e-3), st.floats(1.01, 2))
def test_more_of_anything_costs_more(noise: float, rate: float, count: int, delta: float, factor: float) -> None:
    epsilon = epsilon_of([sampled(noise, rate, count)], delta=delta)
    cheaper = (
        epsilon_of([sampled(noise * factor, rate, count)], delta=delta),
        epsilon_of([sampled(noise, rate / factor, count)], delta=delta),
        epsilon_of([sampled(noise, rate, count)], delta=delta * factor),
        epsilon_of([sampled(noise, rate, math.ceil(count / factor))], delta=delta),
    )
    assert max(cheaper) <= epsilon * (1 + GRID) + 1e-9
    assert advantage_of([sampled(noise * factor, rate, count)]) <= advantage_of([sampled(noise, rate, count)]) * (
        1 + GRID
    )


@pytest.mark.parametrize(
    ("epsilon", "rate", "steps", "width"),
    [(0.01, 0.25, 200, 9), (0.3, 0.5, 3, 9), (1.0, 0.1, 60, 9), (3.0, 0.017, 2_000, 92_000), (10.0, 0.05, 30, 9)],
)
def test_noise_and_epsilon_are_inverse_to_each_other(epsilon: float, rate: float, steps: int, width: int) -> None:
    noise = noise_for_sampled(epsilon=epsilon, delta=1e-5, sampling_rate=rate, steps=steps, width=width)
    assert 0.99 * epsilon <= epsilon_of([sampled(noise, rate, steps, width)], delta=1e-5) <= epsilon


def test_sampling_takes_less_noise() -> None:
    noise = [noise_for_sampled(epsilon=1.0, delta=1e-5, sampling_rate=q, steps=50, width=1) for q in (0.05, 0.3, 1.0)]
    assert noise[0] < noise[1] / 2 < noise[2] / 4


def test_nothing_that_is_out_of_reach_is_given_a_number() -> None:
    assert epsilon_of([sampled(0.01, 0.1)], delta=1e-5) == math.inf
    assert epsilon_of([sampled(0.3, 0.5, 10_000)], delta=1e-5) == math.inf
    assert epsilon_of([sampled(1.0, 0.01, 10**9)], delta=1e-5) == math.inf
    assert epsilon_of([sampled(10.0, 1e-3, 10)], delta=1e-14) == math.inf  # below what rounding leaves of delta
    assert advantage_of([sampled(0.01, 0.1)]) == 1.0


@pytest.mark.parametrize("rate", [1e-300, 1e-30, 1e-9, 1 - 2**-53])
def test_the_rarest_and_the_most_common_sampling_have_an_answer(rate: float) -> None:
    epsilon = epsilon_of([sampled(2.0, rate, 3)], delta=1e-5)
    assert 0 <= epsilon <= epsilon_of([sampled(2.0, 1.0, 3)], delta=1e-5) * (1 + GRID)
    assert rate > 0.5 or epsilon < 1e-4


def test_noise_that_cannot_be_drawn_well_enough_is_refused() -> None:
    with pytest.raises(UsageError, match="no noise gives epsilon"):
        noise_for_sampled(epsilon=3.0, delta=1e-12, sampling_rate=0.1, steps=100, width=10**9)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"epsilon": 0.0}, "expected an epsilon"),
        ({"epsilon": math.inf}, "expected an epsilon"),
        ({"epsilon": math.nan}, "expected an epsilon"),
        ({"epsilon": -1.0}, "expected an epsilon"),
        ({"delta": 0.0}, "expected a delta"),
        ({"delta": 1.0}, "expected a delta"),
        ({"delta": math.nan}, "expected a delta"),
        ({"sampling_rate": 0.0}, "expected a sampling rate"),
        ({"sampling_rate": 1.5}, "expected a sampling rate"),
        ({"sampling_rate": math.nan}, "expected a sampling rate"),
        ({"steps": 0}, "1 or more steps"),
        ({"width": 0}, "1 or more steps"),
    ],
)
def test_an_option_without_meaning_is_refused(option: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        noise_for_sampled(**{"epsilon": 1.0, "delta": 1e-5, "sampling_rate": 0.1, "steps": 9, "width": 1} | option)
