"""Layers whose gradient is one product per position, or one row of a table: Linear and Embedding."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.layers.tape import Tape


def linear(layer: nn.Linear, tape: Tape, x: Tensor) -> Tensor:
    """The layer's forward pass, taped; x is (rows, …, inputs)."""
    return product(tape, x, layer.weight, layer.bias)


def product(tape: Tape, x: Tensor, weight: Tensor, bias: Tensor | None, *, rows: slice | None = None) -> Tensor:
    """X Wᵀ + b, taped; of some rows of W and b where these hold several matrices."""
    own, offset = weight.detach(), None if bias is None else bias.detach()
    if rows is not None:
        own, offset = own[rows], None if offset is None else offset[rows]
    y = functional.linear(x, own, offset)
    if not tape.wants(weight, bias):
        return y
    first = 0 if rows is None else rows.start
    return tape.watch(y, x, lambda x, g: tape.product(x, g, weight, bias, row=first))


def embedding(layer: nn.Embedding, tape: Tape, index: Tensor) -> Tensor:
    """The layer's forward pass, taped; the index is (rows, …).

    Raises:
        UnsupportedError: an option that lets examples change each other's gradient.
    """
    if layer.max_norm is not None or layer.scale_grad_by_freq or layer.sparse:
        raise UnsupportedError(
            "an Embedding with max_norm, scale_grad_by_freq or sparse mixes examples or has no dense gradient",
            hint="leave these options out",
        )
    weight, padding = layer.weight, layer.padding_idx

    def record(index: Tensor, g: Tensor) -> None:
        tape.lookup(index, g if padding is None else g.masked_fill((index == padding)[..., None], 0), weight)

    return tape.watch(functional.embedding(index, weight.detach(), padding), index, record)
