"""How a method divides its budget: each of its parts gets a share, and all parts together cost epsilon at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.training.account.accounting import noise_for
from holdfast.training.account.events import NoisySums

_SLACK: Final = 1 + 2.0**-40
"""Shares are rounded when they are divided; with this much more noise, their sum cannot pass the whole."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Part of a method: noisy sums over all records, taken one after the other.

    Args:
        share: of the budget, counted in 1 / noise_multiplier², in which noisy sums add up.
        count: how many sums.
        width: how many numbers each has.
    """

    share: float
    count: int
    width: int


def planned_events(parts: Sequence[Part], *, epsilon: float, delta: float) -> tuple[NoisySums, ...]:
    """The event of each part, such that all of them cost at most epsilon at delta. The shares add up to 1 at most.

    Raises:
        UsageError: an epsilon or delta that has no meaning.
    """
    numbers = sum(part.count * part.width for part in parts)
    whole = noise_for(epsilon=epsilon, delta=delta, width=numbers) * _SLACK
    return tuple(
        NoisySums(noise_multiplier=whole / (part.share / part.count) ** 0.5, count=part.count, width=part.width)
        for part in parts
    )
