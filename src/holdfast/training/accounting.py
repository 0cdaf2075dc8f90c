"""What noisy sums cost: from noise to epsilon and from epsilon to noise. Every epsilon here is an upper bound.

The neighbouring relation is add-or-remove-one record throughout. `dp_accounting` takes a second to import, so it is
imported where it is used, and calibrations are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from functools import lru_cache
from typing import Any, Final

from scipy.optimize import brentq
from scipy.special import log_ndtr

from holdfast import limits
from holdfast.errors import UsageError, WireError
from holdfast.training.noise import ADDITIVE_GAP, MULTIPLICATIVE_GAP

_SET_ASIDE: Final = 2.0**-10
"""The share of delta that is kept for the gap between the noise drawn and true Gaussian noise."""
_FIRST_STEP: Final = 1e-4
_SMALLEST_NOISE: Final = 0.05
"""Below it epsilon is far above any that is accepted, and the privacy loss distribution would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class NoisySums:
    """An event: sums over all records, each with Gaussian noise, released one after the other.

    Args:
        noise_multiplier: standard deviation of the noise over the L2 bound on one record's contribution.
        count: how many such sums.
        width: how many numbers each has.
    """

    noise_multiplier: float
    count: int
    width: int

    def __post_init__(self) -> None:
        """Refuse an event without noise; that one has no guarantee."""
        if not (math.isfinite(self.noise_multiplier) and self.noise_multiplier > 0):
            raise UsageError(f"a noisy sum needs a noise multiplier above 0, got {self.noise_multiplier}")
        if self.count < 1 or self.width < 1:
            raise UsageError(f"noisy sums are 1 or more of 1 or more numbers, got {self.count} of {self.width}")

    def to_json(self) -> dict[str, Any]:
        """The event as JSON; `from_json` is its inverse."""
        return {
            "mechanism": "gaussian",
            "noise_multiplier": self.noise_multiplier,
            "count": self.count,
            "width": self.width,
        }

    @classmethod
    def from_json(cls, document: object) -> NoisySums:
        """Read an event back.

        Raises:
            WireError: the document is no event that this version can account for.
        """
        fields = {"mechanism", "noise_multiplier", "count", "width"}
        if not isinstance(document, dict) or set(document) != fields or document["mechanism"] != "gaussian":
            raise WireError(f"expected a gaussian event with {', '.join(sorted(fields))}, got {document!r:.200}")
        multiplier, count, width = (document[name] for name in ("noise_multiplier", "count", "width"))
        if not isinstance(multiplier, float) or type(count) is not int or type(width) is not int:
            raise WireError(f"an event has a number and two whole numbers, got {document!r:.200}")
        try:
            return cls(noise_multiplier=multiplier, count=count, width=width)
        except UsageError as error:
            raise WireError(str(error)) from None


def at_most(value: float, *, digits: int = 4) -> str:
    """An upper bound for people: in so many digits, rounded up, so that words never claim less than was spent."""
    return _in_digits(value, digits, ROUND_CEILING)


def at_least(value: float, *, digits: int = 4) -> str:
    """A lower bound for people: in so many digits, rounded down."""
    return _in_digits(value, digits, ROUND_FLOOR)


def epsilon_of(events: Iterable[NoisySums], *, delta: float) -> float:
    """An upper bound on the epsilon, at this delta, of all events together, chosen one after the other at will.

    Adaptive composition of Gaussian mechanisms is one Gaussian mechanism whose squared noise multipliers add up as
    reciprocals (Dong, Roth and Su, "Gaussian differential privacy", 2022, corollary 3.3). Its privacy loss
    distribution is then discretised so that the result can only be too large. The noise itself is not exactly
    Gaussian; what is known of the gap (`noise`) is added. No event costs 0; an epsilon out of reach is infinity.

    Raises:
        UsageError: a delta outside (0, 1).
    """
    _check_delta(delta)
    events = tuple(events)
    if not events:
        return 0.0
    noise_multiplier, numbers = _as_one(events)
    epsilon = _gaussian_epsilon(noise_multiplier, delta * (1 - 2 * _SET_ASIDE)) + 4 * numbers * MULTIPLICATIVE_GAP
    too_much = epsilon > 100 or (1 + math.exp(epsilon)) * numbers * ADDITIVE_GAP > delta * _SET_ASIDE
    return math.inf if too_much else epsilon


def advantage_of(events: Iterable[NoisySums]) -> float:
    """An upper bound on true minus false positive rate of any test of whether one record was there.

    It is the total variation distance between neighbours, that is the delta that goes with epsilon 0.
    """
    events = tuple(events)
    if not events:
        return 0.0
    noise_multiplier, numbers = _as_one(events)
    if noise_multiplier < _SMALLEST_NOISE:
        return 1.0
    advantage = float(_privacy_loss(noise_multiplier).get_delta_for_epsilon(0.0))
    return min(1.0, advantage + 4 * numbers * (MULTIPLICATIVE_GAP + ADDITIVE_GAP))


@lru_cache(maxsize=256)
def noise_for(*, epsilon: float, delta: float, steps: int = 1, width: int = 1) -> float:
    """The noise multiplier of each of `steps` noisy sums of `width` numbers that together cost at most epsilon.

    It is the exact one of the Gaussian mechanism, stepped up until the upper bound of `epsilon_of` agrees.

    Raises:
        UsageError: an epsilon, delta or number of steps that has no meaning or no noise that Holdfast can draw.
    """
    check_budget(epsilon=epsilon, delta=delta)
    if steps < 1 or width < 1:
        raise UsageError(f"expected 1 or more steps of 1 or more numbers, got {steps} of {width}")
    exact = _exact_noise(epsilon, delta) * math.sqrt(steps)
    step = _FIRST_STEP
    while step < 1:
        noise_multiplier = exact * (1 + step)
        event = NoisySums(noise_multiplier=noise_multiplier, count=steps, width=width)
        if epsilon_of([event], delta=delta) <= epsilon:
            return noise_multiplier
        step *= 1.5
    raise UsageError(f"no noise gives epsilon {epsilon} at delta {delta} for {steps} sums of {width} numbers")


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


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise UsageError(
            f"expected a delta between 0 and 1, got {delta}", hint="take one well below 1 / number of records"
        )


def _in_digits(value: float, digits: int, rounding: str) -> str:
    rounded = Context(prec=digits, rounding=rounding).create_decimal(repr(float(value)))
    return f"{float(rounded):.{digits}g}"


def _as_one(events: tuple[NoisySums, ...]) -> tuple[float, int]:
    """The noise multiplier of the one Gaussian mechanism that the events amount to, and how many numbers they have."""
    noise_multiplier = sum(event.count / event.noise_multiplier**2 for event in events) ** -0.5
    return noise_multiplier, sum(event.count * event.width for event in events)


@lru_cache(maxsize=1024)
def _gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """Epsilon of one Gaussian mechanism, rounded up."""
    if noise_multiplier < _SMALLEST_NOISE:
        return math.inf
    return float(_privacy_loss(noise_multiplier).get_epsilon_for_delta(delta))


def _privacy_loss(noise_multiplier: float) -> Any:
    """The privacy loss distribution of one Gaussian mechanism, rounded against us."""
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution.from_gaussian_mechanism(noise_multiplier, pessimistic_estimate=True)


def _exact_noise(epsilon: float, delta: float) -> float:
    """The noise multiplier where a Gaussian mechanism has exactly this epsilon (Balle and Wang 2018, theorem 8)."""

    def excess(log_noise: float) -> float:
        mu = math.exp(-log_noise)
        first, second = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
        return float(math.exp(first) - math.exp(second) - delta)

    return math.exp(brentq(excess, math.log(1e-2), math.log(1e8), xtol=1e-13))
