"""What one use of a parameter adds to each example's gradient, in the form that is cheapest to keep.

Several forms of the same thing, an (examples, *shape) tensor of gradients: written out (`Direct`), as two factors
(`Product`), as what reached an offset (`Offset`), or as the rows of a table that were looked up (`Lookup`). Of each one
asks the norms, the sum weighted by one factor per example, and, where a parameter is used more than once, the gradients
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final, Protocol

import torch
from torch import Tensor

from holdfast.training.sgd.layers.sums import in_blocks, weighted_product

_MOST_TERMS: Final = 2**16
"""Of a norm in one go: PyTorch adds squares in 16 running sums or so, and of millions each loses more than is kept."""


class Use(Protocol):
    """The gradients that one parameter gets from one use, one for each example."""

    def norms(self) -> Tensor:
        """(examples,) the L2 norm of each example's gradient."""

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """The sum over examples of factor times gradient, in the parameter's shape."""

    def gradients(self) -> Tensor:
        """(examples, *shape) the gradients written out."""

    def keeping(self, kept: Tensor) -> Use:
        """The same with zeros for all examples but those that are kept (examples,); 0 times infinity is not 0."""


@dataclass(frozen=True, eq=False)
class Direct:
    """Gradients written out: (examples, *shape)."""

    values: Tensor

    def norms(self) -> Tensor:
        """See `Use`."""
        return _norms(self.values)

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """See `Use`."""
        rows = self.values.reshape(len(factors), -1)
        return weighted_product(factors[:, None], rows, torch.ones_like(factors)).view(self.values.shape[1:])

    def gradients(self) -> Tensor:
        """See `Use`."""
        return self.values

    def keeping(self, kept: Tensor) -> Direct:
        """See `Use`."""
        return Direct(only(self.values, kept))


@dataclass(eq=False)
class Outgoing:
    """Gradients by what a layer gave, (examples, positions, outputs); shared by its matrix and its offset."""

    values: Tensor

    @cached_property
    def lengths(self) -> Tensor:
        """(examples, positions)."""
        return _lengths(self.values)

    @property
    def sums(self) -> Tensor:
        """(examples, outputs) over positions."""
        return _over_positions(self.values)


@dataclass(frozen=True, eq=False)
class Offset:
    """The gradient of what is added at every position: the sum over positions of g_t."""

    g: Outgoing

    def norms(self) -> Tensor:
        """See `Use`."""
        return self.g.lengths.view(-1) if self.g.values.shape[1] == 1 else _lengths(self.g.sums)

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """See `Use`."""
        return Direct(self.g.sums).weighted_sum(factors)

    def gradients(self) -> Tensor:
        """See `Use`."""
        return self.g.sums

    def keeping(self, kept: Tensor) -> Offset:
        """See `Use`."""
        return Offset(Outgoing(only(self.g.values, kept)))


@dataclass(frozen=True, eq=False)
class Product:
    """The gradient of a matrix: the sum over positions of g_t ⊗ a_t.

    Args:
        a: (examples, positions, inputs) what the matrix was applied to.
        g: gradients of what came out.
    """

    a: Tensor
    g: Outgoing

    def norms(self) -> Tensor:
        """See `Use`; by the ghost norm where that is smaller than the gradient itself (Bu et al. 2023, section 3.2)."""
        _, positions, inputs = self.a.shape
        if positions == 1:
            return (_lengths(self.a) * self.g.lengths).view(-1)
        if 2 * positions**2 < inputs * self.g.values.shape[2]:
            return ghost_norms(self.a, self.g.values)
        return _norms(self.gradients())

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """See `Use`."""
        return weighted_product(self.g.values.flatten(0, 1), self.a.flatten(0, 1), factors)

    def gradients(self) -> Tensor:
        """See `Use`."""
        return self.g.values.transpose(1, 2) @ self.a

    def keeping(self, kept: Tensor) -> Product:
        """See `Use`."""
        return Product(only(self.a, kept), Outgoing(only(self.g.values, kept)))


@dataclass(frozen=True, eq=False)
class Lookup:
    """The gradient of a table of which rows were looked up.

    Args:
        index: (examples, positions) which rows.
        g: (examples, positions, width) gradients of what came out.
        rows: how many the table has.
    """

    index: Tensor
    g: Tensor
    rows: int

    def norms(self) -> Tensor:
        """See `Use`; a row that an example looked up twice gets both gradients before they are squared."""
        examples, _, width = self.g.shape
        keys = self.index + self.rows * torch.arange(examples, device=self.index.device)[:, None]
        found, where = torch.unique(keys, return_inverse=True)
        sums = self.g.new_zeros(len(found), width).index_add_(0, where.flatten(), self.g.flatten(0, 1))
        squares = _norms(sums).square()
        return self.g.new_zeros(examples).index_add_(0, found // self.rows, squares).sqrt()

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """See `Use`."""

        def summed(index: Tensor, g: Tensor) -> Tensor:
            table = g.new_zeros(self.rows, g.shape[2])
            return table.index_add_(0, index.flatten(), g.flatten(0, 1))

        return in_blocks(summed, self.index, self.g * factors[:, None, None])

    def gradients(self) -> Tensor:
        """See `Use`."""
        examples, _, width = self.g.shape
        tables = self.g.new_zeros(examples, self.rows, width)
        return tables.scatter_add_(1, self.index[..., None].expand_as(self.g), self.g)

    def keeping(self, kept: Tensor) -> Lookup:
        """See `Use`."""
        return Lookup(self.index, only(self.g, kept), self.rows)


def together(uses: Sequence[Use]) -> Use:
    """All uses of one parameter as one: gradients add up before their norm is taken."""
    if len(uses) == 1:
        return uses[0]
    products = [use for use in uses if isinstance(use, Product)]
    if len(products) == len(uses):
        a, g = ([use.a for use in products], [use.g.values for use in products])
        return Product(torch.cat(a, 1), Outgoing(torch.cat(g, 1)))
    total = uses[0].gradients()
    for use in uses[1:]:
        total = total + use.gradients()
    return Direct(total)


def ghost_norms(a: Tensor, g: Tensor) -> Tensor:
    """(examples,) |Σ_t g_t ⊗ a_t| from its square Σ_st (a_s·a_t)(g_s·g_t) (Li et al. 2021, section 4), rounded up.

    Where positions cancel, rounding could leave far too little of the square, and an example unclipped. So the most
    that it can be off is added: (Σ_t |a_t| |g_t|)² times half an epsilon for each addition behind a number (Higham,
    "Accuracy and stability of numerical algorithms", 2002, section 3.1), and what squares too small for a float lose.
    """
    squares = ((a @ a.transpose(1, 2)) * (g @ g.transpose(1, 2))).sum((1, 2))
    roundings = a.shape[2] + g.shape[2] + 2 * a.shape[1]
    of_a, of_g = _lengths(a), _lengths(g)
    slack = (of_a * of_g).sum(1).square() * (roundings * torch.finfo(a.dtype).eps / 2)
    lost_g, lost_a = (_lost(values.shape[-1], values.dtype) for values in (g, a))
    lost = (of_a.sum(1) * lost_g).square() + (of_g.sum(1) * lost_a).square()
    norms: Tensor = (squares.clamp(min=0) + slack + lost).sqrt()
    return norms


def _over_positions(g: Tensor) -> Tensor:
    """(examples, outputs) of g (examples, positions, outputs)."""
    return g[:, 0] if g.shape[1] == 1 else g.sum(1)


def _norms(values: Tensor) -> Tensor:
    """(n,) the L2 norms of values (n, …)."""
    flat = values.flatten(1) if values.dim() > 1 else values[:, None]
    parts = [torch.linalg.vector_norm(part, dim=1) for part in torch.split(flat, _MOST_TERMS, 1)]
    norms: Tensor = parts[0] if len(parts) == 1 else torch.linalg.vector_norm(torch.stack(parts), dim=0)
    return norms


def _lengths(values: Tensor) -> Tensor:
    """(…) the L2 norms of values (…, width), rounded up: times another large one, nothing may be lost."""
    lengths: Tensor = torch.linalg.vector_norm(values, dim=-1)
    return lengths.add_(_lost(values.shape[-1], values.dtype))


@cache
def _lost(width: int, dtype: torch.dtype) -> float:
    """The most that a norm of so many numbers lacks because squares below the smallest normal float are lost."""
    return math.sqrt(width * torch.finfo(dtype).tiny)


def only(values: Tensor, kept: Tensor) -> Tensor:
    """Values (examples, …) with zeros for the examples that are not kept."""
    return torch.where(kept.view(-1, *[1] * (values.dim() - 1)), values, 0)
