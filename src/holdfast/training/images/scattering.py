"""The scattering transform: features of pictures that nobody learned from records.

Bruna and Mallat, "Invariant scattering convolution networks" (2013): moduli of wavelet responses, averaged over places,
and the same of the moduli once more. A linear model on it does about as well on small pictures as a small convolutional
network, and better than that under the noise of private training, which has few weights to hide here (Tramèr and Boneh,
"Differentially private learning needs better features (or much more data)", 2021).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

ORIENTATIONS: Final = 8
CHANNELS: Final = 1 + 2 * ORIENTATIONS + ORIENTATIONS**2
"""For each channel of a picture: its average, the wavelets of two scales, and the coarse ones of the fine ones."""
STRIDE: Final = 4
"""Pixels between two places of the result."""
SMALLEST_SIDE: Final = 8
"""Pixels; the largest filter reaches 7 of them past the edge, where the picture is reflected."""

_FINE, _COARSE = 0.8, 1.6
"""Standard deviations of the two wavelets' envelopes, in pixels; the average is as wide as the coarse one."""
_FREQUENCY: Final = 0.75 * math.pi * _FINE
"""Of the wave, in radians per standard deviation of its envelope."""
_SLANT: Final = 4 / ORIENTATIONS
"""Width of an envelope across its wave's crests over that along them."""
TINY: Final = 1e-12
"""Under each root, so that it has a derivative everywhere."""


class ScatteringTransform(nn.Module):
    """Pictures to 81 channels for each of theirs, at every fourth pixel: a fixed map without anything to learn.

    Moving a picture by four pixels moves the result by one place; moving it by less changes it little. The result
    never differs by more than the pictures do, in L2 norm.

    Takes (pictures, channels, height, width) floats of pictures with sides of 8 pixels or more, and gives (pictures,
    81 * channels, ⌈height / 4⌉, ⌈width / 4⌉): averages, then responses of first order, fine and coarse, then those of
    second order; within each by channel, then by orientation.
    """

    fine: Tensor
    coarse: Tensor
    average: Tensor
    half_average: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fine", _wavelets(_FINE, half=3))
        self.register_buffer("coarse", _wavelets(_COARSE, half=7))
        self.register_buffer("average", _gaussian(_COARSE, half=6))
        self.register_buffer("half_average", _gaussian(_COARSE / 2, half=3))  # of what has every second pixel

    def forward(self, pictures: Tensor) -> Tensor:
        """Shapes as above."""
        fine = _modulus(pictures, self.fine, stride=1)
        halved = torch.cat([_modulus(part, self.coarse, stride=2) for part in (pictures, fine)], 1)
        parts = [_apply(part, self.average, stride=4) for part in (pictures, fine)]
        return torch.cat([*parts, _apply(halved, self.half_average, stride=2)], 1)


def edges(height: int, width: int) -> Tensor:
    """(orientations, 1, height, width) pictures of one edge through the middle, black beside white.

    They are what the size of a channel is measured by where no record may be looked at.
    """
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    angles = [math.pi * turn / ORIENTATIONS for turn in range(ORIENTATIONS)]
    return torch.stack([(math.cos(a) * x + math.sin(a) * y > 0).float() for a in angles])[:, None]


def _modulus(pictures: Tensor, wavelets: Tensor, *, stride: int) -> Tensor:
    """|response| of every channel to every wavelet: (pictures, channels * orientations, …)."""
    real, imaginary = _respond(pictures, wavelets, stride=stride).chunk(2, dim=1)
    sizes = torch.sqrt(real**2 + imaginary**2 + TINY)
    return sizes.reshape(len(pictures), -1, *sizes.shape[2:])


def _apply(pictures: Tensor, kernel: Tensor, *, stride: int) -> Tensor:
    """Every channel averaged by itself."""
    averages = _respond(pictures, kernel, stride=stride)
    return averages.reshape(len(pictures), -1, *averages.shape[2:])


def _respond(pictures: Tensor, kernels: Tensor, *, stride: int) -> Tensor:
    """(pictures * channels, kernels, …): every channel with every kernel, and reflections past the edges."""
    single = pictures.reshape(-1, 1, *pictures.shape[2:])
    return conv2d(pad(single, (kernels.shape[-1] // 2,) * 4, mode="reflect"), kernels, stride=stride)


def _wavelets(deviation: float, *, half: int) -> Tensor:
    """Morlet wavelets of all orientations: (2 * orientations, 1, side, side), real parts and then imaginary ones.

    A wave under a Gaussian envelope, less as much of the envelope as gives it the sum 0 (Bruna and Mallat 2013,
    section 2.1). A plane wave of its own frequency has a response of about 1.
    """
    y, x = _places(half)
    made = []
    for turn in range(ORIENTATIONS):
        angle = math.pi * turn / ORIENTATIONS
        u, v = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
        envelope = torch.exp(-(u**2 + (_SLANT * v) ** 2) / (2 * deviation**2))
        wave = envelope * torch.exp(1j * (_FREQUENCY / deviation) * u)
        made.append((wave - wave.sum() / envelope.sum() * envelope) * _SLANT / (2 * math.pi * deviation**2))
    together = torch.stack(made)
    return torch.cat([together.real, together.imag])[:, None].float()


def _gaussian(deviation: float, *, half: int) -> Tensor:
    """(1, 1, side, side) weights of an average, with the sum 1."""
    y, x = _places(half)
    weights = torch.exp(-(x**2 + y**2) / (2 * deviation**2))
    return (weights / weights.sum())[None, None].float()


def _places(half: int) -> tuple[Tensor, Tensor]:
    along = torch.arange(-half, half + 1, dtype=torch.float64)
    y, x = torch.meshgrid(along, along, indexing="ij")
    return y, x
