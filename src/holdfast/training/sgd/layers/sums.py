"""Sums over examples in floating point: a block of rows after the other, so that rounding stays small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from holdfast.training.sgd.layers.native import native
from holdfast.training.sgd.rounding import BLOCK

PATHS: Final = tuple(path for path in ("avx512", "avx2") if native.has(path))
"""The native ways of `weighted_product` on this machine, the quickest first; none where neither is known."""


def weighted_product(g: Tensor, a: Tensor, weights: Tensor) -> Tensor:
    """(outputs, inputs) the sum over rows of weight · g ⊗ a.

    On a processor and in single precision by a kernel of our own: the weighted factor is not written out, and all
    blocks are added in one pass. It is as exact as `product_in_blocks`; any number of threads gives the same bits.

    Args:
        g: (rows, outputs).
        a: (rows, inputs).
        weights: (examples,) one for each `rows / examples` rows.
    """
    if not (PATHS and g.is_cpu and g.dtype == a.dtype == weights.dtype == torch.float32):
        return product_in_blocks(g, a, weights)
    total = g.new_empty(g.shape[1], a.shape[1])
    factors = g.contiguous().numpy(), a.contiguous().numpy()
    native.weighted_product(PATHS[0], *factors, weights.contiguous().numpy(), total.numpy(), torch.get_num_threads())
    return total


def product_in_blocks(g: Tensor, a: Tensor, weights: Tensor) -> Tensor:
    """The same by PyTorch, on any device and in any precision."""
    repeats = len(g) // len(weights)

    def product(g: Tensor, a: Tensor, by_row: Tensor) -> Tensor:
        return torch.mm((g * by_row).T, a)

    return in_blocks(product, g, a, weights.repeat_interleave(repeats)[:, None], rows=BLOCK * repeats)


def in_blocks(summed: Callable[..., Tensor], *parts: Tensor, rows: int = BLOCK) -> Tensor:
    """The sum over all rows, from `summed` of a block of so many after the other."""
    ends = tuple(range(rows, len(parts[0]), rows))
    blocks = zip(*(torch.tensor_split(part, ends) for part in parts), strict=True)
    total = summed(*next(blocks))
    for some in blocks:
        total += summed(*some)
    return total
