"""A network as a chain: layers that each look at a neighbourhood, then a dense layer over all they give, then the rest.

Most small convolutional networks are one. A change in one window of a picture then moves one window of what each layer
gives, and nothing else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

Pair = tuple[int, int]
"""A number for the height and one for the width; or start and stop along one of them."""

_POINTWISE: Final = (nn.BatchNorm2d, nn.ELU, nn.GELU, nn.LeakyReLU, nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Tanh)
"""In evaluation mode each of their outputs depends on the input of its own place alone."""
_IDLE: Final = (nn.Dropout, nn.Dropout2d, nn.Identity)
"""In evaluation mode they do nothing."""
_FUNCTIONS: Final = (
    *(functional.relu, torch.relu, torch.sigmoid, torch.tanh),
    *(operator.add, operator.mul, operator.sub, operator.truediv),
)
_RESHAPING: Final = (torch.flatten, "flatten", "reshape", "size", "view")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of which every output looks at a rectangle of the inputs, and what follows it place by place.

    Args:
        run: from inputs (n, channels, height, width) that are padded already to outputs.
        after: from outputs to what the next layer is given, each from the output of its own place.
        linear: whether `run` is, but for a constant.
        extent: height and width of the rectangle.
        stride: how far the rectangles of neighbouring outputs are apart.
        padding: zeros around the inputs, on each side.
    """

    run: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor] = lambda x: x
    linear: bool = False
    extent: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)

    @property
    def pointwise(self) -> bool:
        """Whether an output looks at the input of its own place and at no other."""
        return self.extent == self.stride == (1, 1) and self.padding == (0, 0)

    def then(self, after: Layer) -> Layer:
        """This layer with a pointwise one after it."""
        return replace(self, after=lambda x: after.run(self.after(x)))

    def reached(self, axis: int, inputs: Pair, size: int) -> Pair:
        """Start and stop of the outputs that look at these, of `size` inputs; one output at least.

        Inputs are counted from where the padding starts, here and in `seen`.
        """
        extent, stride = self.extent[axis], self.stride[axis]
        first = -((extent - 1 - inputs[0]) // stride)  # rounded up
        last = min(inputs[1] - 1, size - extent) // stride
        return max(min(first, last), 0), last + 1

    def seen(self, axis: int, outputs: Pair) -> Pair:
        """Start and stop of what these outputs look at."""
        extent, stride = self.extent[axis], self.stride[axis]
        return outputs[0] * stride, (outputs[1] - 1) * stride + extent


@dataclass(frozen=True)
class Chain:
    """A network in three parts.

    Args:
        layers: from pictures to features (n, channels, height, width).
        dense: from all features of a picture, flat, to sums.
        rest: from those to logits.
    """

    layers: tuple[Layer, ...]
    dense: nn.Linear
    rest: nn.Module


def chain_of(module: nn.Module) -> Chain | None:
    """A module in evaluation mode as a chain, or None where it is none.

    Raises:
        Exception: whatever PyTorch raises for a module that it cannot follow, such as one with a choice in it.
    """
    traced = fx.symbolic_trace(module)
    start, *steps = (node for node in traced.graph.nodes if node.op != "get_attr")
    at, layers = start, list[Layer]()
    while list(at.users) == steps[:1] and (layer := _layer(traced, steps[0], at)) is not None:
        layers = [*layers[:-1], layers[-1].then(layer)] if layers and layer.pointwise else [*layers, layer]
        at = steps.pop(0)
    while _reshapes(traced, steps[0]):
        at = steps.pop(0)
    dense = _part(traced, steps[0])
    if type(dense) is not nn.Linear or steps[0].args != (at,) or len(at.users) > 1:
        return None
    _begin_after(traced, start, steps[0])
    return Chain(tuple(layers), dense, traced)


def _begin_after(traced: fx.GraphModule, start: fx.Node, at: fx.Node) -> None:
    """Let a graph take what one of its nodes gives, in place of its own input."""
    with traced.graph.inserting_after(at):
        given = traced.graph.placeholder("given")
    at.replace_all_uses_with(given)
    traced.graph.eliminate_dead_code()
    traced.graph.erase_node(start)
    traced.recompile()


def _part(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _reshapes(traced: fx.GraphModule, node: fx.Node) -> bool:
    return node.target in _RESHAPING or type(_part(traced, node)) in (nn.Flatten, *_IDLE)


def _layer(traced: fx.GraphModule, node: fx.Node, at: fx.Node) -> Layer | None:
    """A node that takes `at` as a layer, or None where it is none."""
    part = _part(traced, node)
    if part is None:
        return _function(traced, node, at) if node.target in _FUNCTIONS else None
    if type(part) is nn.Conv2d:
        return _convolution(part)
    if type(part) in (nn.MaxPool2d, nn.AvgPool2d):
        return _pool(part)
    return _pointwise(part) if type(part) in (*_POINTWISE, *_IDLE) else None


def _pointwise(part: nn.Module) -> Layer:
    """Without writing to its input, which is remembered."""
    return Layer(run=(lambda x: part(x.clone())) if getattr(part, "inplace", False) else part)


def _convolution(part: nn.Conv2d) -> Layer | None:
    if part.padding_mode != "zeros" or isinstance(part.padding, str):
        return None

    def run(x: Tensor) -> Tensor:
        return functional.conv2d(x, part.weight, part.bias, part.stride, 0, part.dilation, part.groups)

    (high, wide), (down, across) = _pair(part.kernel_size), _pair(part.dilation)
    extent, stride, padding = (down * (high - 1) + 1, across * (wide - 1) + 1), _pair(part.stride), _pair(part.padding)
    if padding != (0, 0) and any(step > size for step, size in zip(stride, extent, strict=True)):
        return None  # the output nearest to a change in a gap may look at padding alone
    return Layer(run=run, linear=True, extent=extent, stride=stride, padding=padding)


def _pool(part: Any) -> Layer | None:
    if part.ceil_mode or _pair(part.padding) != (0, 0) or _pair(getattr(part, "dilation", 1)) != (1, 1):
        return None
    linear = type(part) is nn.AvgPool2d
    return Layer(run=part, linear=linear, extent=_pair(part.kernel_size), stride=_pair(part.stride))


def _function(traced: fx.GraphModule, node: fx.Node, at: fx.Node) -> Layer | None:
    """A function of what comes in, of numbers, and of tensors that are the same at every place."""
    values = [None if argument is at else _constant(traced, argument) for argument in node.args]
    if values.count(None) != 1:
        return None
    place, function, options = values.index(None), node.target, dict(node.kwargs)
    if function is functional.relu:
        return Layer(run=torch.relu)  # whatever it was told, this one does not write to its input

    def run(x: Tensor) -> Tensor:
        answer: Tensor = function(*values[:place], x, *values[place + 1 :], **options)  # type: ignore[operator]
        return answer

    return Layer(run=run)


def _constant(traced: fx.GraphModule, argument: object) -> object:
    """A number, or a tensor of the module that is the same at every place; None for anything else."""
    if isinstance(argument, fx.Node) and argument.op == "get_attr":
        held: Tensor = operator.attrgetter(str(argument.target))(traced)
        return held if held.numel() == 1 or held.shape[-2:] == (1, 1) else None
    return argument if isinstance(argument, int | float) else None


def _pair(value: int | Iterable[int]) -> Pair:
    high, wide = (value, value) if isinstance(value, int) else value
    return high, wide
