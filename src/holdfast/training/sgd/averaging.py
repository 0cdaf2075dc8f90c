"""The average of the weights over the steps: free, as it only uses what is released."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError


class Average:
    """An exponential moving average of a module's weights, which noise moves less than the weights themselves.

    In step t the weight of the past is min(decay, (1 + t) / (10 + t)), so the first steps are forgotten soon (De et al.
    2022, section 3.4).

    Args:
        module: whose weights; buffers are taken as they are at the end.
        decay: from 0 up to, and not including, 1.

    Raises:
        UsageError: another decay.
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise UsageError(f"expected a decay from 0 up to below 1, got {decay}")
        self._module = module
        self._decay = decay
        self._steps = 0
        self._weights = [parameter.detach().clone() for parameter in module.parameters()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        self._steps += 1
        share = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._weights, list(self._module.parameters()), share)

    @torch.no_grad()
    def module(self) -> nn.Module:
        """A copy of the module with the averaged weights."""
        averaged = deepcopy(self._module)
        for parameter, weight in zip(averaged.parameters(), self._weights, strict=True):
            parameter.copy_(weight)
            parameter.grad = None
        return averaged

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; `restore` is its inverse."""
        return {"steps": self._steps, "weights": self._weights}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._steps = state["steps"]
        weights: list[Tensor] = state["weights"]
        for mine, weight in zip(self._weights, weights, strict=True):
            mine.copy_(weight)
