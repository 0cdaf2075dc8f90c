"""PyTorch modules as users have them: recognised, and run. PyTorch is imported when a module is read."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.private_inference.networks.values import Vector

if TYPE_CHECKING:
    from torch import nn

_BATCH: Final = 500


def is_module(model: Any) -> bool:
    """Whether a model is a PyTorch module; PyTorch is not imported for it."""
    return any(base.__module__ == "torch.nn.modules.module" for base in type(model).__mro__)


def module_shape(module: nn.Module, X: NDArray[Any]) -> tuple[int, ...]:
    """The shape of one input; images without an axis of channels get one where the module convolves."""
    from torch import nn

    shape = X.shape[1:]
    return (1, *shape) if len(shape) == 2 and any(isinstance(m, nn.Conv2d) for m in module.modules()) else shape


def module_scores(module: nn.Module, shape: tuple[int, ...]) -> Callable[[NDArray[Any]], Vector]:
    """The module itself, in evaluation mode, as a function of rows (rows, …)."""
    import torch

    frozen = copy.deepcopy(module).eval()
    dtype = next((parameter.dtype for parameter in frozen.parameters()), torch.float32)

    def scores(X: NDArray[Any]) -> Vector:
        rows = torch.as_tensor(np.asarray(X).reshape(len(X), *shape), dtype=dtype)
        with torch.no_grad():
            parts = [frozen(rows[i : i + _BATCH]).double().numpy() for i in range(0, len(rows), _BATCH)]
        return np.concatenate(parts).reshape(len(X), -1)

    return scores
