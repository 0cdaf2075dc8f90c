"""How many records fit into memory at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.training.sgd.forgetting import check_writes_nothing


def bytes_of_record(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Bytes that the clipped gradient of one record takes, about: each layer's inputs, outputs and their gradients.

    Args:
        module: stays as it is, and so does PyTorch's generator.
        inputs: of one record, with a first dimension of 1.

    Raises:
        UnsupportedError: the module would not stay as it is.
    """
    total = 0

    def count(_: nn.Module, taken: Any, given: Any) -> None:
        nonlocal total
        total += _bytes(taken) + 2 * _bytes(given)

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if not any(layer.children())]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            check_writes_nothing(module, lambda: module(*inputs))
    finally:
        for hook in hooks:
            hook.remove()
    return total


def _bytes(values: Any) -> int:
    if isinstance(values, Tensor):
        return values.numel() * values.element_size()
    return sum(map(_bytes, values)) if isinstance(values, (tuple, list)) else 0
