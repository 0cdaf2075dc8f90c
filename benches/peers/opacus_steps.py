"""Networks and plain training steps for `dp_training.py`; in its own environment, Opacus's private ones beside them.

Needs PyTorch, and Opacus where it is the peer. Opacus draws its noise from the ordinary generator here (its secure mode
needs a package that is gone), which is in its favour.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from peers.measure import Arrays, Figures, main, peak_memory

THREADS = 2
TURN = 10
RATE = 0.05


def mlp() -> nn.Module:
    """92,162 parameters."""
    return nn.Sequential(nn.Linear(100, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))


def mnist_cnn() -> nn.Module:
    """26,010 parameters: the network of most DP-SGD papers on MNIST (Papernot et al. 2020)."""
    first = [nn.Conv2d(1, 16, 8, 2, padding=3), nn.ReLU(), nn.MaxPool2d(2, 1)]
    second = [nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten()]
    return nn.Sequential(*first, *second, nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10))


def cifar_cnn() -> nn.Module:
    """550,570 parameters: the network of most DP-SGD papers on CIFAR-10 (Papernot et al. 2020)."""
    layers: list[nn.Module] = []
    for before, width in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 10))


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, int, int]] = {
    "mlp-step": (mlp, (100,), 2, 1024, 48_000),
    "mnist-cnn-step": (mnist_cnn, (1, 28, 28), 10, 512, 20_000),
    "cifar-cnn-step": (cifar_cnn, (3, 32, 32), 10, 256, 5_000),
}
"""Network, shape of a row, classes, rows of a batch on average, rows in all."""


class Setting:
    """One case: its rows, and a network with an optimizer for whoever trains."""

    def __init__(self, case: str) -> None:
        self.make, shape, classes, self.batch, rows = CASES[case]
        generator = torch.Generator().manual_seed(1)
        self.X = torch.randn(rows, *shape, generator=generator)
        self.y = torch.randint(classes, (rows,), generator=generator)

    def trained(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        """A fresh network, with its optimizer."""
        torch.manual_seed(2)
        module = self.make()
        return module, torch.optim.SGD(module.parameters(), lr=RATE, momentum=0.9)

    def sample(self) -> Tensor:
        """Rows of a Poisson sample."""
        return torch.nonzero(torch.rand(len(self.X)) < self.batch / len(self.X)).flatten()


def plain(setting: Setting) -> Callable[[], object]:
    """A step without privacy: sample, gather, forward, backward, descend."""
    module, optimizer = setting.trained()
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        rows = setting.sample()
        optimizer.zero_grad()
        loss(module(setting.X[rows]), setting.y[rows]).backward()
        optimizer.step()

    return step


def opacus(setting: Setting) -> Callable[[], object]:
    """The same step by Opacus."""
    from opacus import GradSampleModule  # type: ignore[import-not-found]
    from opacus.optimizers import DPOptimizer  # type: ignore[import-not-found]

    ordinary, optimizer = setting.trained()
    module = GradSampleModule(ordinary)
    private = DPOptimizer(optimizer, noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=setting.batch)
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        rows = setting.sample()
        private.zero_grad()
        loss(module(setting.X[rows]), setting.y[rows]).backward()
        private.step()

    return step


def ratio(first: Callable[[], object], second: Callable[[], object], *, repeats: int) -> float:
    """How many times as long the first takes as the second: the median of ratios of turns one after the other.

    A turn is ten steps, of which the first warms the caches that the other has used, and is not counted: training takes
    steps of one kind.
    """
    ratios = []
    for _ in range(repeats):
        times = []
        for step in (first, second):
            step()
            start = time.perf_counter()
            for _ in range(TURN - 1):
                step()
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    return sorted(ratios)[repeats // 2]


def peak(step: Callable[[], object], *, steps: int = 6) -> int | None:
    """Bytes that some steps need at most, over what was held before; in a process that did nothing else."""
    before = peak_memory()
    for _ in range(steps):
        step()
    after = peak_memory()
    return None if before is None or after is None else after - before


def measure(arrays: Arrays) -> Figures:
    """The peer's figure: `what` is "ratio", or "plain" or "private" for the memory of one of the two."""
    torch.set_num_threads(THREADS)
    case, what, repeats = str(arrays["case"]), str(arrays["what"]), int(arrays["repeats"])
    setting = Setting(case)
    if what == "ratio":
        return {"ratio": ratio(opacus(setting), plain(setting), repeats=repeats)}
    return {"peak": peak((plain if what == "plain" else opacus)(setting))}


if __name__ == "__main__":
    main(dict.fromkeys([sys.argv[1]], measure))
