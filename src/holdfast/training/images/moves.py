"""Pictures turned, scaled, slanted and shifted a little: what a camera or a hand does, and no class depends on.

A moved copy is a function of its own picture and of coins that are no secret. All copies of a picture are clipped
together (augmentation multiplicity, De et al. 2022), so they cost time and memory and no epsilon.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_TURN: Final = math.radians(10)
_SCALE: Final = 0.12
_SLANT: Final = 0.15
_SHIFT: Final = 0.14
"""Of half a side: two pixels of 28."""


def moved(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """(pictures, height, width, channels) from 0 to 255, each moved by coins of its own; edges go on outside."""
    turn, scale, slant, right, down = 2 * torch.rand((5, len(pixels)), generator=generator) - 1
    cosine, sine = torch.cos(turn * _TURN) * (1 + _SCALE * scale), torch.sin(turn * _TURN) * (1 + _SCALE * scale)
    first = torch.stack([cosine, _SLANT * slant - sine, _SHIFT * right], dim=1)
    second = torch.stack([sine, cosine, _SHIFT * down], dim=1)
    pictures = pixels.permute(0, 3, 1, 2).float()
    grid = functional.affine_grid(torch.stack([first, second], dim=1), list(pictures.shape), align_corners=False)
    answers: Tensor = functional.grid_sample(pictures, grid, align_corners=False, padding_mode="border")
    return answers.permute(0, 2, 3, 1)
