"""What a private training is to cost and to do, apart from what only makes it faster; and the plan that follows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from holdfast import limits
from holdfast.errors import DataError, UsageError
from holdfast.training.account.accounting import check_budget, noise_for_sampled
from holdfast.training.account.events import SampledSums
from holdfast.training.release.noise import SCALE_BITS
from holdfast.training.sgd.sampling import rate_of

_USUAL_MICRO_BATCH: Final = 1_280
"""The whole of nearly every sample of 1,024; 2 % of the clipping norm (`clip_margin`)."""
_USUAL_BYTES: Final = 64 * 2**20
"""About what a processor keeps near; a network whose batch takes more is quicker in parts that take less."""
_DEVIATIONS: Final = 6
"""A sample is larger than its average by as many standard deviations less than once in 10**8 steps."""
MOST_UNITS: Final = 2.0**62
"""Whole numbers up to it, and the noise, fit 64 bits."""


@dataclass(frozen=True, kw_only=True)
class PrivateSettings:
    """What decides the guarantee, and the training that has it.

    Args:
        epsilon: the most that the whole training may cost, at `delta`.
        delta: below 1 / number of records.
        batch_size: records in a step on average; each step draws anew.
        steps: how many, or
        epochs: how often a record takes part on average. One of the two.
        clip_norm: the largest L2 norm of one record's gradient, over all parameters together.
        copies: augmented copies of each record in a step; their mean gradient is clipped once, so they cost nothing
            (De et al., "Unlocking high-accuracy differentially private image classification through scale", 2022).

    Raises:
        UsageError: a number that means nothing.
    """

    epsilon: float
    delta: float
    batch_size: int
    steps: int | None = None
    epochs: float | None = None
    clip_norm: float = 1.0
    copies: int = 1

    def __post_init__(self) -> None:
        """Refuse what has no meaning, before anything is computed."""
        check_budget(epsilon=self.epsilon, delta=self.delta)
        if (self.steps is None) == (self.epochs is None):
            raise UsageError(f"expected steps or epochs, one of them, got {self.steps} and {self.epochs}")
        if self.batch_size < 1 or self.copies < 1:
            raise UsageError(f"expected a batch_size and copies of 1 or more, got {self.batch_size} and {self.copies}")
        if self.steps is not None and not 1 <= self.steps <= limits.MAX_SGD_STEPS:
            raise UsageError(f"expected 1 to {limits.MAX_SGD_STEPS} steps, got {self.steps}")
        if self.epochs is not None and not 0 < self.epochs < math.inf:
            raise UsageError(f"expected epochs above 0, got {self.epochs}")
        if not 1 / limits.MAX_CLIP_NORM <= self.clip_norm <= limits.MAX_CLIP_NORM:
            ends = f"{1 / limits.MAX_CLIP_NORM:g} to {limits.MAX_CLIP_NORM:g}"
            raise UsageError(f"expected a clip_norm from {ends}, got {self.clip_norm}")

    def steps_for(self, records: int) -> int:
        """The number of steps on so many records."""
        steps = self.steps if self.steps is not None else max(1, round((self.epochs or 0) * records / self.batch_size))
        if steps > limits.MAX_SGD_STEPS:
            raise UsageError(f"expected at most {limits.MAX_SGD_STEPS} steps, {self.epochs} epochs are {steps}")
        return steps

    def plan(self, *, records: int, width: int) -> SampledSums:
        """The event that the whole training is: the least noise that keeps it within epsilon.

        Args:
            records: in the data set. The number is public.
            width: numbers in a gradient.

        Raises:
            DataError: fewer than 2 records.
            UsageError: a batch larger than the data, a delta that allows to publish a record, or an epsilon that no
                noise reaches.
        """
        if records < 2:
            raise DataError(f"expected 2 records or more to train on, got {records}")
        if self.batch_size > records:
            raise UsageError(f"expected a batch_size of at most the {records} records, got {self.batch_size}")
        if self.delta * records >= 1:
            raise UsageError(
                f"expected a delta below 1 / {records} records, got {self.delta}",
                hint="publishing one record in full, drawn at random, has a delta of 1 / records; take a tenth of that",
            )
        rate, steps = rate_of(self.batch_size, records), self.steps_for(records)
        noise_multiplier = noise_for_sampled(
            epsilon=self.epsilon, delta=self.delta, sampling_rate=rate, steps=steps, width=width
        )
        if records / noise_multiplier * 2.0**SCALE_BITS > MOST_UNITS:
            raise UsageError(
                f"{records} records with noise multiplier {noise_multiplier:.3g} pass the range of exact sums"
            )
        return SampledSums(noise_multiplier=noise_multiplier, sampling_rate=rate, count=steps, width=width)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What changes memory and speed, and leaves the guarantee alone.

    Args:
        micro_batch: the most records whose gradients are computed at once; a step adds up as many micro-batches as it
            needs. If none is given, the whole sample where that takes 64 MiB or less, else what does; 1,280 at most.
        memory_cap_bytes: what their activations and gradients may take, about, in place of 64 MiB.
    """

    micro_batch: int | None = None
    memory_cap_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse a micro-batch that is none, or whose rounding is too much, and a cap that is none."""
        if self.micro_batch is not None and not 1 <= self.micro_batch <= limits.MAX_MICRO_BATCH:
            raise UsageError(f"expected a micro_batch of 1 to {limits.MAX_MICRO_BATCH} records, got {self.micro_batch}")
        if self.memory_cap_bytes is not None and self.memory_cap_bytes < 1:
            raise UsageError(f"expected a memory_cap_bytes of 1 or more, got {self.memory_cap_bytes}")

    def rows(self, *, batch_size: int, record_bytes: Callable[[], int]) -> int:
        """The most records at once.

        Args:
            batch_size: of the settings.
            record_bytes: gives what one record takes; asked for unless `micro_batch` alone decides.

        Raises:
            UsageError: not even one record fits under the cap.
        """
        if self.micro_batch is not None and self.memory_cap_bytes is None:
            return self.micro_batch
        one, cap = record_bytes(), self.memory_cap_bytes
        if cap is not None and one > cap:
            raise UsageError(f"expected a memory_cap_bytes of at least the {one} that one record takes")
        whole = batch_size + _DEVIATIONS * math.isqrt(batch_size)
        fitting = max(1, (cap or _USUAL_BYTES) // max(one, 1))
        return min(fitting, self.micro_batch or min(whole, _USUAL_MICRO_BATCH))
