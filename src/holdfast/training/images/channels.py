"""Private standardisation of channels: the mean and spread of each, from one noisy sum.

A linear model on channels that differ in size sees the large ones alone, and clipping and noise make that worse. The
mean and the mean square of a channel over the places of a picture are bounded numbers, so one noisy sum of both, for
all channels together, costs little: `plan` gives it a twentieth of the budget.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.data import Matrix
from holdfast.training.account.events import NoisySums
from holdfast.training.release.mechanism import noisy_sum, on_grid

LARGEST: Final = 4.0
"""Standard deviations; what lies further from the mean is moved to there."""
_CLIP: Final = 2.0
"""Root mean square of the 2 * channels numbers of a picture, above which they are scaled down."""
_VISIBLE: Final = 2.0
"""Standard deviations of the noise; a variance below it cannot be told from none."""
_SMALLEST_VARIANCE: Final = 0.02
"""Of the mean variance; a channel that spreads less is not stretched further, however well it is seen."""


class Standardise(nn.Module):
    """Responses (…, channels, height, width), of any float type, to standardised rows (…, numbers) of 32 bits.

    Args:
        centre: (channels,) what each is moved by.
        stretch: (channels,) what it is then multiplied with.
    """

    centre: Tensor
    stretch: Tensor

    def __init__(self, centre: Matrix, stretch: Matrix) -> None:
        super().__init__()
        self.register_buffer("centre", torch.from_numpy(centre).float()[:, None, None])
        self.register_buffer("stretch", torch.from_numpy(stretch).float()[:, None, None])

    def forward(self, responses: Tensor) -> Tensor:
        """Shapes as above."""
        standard = (responses.float() - self.centre).mul_(self.stretch)
        return standard.clamp_(-LARGEST, LARGEST).flatten(-3)


def summaries(responses: Tensor) -> Matrix:
    """(pictures, 2 * channels) the mean of each channel over its places, and the mean square."""
    flat = responses.double().flatten(2)
    return torch.cat([flat.mean(2), flat.square().mean(2)], 1).numpy()


def learn_channels(summary: Matrix, event: NoisySums) -> Standardise:
    """Where channels lie and how far they spread.

    Args:
        summary: (pictures, 2 * channels) from `summaries`. The number of pictures is public.
        event: one noisy sum of 2 * channels numbers, already entered.
    """
    records, numbers = summary.shape
    bound = _CLIP * numbers**0.5
    rows = on_grid(summary)
    (total,) = noisy_sum(rows, np.ones((records, 1)), clip_norm=bound, noise_multiplier=event.noise_multiplier)
    mean, square = (total / records).reshape(2, -1)
    variance = square - mean**2
    visible = _VISIBLE * event.noise_multiplier * bound / records
    spread = np.maximum(variance, max(visible, _SMALLEST_VARIANCE * float(variance.mean())))
    return Standardise(mean, spread**-0.5)
