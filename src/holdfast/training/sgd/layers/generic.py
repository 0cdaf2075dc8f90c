"""Any module that owns parameters and has no trained layers inside: each row meets a copy of the parameters.

Exact for whatever treats rows apart; slower than the rules of the known layers, as every example's gradient is
written out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.layers.tape import Tape


def by_rows(layer: nn.Module, tape: Tape, *inputs: Tensor) -> Any:
    """The module's own forward pass, taped: once for every row, side by side (`torch.func.vmap`).

    Raises:
        UnsupportedError: the module cannot be run like this, such as where a value decides what is computed.
    """
    parameters = {name: tape.per_example(parameter) for name, parameter in layer.named_parameters(recurse=False)}

    def one(own: dict[str, Tensor], *rows: Tensor) -> Any:
        batch = tuple(row.unsqueeze(0) for row in rows)
        out = torch.func.functional_call(_Forward(layer), {f"layer.{name}": p for name, p in own.items()}, batch)
        return torch.utils._pytree.tree_map(lambda value: value.squeeze(0), out)

    try:
        return torch.func.vmap(one, randomness="different")(parameters, *inputs)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UnsupportedError(
            f"{type(layer).__name__} cannot be run on every row apart: {error}",
            hint="build it of PyTorch's own layers, or of operations that torch.func.vmap knows",
        ) from error


class _Forward(nn.Module):
    """Calls the class's own forward, as that of the instance is taped."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Tensor) -> Any:
        return type(self.layer).forward(self.layer, *inputs)
