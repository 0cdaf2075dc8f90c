"""Convolutions in one, two and three dimensions: a product over windows, one for each position of the output.

Windows are copied out channels-last, where each is a few runs of neighbouring numbers, and a few examples at a time,
so that they stay in the cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.training.sgd.layers.sums import in_blocks
from holdfast.training.sgd.layers.tape import Tape
from holdfast.training.sgd.layers.uses import Direct, ghost_norms, only

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d

_SLICE_NUMBERS: Final = 2**20
"""Windows held at a time: 4 MiB in single precision."""
_KEPT_NUMBERS: Final = 2**18
"""Gradients of up to so many numbers are written out per example: keeping 1 MiB is quicker than a second pass."""


@dataclass(frozen=True)
class Geometry:
    """How a kernel moves over its input; one number for each dimension of space."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution itself."""
        return torch.convolution(x, weight, bias, *self._options)

    def weight_gradient(self, x: Tensor, g: Tensor, weight: Tensor) -> Tensor:
        """Σ over rows of the gradient of the weight."""
        backward: Any = torch.ops.aten.convolution_backward
        found: Tensor = backward(g, x, weight, None, *self._options, [False, True, False])[1]
        return found

    def windows(self, x: Tensor) -> Tensor:
        """(rows, groups, positions, kernel numbers * channels of a group) of x (rows, channels, …)."""
        rows, channels = x.shape[:2]
        padding = [side for width in reversed(self.padding) for side in (width, width)]
        x = functional.pad(x.movedim(1, -1), (0, 0, *padding)).contiguous()
        space, strides = x.shape[1:-1], x.stride()[1:-1]
        shape = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in self._along(space)]
        view = x.view(rows, *space, self.groups, channels // self.groups)
        moves = [step * s for step, s in zip(strides, self.stride, strict=True)]
        reaches = [step * d for step, d in zip(strides, self.dilation, strict=True)]
        first, group, channel = view.stride(0), view.stride(-2), view.stride(-1)
        sizes = (rows, self.groups, *shape, *self.kernel, channels // self.groups)
        windows = view.as_strided(sizes, (first, group, *moves, *reaches, channel))
        return windows.reshape(rows, self.groups, math.prod(shape), -1)

    def weight_shaped(self, gradients: Tensor) -> Tensor:
        """(examples, outputs, channels, *kernel) of (examples, groups, outputs of a group, window)."""
        examples = len(gradients)
        outputs = gradients.shape[1] * gradients.shape[2]
        return gradients.reshape(examples, outputs, *self.kernel, -1).movedim(-1, 2)

    def _along(self, space: torch.Size) -> Any:
        return zip(space, self.kernel, self.stride, self.dilation, strict=True)

    @property
    def _options(self) -> tuple[Any, ...]:
        none = [0] * len(self.kernel)
        return self.stride, self.padding, self.dilation, False, none, self.groups


@dataclass(frozen=True, eq=False)
class WrittenOut:
    """A use of a convolution's weight: as (examples, groups, outputs of a group, window)."""

    values: Tensor
    geometry: Geometry

    def norms(self) -> Tensor:
        """See `Use`."""
        return Direct(self.values).norms()

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """See `Use`."""
        total = Direct(self.values).weighted_sum(factors)
        return self.geometry.weight_shaped(total[None])[0]

    def gradients(self) -> Tensor:
        """See `Use`."""
        return self.geometry.weight_shaped(self.values)

    def keeping(self, kept: Tensor) -> WrittenOut:
        """See `Use`."""
        return WrittenOut(only(self.values, kept), self.geometry)


@dataclass(frozen=True, eq=False)
class Convolved:
    """A use of a convolution's weight whose gradient is too large to write out for every example.

    Args:
        x: (rows, channels, …) what it was applied to.
        g: (rows, outputs, …) gradients of what came out.
        weight: its values do not matter.
        geometry: how it was applied.
        copies: rows of one example.
    """

    x: Tensor
    g: Tensor
    weight: Tensor
    geometry: Geometry
    copies: int

    def norms(self) -> Tensor:
        """See `Use`; ghost norms, some examples at a time."""
        return torch.cat([self._ghost(a, g) for a, g in _slices(self.x, self.g, self.geometry, self.copies)])

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """See `Use`."""
        by_row = factors.repeat_interleave(self.copies).view(-1, *[1] * (self.g.dim() - 1))
        return in_blocks(lambda x, g: self.geometry.weight_gradient(x, g, self.weight), self.x, self.g * by_row)

    def gradients(self) -> Tensor:
        """See `Use`."""
        return self.geometry.weight_shaped(written_out(self.x, self.g, self.geometry, self.copies))

    def keeping(self, kept: Tensor) -> Convolved:
        """See `Use`."""
        rows = kept.repeat_interleave(self.copies)
        return replace(self, x=only(self.x, rows), g=only(self.g, rows))

    def _ghost(self, a: Tensor, g: Tensor) -> Tensor:
        by_group = ghost_norms(a.flatten(0, 1), g.flatten(0, 1).transpose(1, 2))
        norms: Tensor = torch.linalg.vector_norm(by_group.view(-1, self.geometry.groups), dim=1)
        return norms


def convolution(layer: Convolution, tape: Tape, x: Tensor) -> Tensor:
    """The layer's forward pass, taped; x is (rows, channels, …)."""
    x, padding = _padded(layer, x)
    geometry = Geometry(layer.kernel_size, layer.stride, padding, layer.dilation, layer.groups)
    weight, bias = layer.weight, layer.bias
    y = geometry.convolve(x, weight.detach(), None if bias is None else bias.detach())

    def record(x: Tensor, g: Tensor) -> None:
        if bias is not None and tape.wants(bias):
            tape.add(bias, Direct(g.flatten(2).sum(2).view(tape.examples, tape.copies, -1).sum(1)))
        if tape.wants(weight):
            if _fits(weight, tape.copies * math.prod(g.shape[2:])):
                tape.add(weight, WrittenOut(written_out(x, g, geometry, tape.copies), geometry))
            else:
                tape.add(weight, Convolved(x, g, weight, geometry, tape.copies))

    return tape.watch(y, x, record)


def _fits(weight: Tensor, positions: int) -> bool:
    """Whether every example's gradient is written out: it is not much larger than what the ghost norm would take."""
    return weight.numel() <= max(_KEPT_NUMBERS, 2 * positions**2)


def written_out(x: Tensor, g: Tensor, geometry: Geometry, copies: int) -> Tensor:
    """(examples, groups, outputs of a group, window) every example's gradient."""
    return torch.cat([g @ a for a, g in _slices(x, g, geometry, copies)])


def _slices(x: Tensor, g: Tensor, geometry: Geometry, copies: int) -> Any:
    """Some examples at a time: windows (examples, groups, positions, …), gradients (examples, groups, …, positions)."""
    window = math.prod(geometry.kernel) * x.shape[1]
    numbers = window * math.prod(g.shape[2:]) * copies
    step = max(1, _SLICE_NUMBERS // numbers) * copies
    for some_x, some_g in zip(torch.split(x, step), torch.split(g, step), strict=True):
        a = geometry.windows(some_x)
        by_group = some_g.reshape(len(a), geometry.groups, -1, a.shape[2])
        yield _copies_as_positions(a, copies), _copies_as_positions(by_group.transpose(2, 3), copies).transpose(2, 3)


def _copies_as_positions(values: Tensor, copies: int) -> Tensor:
    """(examples, groups, copies * positions, width) of (rows, groups, positions, width)."""
    if copies == 1:
        return values
    _, groups, positions, width = values.shape
    by_example = values.reshape(-1, copies, groups, positions, width)
    return by_example.transpose(1, 2).flatten(2, 3)


def _padded(layer: Convolution, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """The input, padded where the convolution itself cannot, and what is left for it to pad."""
    if layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return x, layer.padding
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    return functional.pad(x, layer._reversed_padding_repeated_twice, mode=mode), (0,) * len(layer.kernel_size)
