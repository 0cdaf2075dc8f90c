"""DP-SGD with canaries in it, as it should be and with one bug each: what an audit has to tell apart.

Each broken trainer is the real one with one piece replaced. The tests and the bench of the audit share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from holdfast.attacks.privacy.audit import AuditResult, audit
from holdfast.attacks.privacy.audit_curves import Claim, gaussian, profile
from holdfast.attacks.privacy.audit_network import CanaryDataset, CanaryModule, canary_loss, sampled_scores
from holdfast.attacks.privacy.canaries import toss
from holdfast.training.account.accounting import advantage_of
from holdfast.training.sgd.release import NoisySum
from holdfast.training.sgd.sampling import PoissonSampler
from holdfast.training.sgd.settings import PrivateSettings
from holdfast.training.sgd.trainer import PrivateTrainer

DELTA = 1e-5
CLIP_NORM = 0.5
RECORDS = 60


class NoNoise(PrivateTrainer):
    """A millionth of a clip norm, to be exact, for the sum is counted in units of the noise."""

    def _mechanism(self) -> tuple[PoissonSampler, NoisySum]:
        sampler, _ = super()._mechanism()
        return sampler, NoisySum(self._gradients.parameters, deviation=1e-6, divisor=self._settings.batch_size)


class HalfTheNoise(PrivateTrainer):
    """Half of what the accountant was told."""

    def _mechanism(self) -> tuple[PoissonSampler, NoisySum]:
        sampler, _ = super()._mechanism()
        half = self._account.plan.noise_multiplier * self._settings.clip_norm / 2
        return sampler, NoisySum(self._gradients.parameters, deviation=half, divisor=self._settings.batch_size)


class NoClipping(PrivateTrainer):
    """Gradients go into the sum as long as they are."""

    def _clipped(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, ...]:
        inputs, targets = self._records.fetch(rows)
        return self._gradients.clipped_sum(inputs, targets, loss=self._loss, clip_norm=1e9).gradients


class ShuffledBatches(PrivateTrainer):
    """Batches of one size, each record in one of them each epoch; accounted as Poisson samples all the same."""

    def _mechanism(self) -> tuple[PoissonSampler, NoisySum]:
        _, noisy = super()._mechanism()
        return _Batches(len(self._records), self._account.plan.sampling_rate), noisy


class _Batches(PoissonSampler):
    """Says that it samples, and shuffles."""

    def __init__(self, records: int, rate: float) -> None:
        super().__init__(records, rate)
        self._size = int(records * rate)
        self._left: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def sample(self) -> npt.NDArray[np.int64]:
        if len(self._left) < self._size:
            self._left = np.random.default_rng().permutation(self._records)
        batch, self._left = np.split(self._left, [self._size])
        return batch


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One training with canaries.

    Args:
        trainer: it, at its end.
        scores: (canaries,) the weights of the canaries.
        included: (canaries,) the coins.
        sums: (steps, canaries) each canary's part of each noisy sum, in clip norms.
    """

    trainer: PrivateTrainer
    scores: npt.NDArray[np.float64]
    included: npt.NDArray[np.bool_]
    sums: npt.NDArray[np.float64]


def records(count: int = RECORDS) -> TensorDataset:
    """Records that are nothing but noise."""
    generator = torch.Generator().manual_seed(3)
    return TensorDataset(torch.randn(count, 4, generator=generator), torch.randint(0, 3, (count,), generator=generator))


def network(canaries: int) -> CanaryModule:
    """A small network, with a weight for each canary."""
    return CanaryModule(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), count=canaries)


def train(kind: type[PrivateTrainer], *, canaries: int, epsilon: float, share: float, steps: int, seed: int) -> Run:
    """Train on the records and the canaries, with this share of them in a step."""
    included = toss(canaries, rng=np.random.default_rng(seed))
    module, data = network(canaries), CanaryDataset(records(), included)
    batch_size = int(share * len(data))
    trainer = kind(
        module,
        torch.optim.SGD(module.parameters(), lr=1.0),
        data,
        loss=canary_loss(nn.CrossEntropyLoss(reduction="none")),
        settings=PrivateSettings(epsilon=epsilon, delta=DELTA, batch_size=batch_size, steps=steps, clip_norm=CLIP_NORM),
    )
    weights = [module.canary_weights()]
    weights += [module.canary_weights() for _ in trainer.steps()]
    sums = np.diff(weights, axis=0) * batch_size / CLIP_NORM
    return Run(trainer=trainer, scores=weights[-1], included=included, sums=sums)


def audit_full_batches(
    kind: type[PrivateTrainer], *, epsilon: float = 3.0, canaries: int = 1000, seed: int = 0, **options: Any
) -> AuditResult:
    """Three steps over all records, of which the auditor sees the last weights: a Gaussian mechanism is claimed."""
    run = train(kind, canaries=canaries, epsilon=epsilon, share=1.0, steps=3, seed=seed)
    return audit(run.scores, run.included, claim=gaussian(run.trainer.epsilon, DELTA), **options)


def audit_samples(kind: type[PrivateTrainer], *, canaries: int = 4000, seed: int = 0) -> AuditResult:
    """Two steps over half of the records each, of which the auditor sees both sums: Poisson samples are claimed."""
    run = train(kind, canaries=canaries, epsilon=10.0, share=0.5, steps=2, seed=seed)
    (event,) = run.trainer.events
    scores = sampled_scores(run.sums, noise_multiplier=event.noise_multiplier, sampling_rate=event.sampling_rate)
    claim = sampled_claim(run.trainer.events, run.trainer.epsilon)
    return audit(scores, run.included, claim=claim, guesses=canaries)  # what the claim says best is about all guesses


def sampled_claim(events: Sequence[Any], epsilon: float) -> Claim:
    """What the accountant knows of the samples: the most that any test can tell (epsilon 0), and epsilon at delta."""
    known = np.array([0.0, epsilon]), np.array([advantage_of(events), DELTA])
    return profile(*known, epsilon=epsilon, delta=DELTA)
