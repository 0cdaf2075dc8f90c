"""Responses of pictures to the scattering transform, computed once and kept while they fit into memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from holdfast.data import Matrix
from holdfast.data.images import Images, Pixels
from holdfast.training.images.channels import summaries
from holdfast.training.images.moves import moved
from holdfast.training.images.network import Responses
from holdfast.training.polynomials.activations import Progress

_KEPT: Final = torch.float16
"""Responses are trained on to 3 digits, half the memory of more."""
_KEPT_BYTES: Final = 2
_SEED: Final = 0
"""Of the coins for moved copies, which are no secret."""


class ComputedAnew(Dataset[tuple[Tensor, Tensor]]):
    """Pictures as pairs of responses and a label, the responses computed whenever they are asked for."""

    def __init__(self, images: Images, responses: Responses, *, copies: int) -> None:
        self._images, self._responses, self._copies = images, responses, copies
        self._coins = torch.Generator().manual_seed(_SEED)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Several at once, as PyTorch's loaders ask for them."""
        chosen = self._images.take(rows)
        kept = _kept_form(self._responses, chosen.pixels, copies=self._copies, coins=self._coins)
        return list(zip(kept, torch.tensor(chosen.y), strict=True))


def features_of(
    images: Images, responses: Responses, *, copies: int, memory_cap_bytes: int, progress: Progress
) -> tuple[tuple[Tensor, Tensor] | ComputedAnew, Matrix]:
    """What to train on, (pictures, copies, …), and (pictures, 2 * channels) what to learn the channels from.

    Args:
        images: the pictures.
        responses: made for their size.
        copies: of each picture: itself, and others that are moved; the channels are learned from itself.
        memory_cap_bytes: if the responses of all pictures take more, they are computed anew in each step.
        progress: called with the pictures done and all of them.
    """
    fits = len(images) * copies * math.prod(responses.shape) * _KEPT_BYTES <= memory_cap_bytes
    kept = torch.empty((len(images), copies, *responses.shape), dtype=_KEPT) if fits else None
    coins = torch.Generator().manual_seed(_SEED)
    summary = np.empty((len(images), 2 * responses.shape[0]))
    for start in range(0, len(images), responses.at_once):
        rows = slice(start, start + responses.at_once)
        part = _kept_form(responses, images.pixels[rows], copies=copies if fits else 1, coins=coins)
        summary[rows] = summaries(part[:, 0])
        if kept is not None:
            kept[rows] = part
        progress(start + len(part), len(images))
    if kept is None:
        return ComputedAnew(images, responses, copies=copies), summary
    return (kept, torch.tensor(images.y)), summary


def _kept_form(responses: Responses, pixels: Pixels, *, copies: int, coins: torch.Generator) -> Tensor:
    """(pictures, copies, …) the responses of some pictures, as they are trained on."""
    still = torch.tensor(pixels)
    with torch.no_grad():
        answers = [responses(still if copy == 0 else moved(still, coins)).to(_KEPT) for copy in range(copies)]
    return torch.stack(answers, dim=1)
