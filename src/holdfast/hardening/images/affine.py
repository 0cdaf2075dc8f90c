"""The layers whose bounds are known: affine maps of every kind, each as a map of values and a map of widths."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UnsupportedError

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine:
    """x -> W x + b, without W written out.

    Args:
        apply: W x + b of a batch.
        spread: |W| r of a batch of widths r of 0 or more, where |W| has the absolute values.
        constants: the sizes of all that is added, |b|, of a shape that broadcasts over the output; for rounding.
        terms: the most products that are added up for one output, for rounding; 0 where values only move.
        matrix: W (outputs, inputs) where it is at hand.
    """

    apply: Map
    spread: Map
    constants: Tensor | float = 0.0
    terms: int = 0
    matrix: Tensor | None = None


def affine_of(layer: nn.Module) -> Affine | None:
    """The affine map that a layer is in evaluation mode; None for a layer that is none, or is not known.

    Raises:
        UnsupportedError: a known layer with an option that is not.
    """
    make = _OF_LAYER.get(type(layer))
    return None if make is None else make(layer)


def affine_of_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Affine | None:
    """The affine map that a function of one picture is, its other arguments being constants; None where it is none.

    Args:
        function: as `torch.fx` records it, such as `torch.flatten` or `operator.sub`.
        args: with None in the place of the picture, which comes first.
        kwargs: constants.
    """
    if function in _RESHAPES:
        reshape = partial(_reshaped, function, args[1:], kwargs)
        return Affine(apply=reshape, spread=reshape)
    if function in _ARITHMETIC and len(args) == 2 and not kwargs and args[0] is None:
        spread, added = _ARITHMETIC[function]
        return Affine(
            apply=partial(_with_constant, function, args[1]),
            spread=partial(spread, args[1]),
            constants=abs(args[1]) if added else 0.0,
            terms=2,
        )
    return None


def _linear(layer: nn.Linear) -> Affine:
    return Affine(
        apply=_plainly(layer),
        spread=lambda r: functional.linear(r, layer.weight.abs()),
        constants=_size(layer.bias),
        terms=layer.in_features + 1,
        matrix=layer.weight,
    )


def _convolution(layer: nn.Conv2d) -> Affine:
    if layer.padding_mode != "zeros":
        raise UnsupportedError(
            f"no bounds are known of a convolution with padding_mode={layer.padding_mode!r}",
            hint='pad with zeros: padding_mode="zeros"',
        )

    def spread(r: Tensor) -> Tensor:
        return functional.conv2d(r, layer.weight.abs(), None, layer.stride, layer.padding, layer.dilation, layer.groups)

    bias = _size(layer.bias)
    constants = bias if isinstance(bias, float) else bias[:, None, None]
    return Affine(apply=_plainly(layer), spread=spread, constants=constants, terms=layer.weight[0].numel() + 1)


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> Affine:
    """With the running statistics, whatever mode the layer is in."""
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        raise UnsupportedError(
            "no bounds are known of a BatchNorm without running statistics, as one picture then moves another",
            hint="keep them: track_running_stats=True",
        )

    def apply(x: Tensor) -> Tensor:
        return functional.batch_norm(x, mean, variance, layer.weight, layer.bias, training=False, eps=layer.eps)

    def spread(r: Tensor) -> Tensor:
        weight = None if layer.weight is None else layer.weight.abs()
        return functional.batch_norm(r, torch.zeros_like(mean), variance, weight, training=False, eps=layer.eps)

    shifted = spread(mean.abs().view(1, -1, *[1] * (2 if isinstance(layer, nn.BatchNorm2d) else 0)))
    constants = shifted + _size(layer.bias if layer.bias is None else layer.bias.view(shifted.shape[1:]))
    return Affine(apply=apply, spread=spread, constants=constants, terms=8)


def _average(layer: nn.AvgPool2d | nn.AdaptiveAvgPool2d) -> Affine:
    """An average has no negative weight, so that widths are averaged like values."""
    terms = _MOST_AVERAGED
    if isinstance(layer, nn.AvgPool2d):
        size = layer.kernel_size
        terms = size * size + 1 if isinstance(size, int) else size[0] * size[1] + 1
    return Affine(apply=_plainly(layer), spread=_plainly(layer), terms=terms)


def _unchanged(layer: nn.Module) -> Affine:
    """Layers that only move values to other places, or do nothing in evaluation mode."""
    move: Map = _plainly(layer) if isinstance(layer, nn.Flatten | nn.Unflatten) else _same
    return Affine(apply=move, spread=move)


def _plainly(layer: nn.Module) -> Map:
    """What the layer is by its type, whatever hooks or methods of its own were put on it."""
    return partial(type(layer).forward, layer)


def _same(x: Tensor) -> Tensor:
    return x


def _size(bias: Tensor | None) -> Tensor | float:
    return 0.0 if bias is None else bias.detach().abs()


def _reshaped(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], x: Tensor) -> Tensor:
    """Reshaped, with the number of pictures in the place of a None."""
    return torch.as_tensor(function(x, *[len(x) if each is None else each for each in args], **kwargs))


def _with_constant(function: Callable[..., Any], constant: Any, x: Tensor) -> Tensor:
    return torch.as_tensor(function(x, constant))


def _kept(constant: Any, r: Tensor) -> Tensor:
    """The same widths, for all values that a constant of another shape makes of one."""
    return torch.as_tensor(r + 0.0 * abs(constant))


def _times(constant: Any, r: Tensor) -> Tensor:
    return torch.as_tensor(r * abs(constant))


def _over(constant: Any, r: Tensor) -> Tensor:
    return torch.as_tensor(r / abs(constant))


_MOST_AVERAGED: Final = 1 << 12
"""A window whose size follows that of the picture has no more places than 64 by 64."""
_OF_LAYER: Final[dict[type[nn.Module], Callable[[Any], Affine]]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: _average,
    nn.Flatten: _unchanged,
    nn.Unflatten: _unchanged,
    nn.Identity: _unchanged,
    nn.Dropout: _unchanged,
    nn.Dropout2d: _unchanged,
}
_RESHAPES: Final = frozenset({torch.flatten, Tensor.flatten, Tensor.view, Tensor.reshape, torch.reshape})
_ARITHMETIC: Final[dict[Callable[..., Any], tuple[Callable[[Any, Tensor], Tensor], bool]]] = {
    operator.add: (_kept, True),
    operator.sub: (_kept, True),
    operator.mul: (_times, False),
    operator.truediv: (_over, False),
}
"""What each does to widths, and whether its constant is added."""
