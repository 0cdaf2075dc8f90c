"""Canaries for training in PyTorch: each with one weight of its own, which its gradient moves and nothing else.

    module ──> CanaryModule(module) ──┐
    dataset ──> CanaryDataset(…) ─────┼──> the training under audit ──> the canaries' weights ──> scores
    loss ──> canary_loss(loss) ───────┘

The gradient of canary i is a large multiple of the unit vector of weight i (the Dirac canary of Nasr et al., "Tight
auditing of differentially private machine learning", 2023), so clipping makes it exactly the clip norm, and whatever
the training does to other records does not touch it. That is the strongest canary there is for gradient clipping and
noise, and the auditor sees the weights, not just answers (white box).
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any, Final

import numpy as np

from holdfast.attacks.privacy.canaries import Flags
from holdfast.data import Matrix
from holdfast.errors import UnsupportedError, UsageError
from holdfast.extras import INSTALL_TORCH

try:
    import torch
    from torch import Tensor, nn
    from torch.utils.data import Dataset as TorchDataset
except ModuleNotFoundError:
    raise UnsupportedError(
        "auditing a training in PyTorch needs PyTorch, which is not installed",
        hint=INSTALL_TORCH,
    ) from None

Loss = Callable[[Tensor, Tensor], Tensor]

STRENGTH: Final = 1e6
"""How large a canary's gradient is before clipping; any clip norm in use is far below."""


class CanaryModule(nn.Module):
    """A module with a weight for each canary beside its own.

    It takes what the module takes, and tags (rows,) int64 after it: 0 for a record and i + 1 for canary i. It gives the
    module's outputs, (rows, outputs), with two columns more: the canary's signal, and 1 for a canary.

    Args:
        module: what is trained; its outputs have one row for each input.
        count: canaries.
    """

    def __init__(self, module: nn.Module, *, count: int) -> None:
        if count < 1:
            raise UsageError(f"an audit needs at least one canary, got {count}")
        super().__init__()
        self.module = module
        self.canaries = nn.Embedding(count + 1, 1, padding_idx=0)
        nn.init.zeros_(self.canaries.weight)

    def forward(self, *inputs: Tensor) -> Tensor:
        """(rows, outputs + 2)."""
        *inputs_of_module, tags = inputs
        outputs: Tensor = self.module(*inputs_of_module)
        signal = STRENGTH * self.canaries(tags)
        return torch.cat([outputs, signal.to(outputs.dtype), (tags > 0).to(outputs.dtype)[:, None]], dim=1)

    def canary_weights(self) -> Matrix:
        """(canaries,) how far each canary's weight is from where it began; higher for one that was trained on."""
        return np.asarray(self.canaries.weight.detach()[1:, 0].cpu().numpy(), dtype=np.float64)


def canary_loss(loss: Loss) -> Loss:
    """The loss of records by their outputs, and of canaries by their signal alone; one value for each row."""

    def of_each(outputs: Tensor, targets: Tensor) -> Tensor:
        signal, canary = outputs[:, -2], outputs[:, -1] > 0
        return torch.where(canary, -signal, loss(outputs[:, :-2], targets))

    return of_each


class CanaryDataset(TorchDataset[tuple[Any, ...]]):
    """The records of a dataset and the canaries that were included, as (inputs…, tag, target).

    A canary has the inputs and the target of the first record, which its gradient does not depend on.

    Args:
        dataset: map-style, of (inputs…, target).
        included: (canaries,) the coins.
    """

    def __init__(self, dataset: Any, included: Flags) -> None:
        if not isinstance(dataset, Sized) or len(dataset) == 0:
            raise UsageError("expected a map-style dataset with records to put canaries among, got none")
        self._dataset: Any = dataset
        self._records = len(dataset)
        self._tags = (np.flatnonzero(included) + 1).tolist()

    def __len__(self) -> int:
        return self._records + len(self._tags)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        record, tag = (index, 0) if index < self._records else (0, self._tags[index - self._records])
        *inputs, target = self._dataset[record]
        return (*inputs, tag, target)


def sampled_scores(sums: Matrix, *, noise_multiplier: float, sampling_rate: float) -> Matrix:
    """(canaries,) how likely it is that each canary took part, from every noisy sum that was released.

    The log of the likelihood ratio under the claim of Poisson sampling, which no attacker can beat where the claim is
    true. A training that releases only its last weights shows less than that, and is accounted for as if it showed it.

    Args:
        sums: (steps, canaries) each canary's entry of each noisy sum, in units of the clip norm.
        noise_multiplier: standard deviation of the noise in the same units, above 0.
        sampling_rate: claimed probability with which a record is in a sum, above 0 and at most 1.

    Raises:
        UsageError: a noise multiplier or a rate that claims nothing.
    """
    if not (noise_multiplier > 0 and 0 < sampling_rate <= 1):
        raise UsageError(f"expected noise above 0 and a rate in (0, 1], got {noise_multiplier} and {sampling_rate}")
    with np.errstate(divide="ignore"):  # a rate of 1 leaves no chance of being left out
        absent, present = np.log1p(-sampling_rate), np.log(sampling_rate)
    return np.asarray(np.logaddexp(absent, present + (sums - 0.5) / noise_multiplier**2).sum(axis=0))
