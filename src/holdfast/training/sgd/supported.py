"""Which modules can be accounted for example by example, and what to use in the place of those that cannot."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils import parametrize

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.layers.generic import by_rows
from holdfast.training.sgd.layers.rules import Rule, rule_for

_MOST_GROUPS: Final = 32
_REWRITTEN: Final = re.compile(r"weight.*_[gv]|.*_orig")
"""The parameters that the old weight norm, spectral norm and pruning put in the place of a layer's own."""


def taped_layers(module: nn.Module) -> tuple[tuple[nn.Module, Rule], ...]:
    """Every layer of the module that owns trainable parameters, with its rule.

    Raises:
        UnsupportedError: a layer that mixes examples or cannot be told apart; the hint says what to use.
    """
    found = []
    for name, layer in module.named_modules():
        where = f"{type(layer).__name__} {name!r}" if name else type(layer).__name__
        _refuse_kind(layer, where)
        if any(parameter.requires_grad for parameter in layer.parameters(recurse=False)):
            found.append((layer, _rule(layer, where)))
    return tuple(found)


def _refuse_kind(layer: nn.Module, where: str) -> None:
    for kind, (why, fix) in _REFUSED.items():
        if isinstance(layer, kind):
            raise UnsupportedError(f"{where} {why}", hint=fix(layer))
    if isinstance(layer, _InstanceNorm) and layer.track_running_stats:
        raise UnsupportedError(
            f"{where} keeps statistics of the examples it saw, without noise", hint="set track_running_stats=False"
        )
    if parametrize.is_parametrized(layer) or any(map(_REWRITTEN.fullmatch, _own(layer))):
        raise UnsupportedError(
            f"{where} computes its weight from other parameters, such as by weight or spectral norm or pruning",
            hint="remove that (torch.nn.utils.parametrize.remove_parametrizations); a norm over channels does as much",
        )
    if "forward" in layer.__dict__:
        raise UnsupportedError(
            f"{where} has a forward pass that was put in from outside",
            hint="write it as a method of a module of your own",
        )


def _rule(layer: nn.Module, where: str) -> Rule:
    if any(nn.parameter.is_lazy(parameter) for parameter in layer.parameters(recurse=False)):
        raise UnsupportedError(f"{where} has no shape yet", hint="pass one batch through the module first")
    rule = rule_for(layer)
    if rule is not None:
        return rule
    inside = [name for name, part in layer.named_children() if any(True for _ in part.parameters())]
    if inside:
        raise UnsupportedError(
            f"{where} owns {', '.join(_own(layer))} beside layers inside, so that its own use of them is not seen",
            hint="move each such parameter into a small module of its own: its forward takes x and gives x + offset",
        )
    return by_rows


def _own(layer: nn.Module) -> list[str]:
    return [name for name, _ in layer.named_parameters(recurse=False)]


def _group_norm(layer: Any) -> str:
    channels = layer.num_features
    return f"replace it by torch.nn.GroupNorm({math.gcd(_MOST_GROUPS, channels)}, {channels})"


_REFUSED: Final[dict[type, tuple[str, Callable[[Any], str]]]] = {
    _BatchNorm: ("normalises each example by all others in the batch", _group_norm),
    nn.EmbeddingBag: (
        "has no rule for bags of different lengths",
        lambda _: "use torch.nn.Embedding and average over the positions",
    ),
    nn.ParameterList: ("has no forward pass that could be followed", lambda _: "use a module for each parameter"),
    nn.ParameterDict: ("has no forward pass that could be followed", lambda _: "use a module for each parameter"),
    nn.AdaptiveLogSoftmaxWithLoss: (
        "picks its layers by the labels of the batch",
        lambda _: "use torch.nn.Linear and cross_entropy",
    ),
    torch.jit.ScriptModule: ("hides its layers", lambda _: "train the module before torch.jit.script"),
}
