"""The polynomial activation as a PyTorch module, and putting it where other activations were."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from holdfast.errors import DataError, UnsupportedError

ACTIVATIONS: Final = (
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign),
)
"""What is replaced by polynomials."""
_HINT: Final = "give each activation as a module of its own, such as nn.ReLU(), in place of functions in forward()"
_MIN_SPREAD: Final = 1e-3
"""Standard deviation from which on values of a channel are fitted; below it the channel is constant."""


class Polynomial(nn.Module):
    """`c0 + c1 x + c2 x^2` with coefficients of its own for each channel.

    Args:
        coefficients: (3, channels), from c0 on.
        axes: of the values behind the channel, such as 2 for images.
    """

    def __init__(self, coefficients: Tensor, *, axes: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(coefficients.reshape(3, -1, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, channels, …) to the same shape."""
        c0, c1, c2 = self.coefficients[0], self.coefficients[1], self.coefficients[2]
        return c0 + x * (c1 + c2 * x)


@dataclass(frozen=True, eq=False)
class Swap:
    """A network with polynomials in it.

    Args:
        module: a copy of the network that was given.
        names: of the modules that were replaced.
        limits: of each polynomial, the absolute value that hardly any of the values before it exceeded.
    """

    module: nn.Module
    names: tuple[str, ...]
    limits: dict[str, float]


def with_polynomials(module: nn.Module, rows: Tensor, *, quantile: float) -> Swap:
    """A copy with polynomials fitted to the activations on some rows, and average pooling for max pooling.

    Args:
        module: in evaluation mode.
        rows: inputs.
        quantile: of the absolute values before an activation, which becomes its limit.

    Raises:
        UnsupportedError: there is no activation, or one of them is used twice.
        DataError: the rows do not fit the module.
    """
    seen = _values_before(module, rows)
    swapped = copy.deepcopy(module)
    names, limits = [], {}
    for name, part in list(swapped.named_modules()):
        if isinstance(part, nn.MaxPool2d):
            _replace(swapped, name, _average_pool(part))
        elif isinstance(part, ACTIVATIONS):
            if len(seen.get(name, [])) != 1:
                raise UnsupportedError(f"the activation {name} is used {len(seen.get(name, []))} times", hint=_HINT)
            (x,) = seen[name]
            _replace(swapped, name, Polynomial(_fitted(part, x), axes=x.ndim - 2))
            limits[name] = float(_quantile(x.abs().flatten(), quantile))
        else:
            continue
        names.append(name)
    if not limits:
        raise UnsupportedError(f"{type(module).__name__} has no activation to replace", hint=_HINT)
    return Swap(swapped, tuple(names), limits)


def _values_before(module: nn.Module, rows: Tensor) -> dict[str, list[Tensor]]:
    """What reaches each activation."""
    seen: dict[str, list[Tensor]] = {}

    def watch(name: str) -> Any:
        return lambda _, inputs: seen.setdefault(name, []).append(inputs[0].detach().clone())

    handles = [
        part.register_forward_pre_hook(watch(name))
        for name, part in module.named_modules()
        if isinstance(part, ACTIVATIONS)
    ]
    try:
        with torch.no_grad():
            module(rows)
    except (RuntimeError, ValueError, IndexError) as error:
        first = (str(error).splitlines() or [""])[0][:200]
        raise DataError(f"expected rows that {type(module).__name__} takes, got {tuple(rows.shape)}: {first}") from None
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _fitted(activation: nn.Module, x: Tensor) -> Tensor:
    """(3, channels) least-squares polynomials of an activation on values (rows, channels, …)."""
    with torch.no_grad():
        target = activation(x)
    channels = x.shape[1]
    xs = x.movedim(1, 0).reshape(channels, -1).double()
    ys = target.movedim(1, 0).reshape(channels, -1).double()
    flat = xs.std(dim=1, keepdim=True) < _MIN_SPREAD
    xs = torch.where(flat, torch.linspace(-1, 1, xs.shape[1], dtype=torch.float64), xs)
    with torch.no_grad():
        ys = torch.where(flat, activation(xs.to(x.dtype)).double(), ys) if not isinstance(activation, nn.PReLU) else ys
    powers = torch.stack([torch.ones_like(xs), xs, xs**2], dim=2)
    solution: Tensor = torch.linalg.lstsq(powers, ys.unsqueeze(2)).solution
    return solution.squeeze(2).T.to(x.dtype)


def _average_pool(part: nn.MaxPool2d) -> nn.AvgPool2d:
    if part.dilation not in (1, (1, 1)) or part.return_indices:
        raise UnsupportedError("max pooling with dilation or indices has no average pooling of its shape")
    return nn.AvgPool2d(part.kernel_size, part.stride, part.padding, ceil_mode=part.ceil_mode, count_include_pad=False)


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    if not name:
        raise UnsupportedError("expected a network, got a single activation")
    setattr(module.get_submodule(parent), last, part)


def _quantile(values: Tensor, quantile: float) -> Tensor:
    """As torch.quantile, which refuses more than 16 million values."""
    return values.kthvalue(max(1, int(quantile * len(values)))).values
