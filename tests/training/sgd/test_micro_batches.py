"""A step takes its sample in parts that fit into memory, and the parts change nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.sgd.small import LOSS, SETTINGS, network, task, trainer
from torch import Tensor, nn

from holdfast.training.release.noise import SCALE_BITS
from holdfast.training.sgd.memory import bytes_of_record
from holdfast.training.sgd.probe import MOST_EXAMPLES
from holdfast.training.sgd.rounding import clip_margin
from holdfast.training.sgd.settings import Pace

FULL = replace(SETTINGS, batch_size=1_000, steps=2)


def sizes_of(pace: Pace, **options: Any) -> list[int]:
    """How many rows the module gets at once in two steps over 1,000 records."""
    seen: list[int] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return LOSS(outputs, targets)

    def augment(inputs: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(len(inputs))
        return inputs

    trainer(loss=loss, augment=augment, pace=pace, settings=FULL, **options).run()
    return [rows for rows in seen if rows > MOST_EXAMPLES]  # the others are looks at the module


@pytest.mark.parametrize("micro_batch", [1_000, 999, 500, 301])
def test_every_record_is_in_one_micro_batch_and_they_are_of_one_size(micro_batch: int) -> None:
    seen = sizes_of(Pace(micro_batch=micro_batch))
    parts = -(-1_000 // micro_batch)
    assert len(seen) == 2 * parts
    assert sum(seen) == 2_000
    assert max(seen) <= micro_batch
    assert max(seen) - min(seen) <= 1


def test_a_memory_cap_makes_them_smaller() -> None:
    one = bytes_of_record(network(), (task(1)[0],))
    assert one == 4 * ((6 + 2 * 8) + (8 + 2 * 8) + (8 + 2 * 8) + (8 + 2 * 2))  # inputs and twice the outputs
    assert max(sizes_of(Pace(memory_cap_bytes=one * 125))) == 125
    assert sizes_of(Pace(memory_cap_bytes=one * 10**6)) == sizes_of(Pace()) == [1_000, 1_000]
    assert max(sizes_of(Pace(micro_batch=100, memory_cap_bytes=one * 125))) == 100


@pytest.mark.parametrize(("record", "rows"), [(0, 1_216), (2**13, 1_216), (2**17, 512), (2**30, 1)])
def test_a_sample_is_taken_whole_where_it_is_small(record: int, rows: int) -> None:
    """64 MiB, or six standard deviations above the mean of 1,024."""
    found = Pace().rows(batch_size=1_024, record_bytes=lambda: record)
    assert found == rows
    assert Pace().rows(batch_size=10**6, record_bytes=lambda: record) <= 1_280


def test_measuring_memory_leaves_module_and_generator_alone() -> None:
    module = network(dropout=0.5)
    state = torch.get_rng_state()
    bytes_of_record(module, (task(1)[0],))
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(layer._forward_hooks for layer in module.modules())
    assert module.training


def test_the_sum_is_the_same_in_parts_within_the_margin_that_is_kept_for_rounding() -> None:
    """The exact sum that the noise hides, of 1,000 records, all of them clipped, in one micro-batch and in eight."""
    sums, margins = [], [clip_margin(1_000), clip_margin(125)]
    for micro_batch, margin in zip((1_000, 125), margins, strict=True):
        private = trainer(settings=replace(FULL, clip_norm=1e-3), pace=Pace(micro_batch=micro_batch), module=network())
        for part in np.array_split(np.arange(1_000), 1_000 // micro_batch):
            private._sum.add(private._clipped(part))
        one = 2.0**SCALE_BITS / private._account.plan.noise_multiplier
        sums.append(private._sum._total / one / (1 - margin))
    assert np.linalg.norm(sums[0]) > 50
    assert np.linalg.norm(sums[0] - sums[1]) <= sum(margins)


def test_a_convolution_is_counted_with_its_pictures() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    assert bytes_of_record(module, (torch.zeros(1, 1, 4, 4),)) == 4 * ((16 + 2 * 16) + (16 + 2 * 16) + (16 + 2 * 2))
