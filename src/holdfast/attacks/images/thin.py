"""Gradients by the pixels at less cost.

The first convolution of a network sees one channel or three, and its gradient by the pixels, which attacks need and
training does not, is what the processor's library is slowest at: more than half of the time of a small network. As one
matrix product and a sum of overlapping patches it takes a quarter of that, and is the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_CHANNELS: Final = 4
"""With more of them the library is as fast."""
_ROWS: Final = 16
"""Pictures whose patches are summed together, so that they stay in the processor's cache."""


@contextmanager
def thin_convolutions(module: nn.Module) -> Iterator[None]:
    """Differentiate convolutions of few channels by the pixels faster for as long; weights must be frozen."""
    thin = [part for part in module.modules() if isinstance(part, nn.Conv2d) and _is_thin(part)]
    try:
        for part in thin:
            part.__dict__["forward"] = partial(_forward, part)
        yield
    finally:
        for part in thin:
            part.__dict__.pop("forward", None)


def _is_thin(part: nn.Conv2d) -> bool:
    """Whether it is an ordinary convolution of few channels that nobody has changed."""
    return (
        type(part) is nn.Conv2d
        and "forward" not in part.__dict__
        and part.in_channels <= _CHANNELS
        and part.groups == 1
        and part.padding_mode == "zeros"
        and not isinstance(part.padding, str)
    )


def _forward(part: nn.Conv2d, x: Tensor) -> Tensor:
    if torch.is_grad_enabled() and x.requires_grad:
        answer: Tensor = _ByPatches.apply(x, part)  # type: ignore[no-untyped-call]
        return answer
    return _plain(part, x)


def _plain(part: nn.Conv2d, x: Tensor) -> Tensor:
    return functional.conv2d(x, part.weight, part.bias, part.stride, part.padding, part.dilation)


class _ByPatches(torch.autograd.Function):
    """A convolution whose gradient is that of its patches, put back where they came from."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, part: nn.Conv2d) -> Tensor:
        ctx.part, ctx.weight, ctx.size = part, part.weight, x.shape[2:]
        return _plain(part, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        part, weight, count = ctx.part, ctx.weight.flatten(1).t(), -(-len(gradients[0]) // _ROWS)
        back = [
            functional.fold(
                weight @ gradient.flatten(2), ctx.size, part.kernel_size, part.dilation, part.padding, part.stride
            )
            for gradient in gradients[0].chunk(count)
        ]
        return torch.cat(back), None
