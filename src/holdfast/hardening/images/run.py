"""The state of a training run, epoch by epoch: what learns, what was best, and which method is at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Final

import numpy as np
import torch
from torch import Generator, Tensor, nn

from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images
from holdfast.errors import UnsupportedError, UsageError
from holdfast.hardening.images.method import Batch, Method
from holdfast.hardening.images.pixels import tensors

Augment = Callable[[Tensor, Generator], Tensor]
"""Changes a batch of pictures as their labels allow, such as by small shifts; random by the generator alone."""

SEEDS: Final = 2**63 - 1
_MOST_HELD_OUT: Final = 500
_HELD_OUT_SHARE: Final = 0.1
_COLLAPSE: Final = 0.5
"""Share of the best robust accuracy that an epoch falls below; learning is noisy, but a collapse takes all."""
_GRADIENT_NORM: Final = 10.0


class Run:
    """The state of a run: the module that learns, the best of it so far, and the method in use."""

    def __init__(
        self,
        module: nn.Module,
        images: Images,
        threat: PixelChange,
        method: Method,
        *,
        rng: np.random.Generator,
        batch_size: int,
        augment: Augment | None,
    ) -> None:
        self.module, self.threat = deepcopy(module).train(), threat
        self.device = _device(self.module)
        order, held = rng.permutation(len(images)), min(_MOST_HELD_OUT, max(1, int(_HELD_OUT_SHARE * len(images))))
        self.held_out, self.images = images.take(np.sort(order[:held])), images.take(np.sort(order[held:]))
        self.rng, self.augment, self.batch_size = rng, augment, min(batch_size, len(self.images))
        self.generator = Generator(self.device).manual_seed(int(rng.integers(SEEDS)))
        self.optimizer = torch.optim.Adam(self.module.parameters())
        self.method, self.loss = method, method.begin(self.module)
        self.best, self.history, self.collapsed = self._weights(), list[float](), list[int]()
        self.chosen = 0

    @property
    def steps_of_epoch(self) -> int:
        """Batches that are full; the pictures left over differ from epoch to epoch."""
        return len(self.images) // self.batch_size

    def epoch(self, taken: int, steps: int) -> Iterator[int]:
        """Take the steps of one epoch; yields how many of the run are taken after each."""
        order = self.rng.permutation(len(self.images))
        for start in range(0, self.steps_of_epoch * self.batch_size, self.batch_size):
            x, y = tensors(self.images.take(order[start : start + self.batch_size]), self.device)
            x = x if self.augment is None else self.augment(x, self.generator)
            self._step(Batch(x=x, y=y, threat=self.threat, done=taken / steps, generator=self.generator))
            taken += 1
            yield taken

    def judge(self) -> None:
        """Keep the module if it withstands more than before; go back and on with another method if it collapsed."""
        x, y = tensors(self.held_out, self.device)
        batch = Batch(x=x, y=y, threat=self.threat, done=1.0, generator=self.generator)
        robust = self.method.withstanding(self.module.eval(), batch)
        self.module.train()
        best = self.history[self.chosen - 1] if self.chosen else 0.0
        self.history.append(robust)
        if robust >= best:
            self.best, self.chosen = self._weights(), len(self.history)
        elif self.method.instead is not None and robust < _COLLAPSE * best:
            self.collapsed.append(len(self.history))
            self.go_back()
            self.optimizer.state.clear()
            self.method = self.method.instead
            self.loss = self.method.begin(self.module)

    def go_back(self) -> None:
        """To the weights that withstood best so far."""
        self.module.load_state_dict(self.best)

    def _step(self, batch: Batch) -> None:
        loss = self.loss(batch)
        if not bool(loss.isfinite()):
            raise UnsupportedError(
                "the loss of a step of training is not a finite number",
                hint="train with a smaller learning_rate, or check the module's answers for NaN",
            )
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.module.parameters(), _GRADIENT_NORM)
        self.optimizer.step()

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.module.state_dict().items()}


def _device(module: nn.Module) -> torch.device:
    for parameter in module.parameters():
        if parameter.requires_grad:
            return parameter.device
    raise UsageError("expected a module with parameters that can be trained, got one without")
