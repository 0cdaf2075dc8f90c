"""Layers with one factor or offset per channel: their parameters are given to each row apart, and autograd does it.

The normalisation itself has no parameters. LayerNorm, GroupNorm, InstanceNorm, RMSNorm and PReLU come this way.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from holdfast.training.sgd.layers.tape import Tape


def layer_norm(layer: nn.LayerNorm, tape: Tape, x: Tensor) -> Tensor:
    """The layer's forward pass, taped; x is (rows, …, *normalized_shape)."""
    y = functional.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    return _scaled(layer, tape, y, leading=x.dim() - len(layer.normalized_shape))


def rms_norm(layer: nn.RMSNorm, tape: Tape, x: Tensor) -> Tensor:
    """The layer's forward pass, taped; x is (rows, …, *normalized_shape)."""
    y = functional.rms_norm(x, layer.normalized_shape, eps=layer.eps)
    return _scaled(layer, tape, y, leading=x.dim() - len(layer.normalized_shape))


def group_norm(layer: nn.GroupNorm, tape: Tape, x: Tensor) -> Tensor:
    """The layer's forward pass, taped; x is (rows, channels, …)."""
    return _scaled(layer, tape, functional.group_norm(x, layer.num_groups, eps=layer.eps), leading=1)


def instance_norm(layer: nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d, tape: Tape, x: Tensor) -> Tensor:
    """The layer's forward pass, taped; x is (rows, channels, …)."""
    return _scaled(layer, tape, functional.instance_norm(x, eps=layer.eps), leading=1)


def prelu(layer: nn.PReLU, tape: Tape, x: Tensor) -> Tensor:
    """The layer's forward pass, taped; x is (rows, channels, …)."""
    slope = _shaped(tape.per_example(layer.weight), x, leading=1)
    return functional.relu(x) - slope * functional.relu(-x)


def _scaled(layer: nn.Module, tape: Tape, y: Tensor, *, leading: int) -> Tensor:
    """Y times the layer's weight plus its bias, where it has them; its channels come after the leading dimensions."""
    for name, apply in (("weight", Tensor.mul), ("bias", Tensor.add)):
        parameter = getattr(layer, name, None)
        if parameter is not None:
            y = apply(y, _shaped(tape.per_example(parameter), y, leading=leading))
    return y


def _shaped(parameter: Tensor, y: Tensor, *, leading: int) -> Tensor:
    """(rows, *shape) as it broadcasts against y (rows, …), its shape after so many leading dimensions."""
    rows, *shape = parameter.shape
    trailing = y.dim() - leading - len(shape)
    return parameter.view(rows, *[1] * (leading - 1), *shape, *[1] * max(trailing, 0))
