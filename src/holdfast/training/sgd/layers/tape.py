"""The record of one forward and backward pass: which parameter was used how, for every example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from holdfast.errors import UnsupportedError
from holdfast.training.sgd.layers.uses import Direct, Lookup, Offset, Outgoing, Product, Use, together

Target = tuple[int, int]
"""Which parameter, by its place, and from which of its rows; uses of one target add up."""


class TapedForward(partial[Any]):
    """A layer's rule in the place of its forward pass, for the time of a pass."""


class Tape:
    """Collects the uses of parameters during one pass.

    Args:
        parameters: the trainable ones; all others are passed over.
        examples: in the batch.
        copies: rows of the batch that belong to one example, next to each other.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], *, examples: int, copies: int) -> None:
        self._parameters = parameters
        self._place = {id(parameter): place for place, parameter in enumerate(parameters)}
        self._uses: dict[Target, list[Use]] = {}
        self._leaves: list[tuple[int, Tensor]] = []
        self._anchor = torch.zeros((), requires_grad=True)
        self.examples = examples
        self.copies = copies

    def wants(self, *parameters: Tensor | None) -> bool:
        """Whether any of these is trained."""
        return not self._place.keys().isdisjoint(map(id, parameters))

    def watch(self, y: Tensor, x: Tensor, record: Callable[[Tensor, Tensor], None]) -> Tensor:
        """`y` itself, of which `record` will be told: called with `x` and the gradient of the loss by `y`."""
        if y.shape[0] != self.examples * self.copies:
            raise UnsupportedError(
                f"expected examples along the first dimension of every layer, got shape {tuple(y.shape)} "
                f"for {self.examples * self.copies} rows",
                hint="pass batch_first=True to recurrent and attention layers, and permute back before other layers",
            )
        if not y.requires_grad:
            y = _Anchored.apply(y, self._anchor)  # type: ignore[no-untyped-call]
        y.register_hook(partial(_hand_over, record, x, x._version))  # type: ignore[no-untyped-call]
        return y

    def per_example(self, parameter: Tensor) -> Tensor:
        """The parameter once for each row, (rows, *shape), without a copy; its gradient is recorded."""
        rows = self.examples * self.copies
        spread = parameter.detach().expand(rows, *parameter.shape)
        if self.wants(parameter):
            spread.requires_grad_()
            self._leaves.append((self._place[id(parameter)], spread))
        return spread

    def product(self, x: Tensor, g: Tensor, weight: Tensor, bias: Tensor | None, *, row: int = 0) -> None:
        """Record y = x Wᵀ + b, where x is (rows, …, inputs) and g (rows, …, outputs).

        `row` is where W and b start within their parameters, for those that hold several matrices.
        """
        outgoing = Outgoing(self._by_example(g))
        if self.wants(weight):
            self.add(weight, Product(self._by_example(x), outgoing), row=row)
        if bias is not None and self.wants(bias):
            self.add(bias, Offset(outgoing), row=row)

    def lookup(self, index: Tensor, g: Tensor, table: Tensor) -> None:
        """Record y = table[index], where index is (rows, …) and g (rows, …, width)."""
        self.add(table, Lookup(self._by_example(index[..., None])[..., 0], self._by_example(g), len(table)))

    def add(self, parameter: Tensor, use: Use, *, row: int = 0) -> None:
        """Record a use of a trained parameter, from one of its rows on."""
        self._uses.setdefault((self._place[id(parameter)], row), []).append(use)

    def backward(self, losses: Tensor) -> dict[Target, Use]:
        """Go back from the losses (examples,) once; what each parameter gets, all its uses together."""
        leaves = [leaf for _, leaf in self._leaves]
        found = torch.autograd.grad(losses.sum(), [self._anchor, *leaves], allow_unused=True)
        for (place, _), gradient in zip(self._leaves, found[1:], strict=True):
            if gradient is not None:
                by_example = gradient.view(self.examples, self.copies, *gradient.shape[1:]).sum(1)
                self._uses.setdefault((place, 0), []).append(Direct(by_example))
        uses, self._uses = self._uses, {}
        return {target: together(parts) for target, parts in uses.items()}

    def _by_example(self, values: Tensor) -> Tensor:
        """(examples, positions, width) of values (rows, …, width); an example's copies are further positions."""
        return values.reshape(self.examples, -1, values.shape[-1])


def _hand_over(record: Callable[[Tensor, Tensor], None], x: Tensor, version: int, g: Tensor) -> None:
    """Tell `record` of the gradient that reached a layer's output, if its input is still what it was."""
    if x._version != version:
        raise RuntimeError("the input of a layer was modified by an inplace operation after the layer had used it")
    record(x.detach(), g)


class _Anchored(Function):
    """The identity on y, which no gradient would reach, as a function of a tensor that requires one."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, _: Tensor) -> Tensor:
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        del ctx
        return gradients[0], None
