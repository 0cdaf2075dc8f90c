"""A picture classifier as a PyTorch module: fixed responses, standardised channels, and a linear map."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from holdfast.training.images.channels import Standardise
from holdfast.training.images.scattering import CHANNELS, STRIDE, ScatteringTransform, edges

_PIXELS_AT_ONCE: Final = 256 * 28 * 28
"""Numbers of pictures that are transformed together; they take about 60 MB meanwhile."""
_MOST_AT_ONCE: Final = 512


class Responses(nn.Module):
    """Pixels from 0 to 255 to responses, in units of what the edges of `scattering.edges` give.

    Takes (pictures, height, width, channels), gives (pictures, 81 * channels, ⌈height / 4⌉, ⌈width / 4⌉).

    Args:
        height, width, channels: of a picture. The units depend on nothing else, so they cost nothing.

    Attributes:
        shape: of the responses of one picture.
        at_once: so many pictures at a time fit into little memory.
    """

    units: Tensor

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.shape = (CHANNELS * channels, -(-height // STRIDE), -(-width // STRIDE))
        self.at_once = min(_MOST_AT_ONCE, max(1, _PIXELS_AT_ONCE // (height * width * channels)))
        self.transform = ScatteringTransform()
        with torch.no_grad():
            answers = self.transform(edges(height, width).expand(-1, channels, -1, -1))
        self.register_buffer("units", answers.square().mean((0, 2, 3)).sqrt()[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Shapes as above."""
        answers: Tensor = self.transform(pixels.permute(0, 3, 1, 2).float() / 255)
        return answers / self.units


class PictureNetwork(nn.Module):
    """Pixels from 0 to 255, (pictures, height, width, channels), to scores (pictures, classes).

    Args:
        responses, standardise, linear: its three parts, one behind the other; nothing of it is left to train.
    """

    def __init__(self, responses: Responses, standardise: Standardise, linear: nn.Linear) -> None:
        super().__init__()
        self.responses, self.standardise, self.linear = responses, standardise, linear
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Shapes as above."""
        scores: Tensor = self.linear(self.standardise(self.responses(pixels)))
        return scores
