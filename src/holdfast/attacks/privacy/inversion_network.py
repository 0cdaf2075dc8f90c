"""What inversion needs of a network in PyTorch: a class's probability, and where it grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from holdfast.errors import UnsupportedError
from holdfast.extras import INSTALL_TORCH

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise UnsupportedError("inverting a network needs PyTorch, which is not installed", hint=INSTALL_TORCH) from None

Picture = npt.NDArray[np.float64]
"""(height, width, channels), from 0 to 1."""


def gradient_of(module: nn.Module) -> Callable[[Picture, int], Picture]:
    """From a picture and a class to the gradient, by the pixels, of the log of the class's probability."""

    def uphill(picture: Picture, label: int) -> Picture:
        pixels = _tensor(module, picture).requires_grad_()
        (gradient,) = torch.autograd.grad(_log_probability(module, pixels, label), pixels)
        return _picture(gradient)

    return uphill


def probability_of(module: nn.Module, picture: Picture, label: int) -> float:
    """The probability that a network gives a class for a picture."""
    with torch.no_grad():
        return float(_log_probability(module, _tensor(module, picture), label).exp())


def _log_probability(module: nn.Module, pixels: Tensor, label: int) -> Tensor:
    try:
        logits = module(pixels)
    except RuntimeError as error:
        shape = tuple(pixels.shape)
        raise UnsupportedError(f"the network does not take a picture of shape {shape}: {error}") from error
    if logits.ndim != 2 or len(logits) != 1 or not 0 <= label < logits.shape[1]:
        raise UnsupportedError(
            f"expected logits of shape (pictures, classes) with a class {label} from the network, "
            f"got shape {tuple(logits.shape)} for one picture"
        )
    return torch.log_softmax(logits, dim=1)[0, label]


def _tensor(module: nn.Module, picture: Picture) -> Tensor:
    like = next(module.parameters(), torch.empty(0))
    return torch.as_tensor(np.moveaxis(picture, -1, 0)[None].copy(), dtype=like.dtype, device=like.device)


def _picture(pixels: Tensor) -> Picture:
    return np.moveaxis(pixels[0].cpu().numpy().astype(np.float64), 0, -1)
