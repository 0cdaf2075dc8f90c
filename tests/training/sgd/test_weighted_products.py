"""The sum over rows of weight times outer product: as exact as the margin for rounding reckons, and always the same."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from holdfast.training.sgd.layers import sums
from holdfast.training.sgd.layers.native import native
from holdfast.training.sgd.layers.sums import PATHS, product_in_blocks, weighted_product
from holdfast.training.sgd.rounding import BLOCK

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 4), st.integers(1, 20), st.integers(1, 150))
SEVERAL_BLOCKS = (2 * BLOCK + 3, 1, 13, 65)


def factors(shape: tuple[int, int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Of so many examples, rows of one, outputs and inputs."""
    examples, repeats, outputs, inputs = shape
    generator = torch.Generator().manual_seed(sum(shape))
    rows = examples * repeats
    g, a = (torch.randn(rows, width, generator=generator) for width in (outputs, inputs))
    return g, a, torch.rand(examples, generator=generator)


def by_path(path: str, g: Tensor, a: Tensor, weights: Tensor, *, threads: int) -> Tensor:
    total = torch.full((g.shape[1], a.shape[1]), torch.nan)
    native.weighted_product(path, g.numpy(), a.numpy(), weights.numpy(), total.numpy(), threads)
    return total


def check_exact(found: Tensor, g: Tensor, a: Tensor, weights: Tensor) -> None:
    """Within a rounding for the weight, one for each row of a block, and one for each block (Higham 2002, eq. 3.5)."""
    by_row = weights.double().repeat_interleave(len(g) // len(weights))[:, None]
    exact = (g.double() * by_row).T @ a.double()
    most = (g.double().abs() * by_row).T @ a.double().abs()
    roundings = min(len(g), BLOCK * (len(g) // len(weights))) + -(-len(g) // BLOCK) + 2
    assert bool(((found.double() - exact).abs() <= roundings * 2.0**-24 * most + torch.finfo(torch.float32).tiny).all())


@settings(max_examples=60, deadline=None)
@given(SHAPES)
def test_the_sum_is_as_exact_as_the_margin_for_rounding_reckons(shape: tuple[int, int, int, int]) -> None:
    for way in (weighted_product, product_in_blocks):
        check_exact(way(*factors(shape)), *factors(shape))


@pytest.mark.parametrize("way", [weighted_product, product_in_blocks], ids=["native", "pytorch"])
def test_so_is_that_of_several_blocks(way: object) -> None:
    assert callable(way)
    check_exact(way(*factors(SEVERAL_BLOCKS)), *factors(SEVERAL_BLOCKS))


@pytest.mark.skipif(not PATHS, reason="the machine has neither AVX2 nor AVX-512")
@pytest.mark.parametrize("shape", [SEVERAL_BLOCKS, (1, 1, 1, 1), (700, 1, 7, 300), (90, 3, 2, 200), (600, 1, 1, 129)])
def test_every_path_and_any_number_of_threads_give_the_same_bits(shape: tuple[int, int, int, int]) -> None:
    found = [by_path(path, *factors(shape), threads=threads) for path in PATHS for threads in (1, 2, 5)]
    assert all(torch.equal(found[0], other) for other in found)
    assert bool(torch.isfinite(found[0]).all())


def test_a_machine_without_them_has_the_same_sum_from_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "PATHS", ())
    assert torch.equal(weighted_product(*factors(SEVERAL_BLOCKS)), product_in_blocks(*factors(SEVERAL_BLOCKS)))


def test_double_precision_stays_double() -> None:
    g, a, weights = (part.double() for part in factors(SEVERAL_BLOCKS))
    assert torch.allclose(weighted_product(g, a, weights), (g * weights[:, None]).T @ a, rtol=1e-12, atol=1e-12)


def test_factors_may_lie_in_memory_as_they_like() -> None:
    g, a, weights = factors(SEVERAL_BLOCKS)
    strewn = g.T.contiguous().T, a.repeat(1, 2)[:, : a.shape[1]], weights
    assert torch.equal(weighted_product(*strewn), weighted_product(g, a, weights))


@pytest.mark.skipif(not PATHS, reason="the machine has neither AVX2 nor AVX-512")
@pytest.mark.parametrize("wrong", ["rows", "weights", "result", "path", "threads", "none"])
def test_what_does_not_fit_together_is_refused_before_memory_is_touched(wrong: str) -> None:
    g, a, weights = factors((6, 2, 3, 5))
    parts = {
        "rows": (g[:-1].contiguous(), a, weights),
        "weights": (g, a, weights[:-1].contiguous()),
        "none": (g[:0], a[:0], weights[:0]),
    }.get(wrong, (g, a, weights))
    total = torch.empty(3, 6 if wrong == "result" else 5)
    path = "sse9" if wrong == "path" else PATHS[0]
    with pytest.raises(ValueError, match=r"path|rows|result"):
        native.weighted_product(path, *(part.numpy() for part in parts), total.numpy(), 0 if wrong == "threads" else 1)


def before_a_wall(values: Tensor) -> NDArray[np.float32]:
    """The same numbers, with memory right behind them that nobody may touch: who does is ended by the system."""
    array = values.numpy()
    pages = -(-array.nbytes // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    end = pages * mmap.PAGESIZE
    wall = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)) + end)
    assert ctypes.CDLL(None).mprotect(wall, mmap.PAGESIZE, 0) == 0
    found = np.frombuffer(memory, dtype=np.float32, count=array.size, offset=end - array.nbytes).reshape(array.shape)
    found[...] = array
    return found


@pytest.mark.skipif(sys.platform != "linux" or not PATHS, reason="needs Linux, and AVX2 or AVX-512")
@pytest.mark.parametrize("outputs", [1, 2, 6, 7, 9])
@pytest.mark.parametrize("inputs", [1, 15, 65, 130])
def test_nothing_behind_the_factors_is_read_or_written(outputs: int, inputs: int) -> None:
    for examples, repeats in ((1, 1), (3, 2), (BLOCK + 1, 1)):
        parts = factors((examples, repeats, outputs, inputs))
        for path in PATHS:
            total = before_a_wall(torch.zeros(outputs, inputs))
            native.weighted_product(path, *map(before_a_wall, parts), total, 2)
            check_exact(torch.from_numpy(total), *parts)
