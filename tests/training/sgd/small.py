"""A task that a small module learns in a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.training.sgd.settings import PrivateSettings
from holdfast.training.sgd.trainer import PrivateTrainer

LOSS = nn.CrossEntropyLoss(reduction="none")
SETTINGS = PrivateSettings(epsilon=3, delta=1e-5, batch_size=128, steps=30)


def task(rows: int = 1_000, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(rows, 6) inputs, and whether a weighted sum of them is above 0."""
    random = torch.Generator().manual_seed(seed)
    X = torch.randn(rows, 6, generator=random)
    return X, (X @ torch.tensor([1.0, -1, 2, 0, 1, -2]) > 0).long()


def network(seed: int = 0, *, dropout: float = 0.0) -> nn.Sequential:
    """6 inputs, 2 scores."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2))


def trainer(data: Any = None, module: nn.Module | None = None, **options: Any) -> PrivateTrainer:
    """A trainer that stands; each option can be another."""
    module = network() if module is None else module
    optimizer = options.pop("optimizer", None) or torch.optim.Adam(module.parameters(), lr=0.02)
    defaults: dict[str, Any] = {"loss": LOSS, "settings": SETTINGS}
    return PrivateTrainer(module, optimizer, task() if data is None else data, **defaults | options)


def checkpointed(path: Path, **options: Any) -> tuple[nn.Module, PrivateTrainer]:
    """A module and a trainer of it that saves to `path`."""
    module = network(dropout=0.1)
    return module, trainer(module=module, checkpoint=path, average=0.9, **options)


def accuracy(module: nn.Module) -> float:
    """On rows that no trainer saw."""
    X, y = task(seed=1)
    module.eval()
    return float((module(X).argmax(1) == y).float().mean())
