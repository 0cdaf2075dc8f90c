"""What noisy sums cost: from noise to epsilon and from epsilon to noise. Every epsilon here is an upper bound.

The neighbouring relation is add-or-remove-one record throughout, or a group of records at once. Where the number of
records is public, a record that is replaced by one which contributes nothing costs the same. Calibrations are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from scipy.optimize import brentq
from scipy.special import log_ndtr

from holdfast import limits
from holdfast.errors import UsageError
from holdfast.training.account.events import Event, NoisySums, SampledSums
from holdfast.training.account.privacy_loss import Release, compose, releases_of
from holdfast.training.release.noise import ADDITIVE_GAP, MULTIPLICATIVE_GAP

_LARGEST_EPSILON: Final = 100.0
"""An epsilon above it is no guarantee and counts as infinite."""
_FIRST_STEP: Final = 1e-4
_BRACKET: Final = 1.25


def epsilon_of(events: Iterable[Event], *, delta: float) -> float:
    """An upper bound on the epsilon, at this delta, of all events together, chosen one after the other at will.

    See `epsilon_of_group`, of which this is the case of one record.

    Raises:
        UsageError: a delta outside (0, 1).
    """
    return epsilon_of_group(events, delta=delta, group_size=1)


def epsilon_of_group(events: Iterable[Event], *, delta: float, group_size: int) -> float:
    """An upper bound on the epsilon of all events together for up to `group_size` records at once, as of one person.

    Sums over all records amount to one Gaussian mechanism; sums over Poisson samples are composed by their privacy
    loss distributions (`privacy_loss`), in both directions and so that the result can only be too large. The noise
    itself is not exactly Gaussian; what is known of the gap (`noise`) is added. No event costs 0; an epsilon out of
    reach is infinity.

    Raises:
        UsageError: a delta outside (0, 1), or a group size outside 1 to `limits.MAX_GROUP_SIZE`.
    """
    _check_delta(delta)
    check_group(group_size)
    events = tuple(events)
    return _epsilon(releases_of(events), _numbers(events), delta, group_size) if events else 0.0


def advantage_of(events: Iterable[Event], *, group_size: int = 1) -> float:
    """An upper bound on true minus false positive rate of any test of whether one record, or one group, was there.

    It is the total variation distance between neighbours, that is the delta that goes with epsilon 0.

    Raises:
        UsageError: a group size outside 1 to `limits.MAX_GROUP_SIZE`.
    """
    check_group(group_size)
    events = tuple(events)
    if not events:
        return 0.0
    loss = compose(releases_of(events), group_size)
    advantage = loss.delta(0.0)
    return min(1.0, advantage + 2 * loss.left_out + 4 * _numbers(events) * (MULTIPLICATIVE_GAP + ADDITIVE_GAP))


@lru_cache(maxsize=256)
def noise_for(*, epsilon: float, delta: float, steps: int = 1, width: int = 1) -> float:
    """The noise multiplier of each of `steps` noisy sums of `width` numbers that together cost at most epsilon.

    It is the exact one of the Gaussian mechanism, stepped up until the upper bound of `epsilon_of` agrees.

    Raises:
        UsageError: an epsilon, delta or number of steps that has no meaning or no noise that Holdfast can draw.
    """
    check_budget(epsilon=epsilon, delta=delta)
    _check_sums(steps, width)
    return _step_up(
        _exact_noise(epsilon, delta) * math.sqrt(steps),
        lambda noise: NoisySums(noise_multiplier=noise, count=steps, width=width),
        epsilon=epsilon,
        delta=delta,
    )


@lru_cache(maxsize=256)
def noise_for_sampled(*, epsilon: float, delta: float, sampling_rate: float, steps: int, width: int) -> float:
    """The noise multiplier of each of `steps` noisy sums over Poisson samples that together cost at most epsilon.

    Args:
        epsilon: the most that all steps together may cost.
        delta: at which epsilon is stated.
        sampling_rate: with which each record is in each sum, above 0 and at most 1.
        steps: how many sums.
        width: how many numbers each has.

    Raises:
        UsageError: an option that has no meaning, or no noise that Holdfast can draw.
    """
    check_budget(epsilon=epsilon, delta=delta)
    _check_sums(steps, width)
    SampledSums(noise_multiplier=1.0, sampling_rate=sampling_rate, count=steps, width=width)  # refuses a strange rate
    if sampling_rate == 1:
        return noise_for(epsilon=epsilon, delta=delta, steps=steps, width=width)

    def planned(noise: float) -> SampledSums:
        return SampledSums(noise_multiplier=noise, sampling_rate=sampling_rate, count=steps, width=width)

    def excess(noise: float) -> float:
        spent = epsilon_of([planned(noise)], delta=delta)
        return math.log(min(max(spent, limits.MIN_EPSILON / 10), _LARGEST_EPSILON) / epsilon)

    exact = _exact_noise(epsilon, delta)
    low = _sampled_guess(exact, sampling_rate, steps)
    while excess(low) < 0:
        low /= _BRACKET
    high = low * _BRACKET
    while excess(high) > 0 and high < 2 * exact * math.sqrt(steps):  # sampling only ever lowers the cost
        low, high = high, high * _BRACKET
    found = brentq(excess, low, high, rtol=_FIRST_STEP / 4) if excess(high) <= 0 else high
    return _step_up(found, planned, epsilon=epsilon, delta=delta)


def epsilon_per_training(*, epsilon: float, delta: float, trainings: int) -> float:
    """The epsilon to give each of several equal trainings so that all together cost at most `epsilon`.

    More than an equal share, because noisy sums compose better than epsilons add up.

    Raises:
        UsageError: an epsilon, delta or number of trainings that has no meaning.
    """
    check_budget(epsilon=epsilon, delta=delta)
    if trainings < 1:
        raise UsageError(f"expected 1 or more trainings, got {trainings}")
    if trainings == 1:
        return epsilon
    noise_multiplier = noise_for(epsilon=epsilon, delta=delta, steps=trainings) * (1 + 10 * _FIRST_STEP)
    return epsilon_of([NoisySums(noise_multiplier=noise_multiplier, count=1, width=1)], delta=delta)


def check_budget(*, epsilon: float, delta: float) -> None:
    """Refuse a budget that has no meaning.

    Raises:
        UsageError: saying which of the two, and what it may be.
    """
    if not limits.MIN_EPSILON <= epsilon <= limits.MAX_EPSILON:
        raise UsageError(
            f"expected an epsilon from {limits.MIN_EPSILON} to {limits.MAX_EPSILON}, got {epsilon}",
            hint="1 is strong, 3 is usual, 8 is weak; above 10 the guarantee says almost nothing",
        )
    _check_delta(delta)
    if delta < limits.MIN_DELTA:
        raise UsageError(f"expected a delta of {limits.MIN_DELTA} or more, got {delta}")


def check_group(group_size: int) -> None:
    """Refuse a number of records of one person that has no meaning or that cannot be accounted for.

    Raises:
        UsageError: saying what it may be.
    """
    if not 1 <= group_size <= limits.MAX_GROUP_SIZE:
        raise UsageError(
            f"expected 1 to {limits.MAX_GROUP_SIZE} records of one person, got {group_size}",
            hint="make one record of all that are about one person",
        )


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise UsageError(
            f"expected a delta between 0 and 1, got {delta}", hint="take one well below 1 / number of records"
        )


def _check_sums(steps: int, width: int) -> None:
    if steps < 1 or width < 1:
        raise UsageError(f"expected 1 or more steps of 1 or more numbers, got {steps} of {width}")


def _numbers(events: tuple[Event, ...]) -> int:
    """How many noisy numbers the events released; the gap of the noise is paid for each."""
    return sum(event.count * event.width for event in events)


@lru_cache(maxsize=1024)
def _epsilon(releases: tuple[Release, ...], numbers: int, delta: float, group_size: int) -> float:
    """Epsilon of all releases, with the gap of so many noisy numbers.

    Noise that is off by a factor and an amount in each probability costs `4 * numbers` times the factor in epsilon and
    (1 + e^epsilon) times the amount in delta. That epsilon is taken at half of delta, where it can only be larger.
    """
    loss = compose(releases, group_size)
    factor = 4 * numbers * MULTIPLICATIVE_GAP
    largest = loss.epsilon(delta / 2) + factor
    if largest > _LARGEST_EPSILON:
        return math.inf
    set_aside = (1 + math.exp(largest)) * (numbers * ADDITIVE_GAP + loss.left_out)
    return loss.epsilon(delta - set_aside) + factor if set_aside <= delta / 2 else math.inf


def _step_up(noise: float, planned: Callable[[float], Event], *, epsilon: float, delta: float) -> float:
    """A noise multiplier hardly above this one with which what is planned costs at most epsilon, and not much less.

    It would cost much less, if anything, where epsilon itself cannot be reached for the gap of so many numbers.
    """
    step = _FIRST_STEP
    while step < 1:
        enough = noise * (1 + step)
        spent = epsilon_of([planned(enough)], delta=delta)
        if 0.9 * epsilon < spent <= epsilon:
            return enough
        step *= 1.5
    plan = planned(noise)
    raise UsageError(
        f"no noise gives epsilon {epsilon} at delta {delta} for {plan.count} sums of {plan.width} numbers",
        hint="take fewer steps or a larger delta",
    )


def _sampled_guess(exact: float, sampling_rate: float, steps: int) -> float:
    """About the noise for sampled sums, where that of one whole sum is `exact`.

    By the central limit theorem of Gaussian differential privacy (Bu, Dong, Long and Su 2020, theorem 5), many sampled
    sums are as one Gaussian mechanism. That is a guess to start from and no bound.
    """
    return 1 / math.sqrt(math.log1p(1 / (exact**2 * sampling_rate**2 * steps)))


def _exact_noise(epsilon: float, delta: float) -> float:
    """The noise multiplier where a Gaussian mechanism has exactly this epsilon (Balle and Wang 2018, theorem 8)."""

    def excess(log_noise: float) -> float:
        mu = math.exp(-log_noise)
        first, second = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
        return float(math.exp(first) - math.exp(second) - delta)

    return math.exp(brentq(excess, math.log(1e-2), math.log(1e8), xtol=1e-13))
