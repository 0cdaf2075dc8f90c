"""The privacy loss of Gaussian sums, sampled or not, composed by `dp_accounting` and rounded against us.

Neighbours differ by the records of one group, all of them there or none. Of a group of k records, each sampled with
rate q, Binomial(k, q) are in a sum, so the sum is a mixture of Gaussians with sensitivities 0 to k; that pair of
distributions dominates the mechanism, and its compositions (Ganesh, "Tight group-level DP guarantees for DP-SGD with
sampling via mixture of Gaussians mechanisms", 2024; Choquette-Choo, Ganesh, Steinke and Thakurta, "Privacy
amplification for matrix mechanisms", 2024, corollary 4.7). Both directions count: a group joins, a group leaves.

`dp_accounting` takes a second to import, so it is imported where it is used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, Final

import numpy as np
from scipy.special import bdtrc, comb, logsumexp

from holdfast.data import Matrix
from holdfast.training.account.events import Event, SampledSums

SMALLEST_NOISE: Final = 0.05
"""Noise over sensitivity below which epsilon counts as out of reach; the distributions would fill the memory."""
LARGEST_MEAN_LOSS: Final = 100.0
"""Mean loss above which epsilon counts as out of reach; at any delta that is of use, it is larger than the mean."""

_SUMMING_GAP: Final = 2.0**-44
"""Of delta: rounding in probabilities that were computed and added up, thousands of them to 2**-53 each."""
_TRANSFORM_GAP: Final = 2.0**-50
"""Of delta, for each release: rounding in the Fourier transforms, which dp_accounting does not count. A transform of
numbers that add up to 1 is right to some 2**-52, and its n-th power to n times as much."""
_RARE: Final = 2.0**-80
"""So improbable a number of a group's records in one sample is left out, and paid for in delta."""
_POINTS: Final = 100
"""Grid points, at least, in one standard deviation of the composed loss …"""
_POINTS_EACH: Final = 16
"""… and in one of an average release. Moving a loss to the points beside it adds at most a quarter of the grid's square
to the variance, so to a release's a share of 1 / (4 · 16²), a thousandth, and to epsilon less."""
_LARGEST_GRID: Final = 2.0**17
"""Grid points of one release's whole distribution; up to that, the grid is as fine as the two above say. Beyond it,
with sampling rates of some 1 / 10,000, epsilon is a few hundredths too large where it is small, and a thousandth where
it is not."""
_LARGEST_SUM: Final = 2.0**20
"""Grid points of the composed loss. That is as fine as above for ten million releases; for a hundred million epsilon is
four thousandths too large."""
_ONE_ROUND: Final = 100_000
"""Equal releases up to which a single round of composing them is quick: 0.1 s."""


@dataclass(frozen=True, order=True)
class Release:
    """Equal releases: so many sums, each over a sample of this rate, with noise in units of a record's bound."""

    noise_multiplier: float
    sampling_rate: float
    count: int


def releases_of(events: Iterable[Event]) -> tuple[Release, ...]:
    """The events in one order, equal ones together, and all sums over all records as the one that they amount to.

    Adaptive composition of Gaussian mechanisms is one Gaussian mechanism whose squared noise multipliers add up as
    reciprocals (Dong, Roth and Su, "Gaussian differential privacy", 2022, corollary 3.3).
    """
    sampled: Counter[tuple[float, float]] = Counter()
    whole: list[float] = []
    for event in events:
        if isinstance(event, SampledSums) and event.sampling_rate < 1:
            sampled[event.noise_multiplier, event.sampling_rate] += event.count
        else:
            whole.append(event.count / event.noise_multiplier**2)
    together = (Release(math.fsum(whole) ** -0.5, 1.0, 1),) if whole else ()
    return (*together, *sorted(Release(noise, rate, count) for (noise, rate), count in sampled.items()))


@dataclass(frozen=True, eq=False)
class PrivacyLoss:
    """What can be read from a privacy loss distribution, with rounding paid for: upper bounds both.

    Args:
        distribution: of `dp_accounting`, pessimistic; None where the loss is out of reach.
        rounding: what any delta read from it may be too small by.
        left_out: total variation distance, at most, between what is described and what was done.
    """

    distribution: Any | None
    rounding: float = 0.0
    left_out: float = 0.0

    def epsilon(self, delta: float) -> float:
        """An upper bound on epsilon at this delta; infinity where it is out of reach."""
        if self.distribution is None or delta <= self.rounding:
            return math.inf
        return float(self.distribution.get_epsilon_for_delta(delta - self.rounding))

    def delta(self, epsilon: float) -> float:
        """An upper bound on delta at this epsilon."""
        if self.distribution is None:
            return 1.0
        return float(self.distribution.get_delta_for_epsilon(epsilon)) + self.rounding


@lru_cache(maxsize=8)
def compose(releases: tuple[Release, ...], group_size: int) -> PrivacyLoss:
    """The privacy loss of all releases together, for groups of this size, discretised so that it can only be too large.

    The way of rounding is "connect the dots" (Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022).
    """
    mixtures = [_Mixture.of(release, group_size) for release in releases]
    counts = [release.count for release in releases]
    grid = _grid(mixtures, counts)
    if grid is None:
        return PrivacyLoss(None)
    losses = (_many(mixture.loss(grid), count) for mixture, count in zip(mixtures, counts, strict=True))
    whole = reduce(lambda one, other: one.compose(other), losses)
    rounding = _SUMMING_GAP + sum(counts) * _TRANSFORM_GAP
    return PrivacyLoss(whole, rounding, left_out=sum(counts) * _RARE if group_size > 1 else 0.0)


def _many(loss: Any, count: int) -> Any:
    """The loss of so many equal releases.

    `dp_accounting` bounds how far a composed loss spreads by Chernoff's bound at orders that suit one release; for
    millions of them it allows for hundreds of times the spread, and takes that much longer. So many are composed in
    two rounds. What a round cuts off, 1e-15 of the probability, counts as infinite loss; the second round multiplies
    that by the root of the count at most, which is far less than what `_TRANSFORM_GAP` sets aside.
    """
    if count <= _ONE_ROUND:
        return loss.self_compose(count)
    rounds, rest = divmod(count, math.isqrt(count))
    some = loss.self_compose(math.isqrt(count)).self_compose(rounds)
    return some.compose(loss.self_compose(rest)) if rest else some


@dataclass(frozen=True, eq=False)
class _Mixture:
    """One release: how many of a group may be in its sum, and how probable each number is."""

    noise_multiplier: float
    sizes: Matrix
    weights: Matrix

    @classmethod
    def of(cls, release: Release, group_size: int) -> _Mixture:
        """What a group of this size makes of a release."""
        if release.sampling_rate == 1:
            return cls(release.noise_multiplier, np.array([float(group_size)]), np.ones(1))
        rate, every = release.sampling_rate, np.arange(group_size + 1)
        some = np.append([True, True], bdtrc(every[1:-1], group_size, rate) > _RARE)  # none, one, and which others
        sizes = every[some].astype(np.float64)
        weights = comb(group_size, sizes) * rate**sizes * (1 - rate) ** (group_size - sizes)
        return cls(release.noise_multiplier, sizes, weights / weights.sum())

    @property
    def reach(self) -> float:
        """The largest loss that noise within ten standard deviations gives, and somewhat more."""
        ratio = float(self.sizes[-1]) / self.noise_multiplier
        return 10 * ratio + ratio**2

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and variance of the loss where a group leaves. They choose the grid and bound nothing."""
        far = 10 * self.noise_multiplier
        x = np.linspace(-far, self.sizes[-1] + far, 4_001)[:, None]
        exponents = (2 * x - self.sizes) * self.sizes / (2 * self.noise_multiplier**2)
        loss = logsumexp(exponents, b=self.weights, axis=1)
        density = (self.weights * np.exp(-(((x - self.sizes) / self.noise_multiplier) ** 2) / 2)).sum(axis=1)
        density /= density.sum()
        mean = float(density @ loss)
        return mean, float(density @ (loss - mean) ** 2)

    def loss(self, grid: float) -> Any:
        """The privacy loss distribution of this release, in both directions."""
        from dp_accounting.pld import privacy_loss_distribution as pld

        if len(self.sizes) == 1:
            return pld.from_gaussian_mechanism(
                self.noise_multiplier, sensitivity=float(self.sizes[0]), value_discretization_interval=grid
            )
        if len(self.sizes) == 2:  # the same as a mixture, many times as fast
            return pld.from_gaussian_mechanism(
                self.noise_multiplier, sampling_prob=float(self.weights[1]), value_discretization_interval=grid
            )
        return pld.from_mixture_gaussian_mechanism(
            self.noise_multiplier, self.sizes, self.weights, value_discretization_interval=grid
        )


def _grid(mixtures: list[_Mixture], counts: list[int]) -> float | None:
    """The distance of grid points, as a share of how far the loss spreads; None where the loss is out of reach."""
    if any(mixture.noise_multiplier < SMALLEST_NOISE * mixture.sizes[-1] for mixture in mixtures):
        return None
    moments = [mixture.moments for mixture in mixtures]
    if sum(count * mean for count, (mean, _) in zip(counts, moments, strict=True)) > LARGEST_MEAN_LOSS:
        return None
    spread = math.sqrt(sum(count * variance for count, (_, variance) in zip(counts, moments, strict=True)))
    fine = spread / max(_POINTS, _POINTS_EACH * math.sqrt(sum(counts)))
    return max(fine, 20 * spread / _LARGEST_SUM, max(mixture.reach for mixture in mixtures) / _LARGEST_GRID)
