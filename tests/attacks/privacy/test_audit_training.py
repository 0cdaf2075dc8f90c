"""DP-SGD under audit: the trainer keeps its claim, and each way of breaking it is found.

Canaries with weights of their own go through the trainer's ordinary doors (`benches/broken_trainers.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="auditing a training in PyTorch needs PyTorch")
from benches.broken_trainers import (  # noqa: E402
    HalfTheNoise,
    NoClipping,
    NoNoise,
    ShuffledBatches,
    audit_full_batches,
    audit_samples,
    network,
    records,
)
from torch import nn  # noqa: E402

from holdfast.attacks.privacy.audit_network import (  # noqa: E402
    CanaryDataset,
    CanaryModule,
    canary_loss,
    sampled_scores,
)
from holdfast.errors import UsageError  # noqa: E402
from holdfast.training.sgd.trainer import PrivateTrainer  # noqa: E402


def test_the_trainer_keeps_its_claim_and_the_audit_comes_near_it() -> None:
    results = [audit_full_batches(PrivateTrainer, seed=seed) for seed in range(12)]
    assert sum(result.contradicts for result in results) <= 4  # 5 of 12 with probability .0002, each .05
    assert np.mean([result.epsilon_lower for result in results]) > 0.7 * 3.0  # the mean of 12 is 2.43 ± .10


@pytest.mark.parametrize("kind", [NoNoise, HalfTheNoise, NoClipping], ids=lambda kind: kind.__name__)
def test_a_broken_trainer_is_found(kind: type[PrivateTrainer]) -> None:
    result = audit_full_batches(kind)
    assert result.claimed_epsilon <= 3.0 < result.epsilon_lower
    assert result.contradicts


def test_poisson_samples_keep_the_claim() -> None:
    results = [audit_samples(PrivateTrainer, seed=seed) for seed in range(2)]
    assert sum(result.contradicts for result in results) <= 1  # both with probability .0025, each .05


def test_shuffled_batches_accounted_as_poisson_samples_are_found() -> None:
    assert audit_samples(ShuffledBatches).contradicts


def test_a_canary_moves_its_own_weight_and_nothing_else() -> None:
    module = network(5)
    loss = canary_loss(nn.CrossEntropyLoss(reduction="none"))
    x, y = torch.randn(2, 4), torch.tensor([0, 1])
    loss(module(x, torch.tensor([3, 3])), y).sum().backward()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in module.module.parameters())
    assert module.canaries.weight.grad[:, 0].nonzero().tolist() == [[3]]


def test_records_have_the_loss_that_they_have_without_canaries() -> None:
    module, plain = network(5), nn.CrossEntropyLoss(reduction="none")
    x, y = torch.randn(6, 4), torch.arange(6) % 3
    tags = torch.zeros(6, dtype=torch.int64)
    assert torch.equal(canary_loss(plain)(module(x, tags), y), plain(module.module(x), y))


def test_the_dataset_has_the_included_canaries_after_the_records() -> None:
    data = CanaryDataset(records(7), np.array([False, True, True]))
    assert len(data) == 9
    assert [data[i][1] for i in range(9)] == [0] * 7 + [2, 3]
    assert torch.equal(data[8][0], records(7)[0][0])
    with pytest.raises(IndexError):
        data[9]


def sums_of(steps: int, canaries: int) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(steps, canaries))


def test_scores_with_every_record_in_every_step_are_the_gaussian_log_likelihood_ratio() -> None:
    sums = sums_of(3, 8)
    ratio = ((2 * sums - 1) / (2 * 1.7**2)).sum(axis=0)
    assert sampled_scores(sums, noise_multiplier=1.7, sampling_rate=1.0) == pytest.approx(ratio)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: sampled_scores(sums_of(2, 2), noise_multiplier=0.0, sampling_rate=0.5),
        lambda: sampled_scores(sums_of(2, 2), noise_multiplier=1.0, sampling_rate=0.0),
        lambda: CanaryModule(nn.Linear(2, 2), count=0),
        lambda: CanaryDataset([], np.ones(3, bool)),
        lambda: CanaryDataset(iter([(1, 2)]), np.ones(3, bool)),
    ],
)
def test_what_means_nothing_is_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=r"expected|at least one canary"):
        refused()
