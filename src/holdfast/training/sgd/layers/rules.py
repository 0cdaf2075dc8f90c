"""Which rule tapes which layer, by type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from torch import nn

from holdfast.training.sgd.layers.affine import group_norm, instance_norm, layer_norm, prelu, rms_norm
from holdfast.training.sgd.layers.attention import attention
from holdfast.training.sgd.layers.convolution import convolution
from holdfast.training.sgd.layers.dense import embedding, linear
from holdfast.training.sgd.layers.recurrent import recurrent

Rule = Callable[..., Any]
"""rule(layer, tape, *inputs) gives what layer(*inputs) gives, with its parameters' uses on the tape."""

RULES: Final[dict[type[nn.Module], Rule]] = {
    nn.Linear: linear,
    nn.Embedding: embedding,
    nn.Conv1d: convolution,
    nn.Conv2d: convolution,
    nn.Conv3d: convolution,
    nn.RNN: recurrent,
    nn.GRU: recurrent,
    nn.LSTM: recurrent,
    nn.MultiheadAttention: attention,
    nn.LayerNorm: layer_norm,
    nn.RMSNorm: rms_norm,
    nn.GroupNorm: group_norm,
    nn.InstanceNorm1d: instance_norm,
    nn.InstanceNorm2d: instance_norm,
    nn.InstanceNorm3d: instance_norm,
    nn.PReLU: prelu,
}


def rule_for(layer: nn.Module) -> Rule | None:
    """The rule of this layer's type; None where there is none, or a subclass has a forward pass of its own."""
    known = next((kind for kind in type(layer).__mro__ if kind in RULES), None)
    return RULES[known] if known is not None and type(layer).forward is known.forward else None
