"""The recipe: what a training of pictures does and costs, from what is public alone.

Its constants were chosen on the training pictures of MNIST, all of them at epsilon 3 and some thousands at epsilon 8,
and are the same for all data. The number of pictures, their size and the budget decide the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.budget import Part, planned_events
from holdfast.training.account.events import NoisySums, SampledSums
from holdfast.training.sgd.settings import PrivateSettings

MOMENTUM: Final = 0.9
AVERAGE: Final = 0.98
"""Decay of the average of the weights, which is the result."""
_STEPS: Final = 500
_BATCH: Final = 17.5
"""Pictures in a step over the root of their number: 4,287 of 60,000."""
_CLIP_NORM: Final = 0.1
"""Below the gradient of nearly every picture, so that all weigh alike."""
_CHANNELS_SHARE: Final = 0.05
"""Of the budget, in which noisy sums add up, for the channels."""
_NOISE_STEP: Final = 0.02
"""What the noise of one step moves a score by, on a picture all of whose numbers are as large as is typical."""
_LARGEST_STEP: Final = 63.0
"""What a step moves a score by at most, where there is little noise."""
_LESS: Final = 0.99


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A training that was planned, and costs at most what was asked for.

    Args:
        channels: the event of the standardisation.
        gradients: the event of all steps.
        settings: of which `gradients` is the event.
        learning_rate: of stochastic gradient descent on clipped gradients.
    """

    channels: NoisySums
    gradients: SampledSums
    settings: PrivateSettings
    learning_rate: float


def plan_for(*, records: int, width: int, channels: int, classes: int, epsilon: float, delta: float) -> Plan:
    """The channels first, then the most epsilon for the gradients, by steps of a hundredth, that leaves it within.

    Args:
        records: pictures; public.
        width: numbers that the linear model takes of a picture.
        channels: of the features.
        classes: 2 or more.
        epsilon: the most that all of it may cost.
        delta: at which epsilon is stated.

    Raises:
        DataError, UsageError: see `PrivateSettings.plan`.
    """
    weights = classes * (width + 1)
    (first,) = planned_events([Part(share=_CHANNELS_SHARE, count=1, width=2 * channels)], epsilon=epsilon, delta=delta)
    left = epsilon * (1 - _CHANNELS_SHARE) ** 0.5
    while True:
        settings = PrivateSettings(
            epsilon=left,
            delta=delta,
            batch_size=min(records, round(_BATCH * records**0.5)),
            steps=_STEPS,
            clip_norm=_CLIP_NORM,
        )
        gradients = settings.plan(records=records, width=weights)
        if epsilon_of((first, gradients), delta=delta) <= epsilon:
            rate = _learning_rate(gradients.noise_multiplier / settings.batch_size, width=width)
            return Plan(channels=first, gradients=gradients, settings=settings, learning_rate=rate)
        left *= _LESS


def _learning_rate(noise: float, *, width: int) -> float:
    """Of the mean of clipped gradients, whose noise has this standard deviation in clipping norms.

    A typical standardised picture has the norm √width, so a step that moves the weights by v moves its scores by about
    √width · v.
    """
    return min(_NOISE_STEP / noise, _LARGEST_STEP) / (math.sqrt(width) * _CLIP_NORM)
