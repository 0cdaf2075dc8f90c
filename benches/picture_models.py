"""Five small convolutional networks on MNIST to attack: trained once from fixed seeds, kept under benches/.models.

`standard` plain; `pgd` trained on PGD pictures (Madry et al. 2018); `trades` by TRADES (Zhang et al. 2019); `masked`
plain behind a steep sigmoid on the pixels, which hides the gradient; `two-class` plain 3 against 8, trained on PGD
pictures of a smaller radius. MNIST is read from the folder that HOLDFAST_DATA names, by default ../shared/data beside
the repository.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

DATA: Final = Path(os.environ.get("HOLDFAST_DATA", Path(__file__).parents[2] / "shared" / "data"))
KEPT: Final = Path(__file__).parent / ".models"
RADIUS: Final = 0.3
PAIR: Final = (3, 8)
BATCH: Final = 64
Pictures = tuple[Tensor, Tensor]
Train = Callable[[nn.Module, Pictures], None]


class Steep(nn.Module):
    """Pixels pushed towards 0 and 1, so that their gradient all but vanishes."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, 28, 28) of the same shape."""
        return torch.sigmoid(40 * (x - 0.5))


@dataclass(frozen=True, kw_only=True)
class PictureModel:
    """How one network is made."""

    name: str
    classes: int
    train: Train
    steep: bool = False

    def network(self) -> nn.Sequential:
        """Not trained."""
        return nn.Sequential(
            *([Steep()] if self.steep else []),
            nn.Conv2d(1, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 100),
            nn.ReLU(),
            nn.Linear(100, self.classes),
        )

    def pictures(self, side: str, count: int | None = None) -> Pictures:
        """Pictures (n, 1, 28, 28) from 0 to 1 and their classes, of "train" or "test"."""
        with np.load(DATA / "mnist.npz") as kept:
            x, y = kept[f"x_{side}"], kept[f"y_{side}"]
        if self.classes == len(PAIR):
            chosen = np.isin(y, PAIR)
            x, y = x[chosen], (y[chosen] == PAIR[1]).astype(np.int64)
        pixels = torch.as_tensor(x[:count].astype(np.float32) / 255).reshape(-1, 1, 28, 28)
        return pixels, torch.as_tensor(y[:count].astype(np.int64))

    def trained(self) -> nn.Sequential:
        """The network, from its file or trained now."""
        torch.manual_seed(0)
        network, path = self.network(), KEPT / f"attacked-{self.name}.pt"
        if path.exists():
            network.load_state_dict(torch.load(path, weights_only=True))
        else:
            self.train(network, self.pictures("train"))
            path.parent.mkdir(exist_ok=True)
            torch.save(network.state_dict(), path)
        return network.eval()


def _epochs(network: nn.Module, data: Pictures, count: int, step: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Adam over so many epochs; `step` gives the loss of a batch, and is told how far the training is (0 to 1)."""
    x, y = data
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=count * batches)
    order, done = torch.Generator().manual_seed(1), 0
    for _ in range(count):
        for rows in torch.randperm(len(x), generator=order).chunk(batches):
            loss = step(x[rows], y[rows], done / (count * batches))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            done += 1


def _ascended(x: Tensor, radius: float, steps: int, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Pictures within the radius, by signed steps up a loss from a random start."""
    moved = (x + radius * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    for _ in range(steps):
        moved.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(moved), moved)
        moved = (moved.detach() + 2.5 * radius / steps * gradient.sign()).clamp(x - radius, x + radius).clamp(0, 1)
    return moved.detach()


def plain(epochs: int) -> Train:
    """Cross entropy."""

    def train(network: nn.Module, data: Pictures) -> None:
        _epochs(network, data, epochs, lambda x, y, _: functional.cross_entropy(network(x), y))

    return train


def on_pgd(epochs: int, *, radius: float, steps: int) -> Train:
    """Cross entropy on PGD pictures, whose radius grows over the first half."""

    def train(network: nn.Module, data: Pictures) -> None:
        def step(x: Tensor, y: Tensor, done: float) -> Tensor:
            reach = radius * min(1.0, 2 * done + 0.05)
            moved = _ascended(x, reach, steps, lambda at: functional.cross_entropy(network(at), y, reduction="sum"))
            return functional.cross_entropy(network(moved), y)

        _epochs(network, data, epochs, step)

    return train


def by_trades(epochs: int, *, radius: float, steps: int, weight: float = 2.0) -> Train:
    """Cross entropy, and how far the answers move from those of the original pictures."""

    def train(network: nn.Module, data: Pictures) -> None:
        def step(x: Tensor, y: Tensor, done: float) -> Tensor:
            reach = radius * min(1.0, 2 * done + 0.05)
            with torch.no_grad():
                clean = network(x).softmax(dim=1)
            moved = _ascended(
                x, reach, steps, lambda at: functional.kl_div(network(at).log_softmax(dim=1), clean, reduction="sum")
            )
            answers, changed = network(x), network(moved)
            apart = functional.kl_div(changed.log_softmax(1), answers.softmax(1), reduction="batchmean")
            return functional.cross_entropy(answers, y) + weight * apart

        _epochs(network, data, epochs, step)

    return train


MODELS: Final = {
    model.name: model
    for model in (
        PictureModel(name="standard", classes=10, train=plain(2)),
        PictureModel(name="pgd", classes=10, train=on_pgd(4, radius=RADIUS, steps=7)),
        PictureModel(name="trades", classes=10, train=by_trades(4, radius=RADIUS, steps=7)),
        PictureModel(name="masked", classes=10, train=plain(2), steep=True),
        PictureModel(name="two-class", classes=2, train=on_pgd(4, radius=RADIUS, steps=7)),
    )
}
