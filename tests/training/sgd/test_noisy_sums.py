"""Sums leave in whole numbers with noise of the right size, and one record changes them by no more than accounted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.training.sgd.small import LOSS, network, task
from torch import Tensor, nn

from holdfast.training.release.noise import SCALE_BITS
from holdfast.training.sgd.bookkeeping import PerExampleGradients
from holdfast.training.sgd.layers.uses import in_blocks
from holdfast.training.sgd.release import NoisySum
from holdfast.training.sgd.rounding import BLOCK, clip_margin

UNLIKELY = 1e-7
UNIT = 2.0**-SCALE_BITS


def summed(parts: list[Tensor], *, deviation: float = 1.0, divisor: float = 1.0) -> tuple[NoisySum, nn.Parameter]:
    parameter = nn.Parameter(torch.zeros(parts[0].shape, dtype=parts[0].dtype))
    total = NoisySum([parameter], deviation=deviation, divisor=divisor)
    for part in parts:
        total.add([part])
    return total, parameter


def released(parts: list[Tensor], **options: float) -> np.ndarray:
    total, parameter = summed(parts, **options)
    total.release()
    assert parameter.grad is not None
    return parameter.grad.numpy()


@pytest.mark.parametrize(("deviation", "divisor"), [(1.0, 1.0), (0.3, 64.0), (20.0, 1_024.0)])
def test_a_sum_of_nothing_is_noise_of_the_stated_size(deviation: float, divisor: float) -> None:
    noise = released([torch.zeros(20_000, dtype=torch.float64)], deviation=deviation, divisor=divisor)
    assert stats.kstest(noise * divisor / deviation, "norm").pvalue > UNLIKELY


def test_noise_comes_once_however_many_micro_batches_there_are() -> None:
    noise = released([torch.zeros(20_000)] * 7)
    assert stats.kstest(noise, "norm").pvalue > UNLIKELY


def test_every_release_has_noise_of_its_own_and_clear_forgets() -> None:
    total, parameter = summed([torch.full((20_000,), 1e6)])
    total.clear()
    total.release()
    first = parameter.grad.clone()  # type: ignore[union-attr]
    total.clear()
    total.release()
    second = parameter.grad
    assert stats.kstest((second - first).numpy() / 2**0.5, "norm").pvalue > UNLIKELY


def test_what_is_released_is_a_whole_number_of_units_whatever_the_sum() -> None:
    """Low-order bits of the sum do not reach the outside: all outcomes lie on the grid that an empty sum has too."""
    values = torch.rand(2_000, dtype=torch.float64) * 1e-3
    noisy = released([values]) / UNIT
    assert np.array_equal(noisy, np.rint(noisy))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=4), st.sampled_from([0.5, 1.0, 7.0]))
def test_micro_batches_add_up_exactly_in_whole_units(values: list[float], deviation: float) -> None:
    total, _ = summed([torch.tensor([value]) for value in values], deviation=deviation)
    unit = deviation * UNIT
    assert int(total._total[0]) == sum(round(value * (1 / unit)) for value in values)


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_what_is_no_sum_of_clipped_gradients_counts_as_nothing(wild: float) -> None:
    total, _ = summed([torch.tensor([wild, 1.0])])
    assert total._total.tolist() == [0, 2**SCALE_BITS]


def test_gradients_of_every_layout_land_in_their_place() -> None:
    image = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    parameters = [nn.Parameter(torch.zeros(1, 2, 3, 4)), nn.Parameter(torch.zeros(2))]
    total = NoisySum(parameters, deviation=2.0**-20, divisor=1.0)
    total.add([image, torch.tensor([-1.0, -2.0])])
    total.release()
    grads = [parameter.grad for parameter in parameters]
    assert torch.allclose(grads[0], image, atol=1e-4)  # type: ignore[arg-type]  # 100 deviations
    assert torch.allclose(grads[1], torch.tensor([-1.0, -2.0]), atol=1e-4)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 100), scale=st.sampled_from([1e-3, 1.0, 1e3, 1e9]))
def test_one_record_more_or_less_changes_the_sum_by_at_most_what_is_accounted(
    seed: int, rows: int, scale: float
) -> None:
    """With everything computed in 32 bits and one micro-batch: within clip_norm, the unit of the accountant."""
    clip_norm, deviation = 1.5, 2.0
    X, y = task(rows, seed=seed)
    X[0] *= scale
    sums = []
    for begin in (0, 1):
        module = network(seed)
        gradients = PerExampleGradients(module)
        total = NoisySum(gradients.parameters, deviation=deviation, divisor=1.0)
        limit = clip_norm * (1 - clip_margin(100))
        total.add(gradients.clipped_sum(X[begin:], y[begin:], loss=LOSS, clip_norm=limit).gradients)
        sums.append(total._total.copy())
    assert np.linalg.norm((sums[0] - sums[1]) * (deviation * UNIT)) <= clip_norm


@pytest.mark.parametrize("rows", [64, 256, 257, 1_216])
def test_the_margin_covers_32_bit_sums_of_the_worst_kind(rows: int) -> None:
    """Vectors of one direction, so that partial sums are as large as they can be; the sum one after the other."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(100):
        values = (1 - rng.random(rows) * 2.0**-10).astype(np.float32)
        with_all = summed_in_blocks(values)
        values[rng.integers(rows)] = 0
        worst = max(worst, abs(with_all - summed_in_blocks(values)))
    assert worst * (1 - clip_margin(rows)) <= 1


def summed_in_blocks(values: np.ndarray) -> float:
    def one_after_the_other(block: Tensor) -> Tensor:
        return torch.from_numpy(np.cumsum(block.numpy(), dtype=np.float32)[-1:])

    return float(in_blocks(one_after_the_other, torch.from_numpy(values)))


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 1_300, 4_096])
def test_a_sum_is_taken_in_blocks_of_which_none_is_larger_than_the_margin_counts_with(rows: int) -> None:
    blocks: list[Tensor] = []

    def summed(block: Tensor) -> Tensor:
        blocks.append(block)
        return block.sum(0, keepdim=True)

    assert int(in_blocks(summed, torch.arange(rows))) == rows * (rows - 1) // 2
    assert torch.equal(torch.cat(blocks), torch.arange(rows))
    assert max(map(len, blocks)) <= BLOCK
    assert len(blocks) == -(-rows // BLOCK)
    assert all(clip_margin(fewer) <= clip_margin(rows) for fewer in range(1, rows, 7))


@pytest.mark.parametrize("clip_norm", [1e-6, 1e-3])
def test_a_gradient_is_clipped_whose_squares_are_too_small_for_a_float(clip_norm: float) -> None:
    """Huge activations times gradients of which not even the square root of the least float is left."""
    module = nn.Linear(3, 2, bias=False)
    inputs, targets = torch.full((1, 3), 1e18), torch.ones(1)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum(1) * 1e-24

    gradients = PerExampleGradients(module)
    found = gradients.clipped_sum(inputs, targets, loss=loss, clip_norm=1e9).gradients[0]
    assert float(found.norm()) > 1e-6
    found = gradients.clipped_sum(inputs, targets, loss=loss, clip_norm=clip_norm).gradients[0]
    assert float(found.double().norm()) <= clip_norm
