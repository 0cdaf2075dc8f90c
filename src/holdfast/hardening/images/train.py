"""Train a picture model of the user's against a threat: any module that gives logits, any method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from holdfast.arguments import check_kind
from holdfast.attacks.images.threat import PixelChange
from holdfast.data.images import Images
from holdfast.errors import DataError, UsageError
from holdfast.hardening.images.method import Method
from holdfast.hardening.images.run import SEEDS, Augment, Run

Progress = Callable[[int, int], None]

_MAX_EPOCHS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a module learns.

    Args:
        epochs: over all pictures, 1 to 10,000.
        batch_size: pictures of a step, 2 or more.
        learning_rate: of Adam, above 0 and up to 1; reached after a quarter of the steps, then falling to nearly 0.
    """

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if not 1 <= self.epochs <= _MAX_EPOCHS:
            raise UsageError(f"expected 1 to {_MAX_EPOCHS:,} epochs, got {self.epochs}")
        if self.batch_size < 2:
            raise UsageError(f"expected batches of 2 pictures or more, got {self.batch_size}")
        if not 0 < self.learning_rate <= 1:
            raise UsageError(f"expected a learning rate above 0 and up to 1, got {self.learning_rate}")


_USUAL: Final = Schedule()


@dataclass(frozen=True, eq=False, kw_only=True)
class RobustTraining:
    """A module trained against a threat, and how it went.

    Args:
        module: in evaluation mode.
        threat: what it was trained against.
        method: as it began.
        held_out: share of held-out training pictures that withstood after each epoch, as the method measures it; to
            choose by, not to report.
        chosen_epoch: the one whose weights `module` has, from 1: the best by `held_out`, the latest of equals.
        collapsed_epochs: those in which the method fell for its own attack, so that another went on in its place.
    """

    module: nn.Module = field(repr=False)
    threat: PixelChange
    method: Method
    held_out: tuple[float, ...]
    chosen_epoch: int
    collapsed_epochs: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The run as JSON, without the weights."""
        return {
            "threat": self.threat.to_json(),
            "held_out": list(self.held_out),
            "chosen_epoch": self.chosen_epoch,
            "collapsed_epochs": list(self.collapsed_epochs),
            **self.method.to_json(),
        }


def train_robust(
    module: nn.Module,
    images: Images,
    *,
    threat: PixelChange,
    method: Method,
    rng: np.random.Generator,
    schedule: Schedule = _USUAL,
    augment: Augment | None = None,
    progress: Progress | None = None,
) -> RobustTraining:
    """Train a copy of a module; the module that is given stays as it is.

    A tenth of the pictures, 500 at most, is held out, and measured after each epoch, by PGD or by bounds; the epoch
    that withstood best is kept. The last one often overfits to the attack instead (Rice, Wong and Kolter 2020).

    Args:
        module: gives logits (n, classes) for pictures (n, channels, height, width) from 0 to 1; trained or new.
        images: to train on; none that is tested on later.
        threat: to train against.
        method: such as `PGDTraining()`, `TRADES()`, `FastTraining()` or `IntervalTraining()`.
        rng: of order, starts and dropout: the same gives the same module on the same machine and number of threads.
        schedule: how long and how fast.
        augment: applied to each batch.
        progress: called with (steps done, all steps).

    Raises:
        UsageError: an argument of another kind, or a module without a parameter that can be trained.
        DataError: too few pictures.
        UnsupportedError: a module that does not take the pictures, or whose loss is not finite; a layer that the method
            cannot handle.
    """
    check_kind("threat", threat, PixelChange, example='PixelChange(norm="Linf", radius=8 / 255)')
    check_kind("method", method, Method, example="PGDTraining()")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if len(images) < 4 or len(np.unique(images.y)) < 2:
        raise DataError(
            f"expected at least 4 pictures of two classes or more to train on, got {len(images)} of "
            f"{len(np.unique(images.y))}"
        )
    run = Run(module, images, threat, method, rng=rng, batch_size=schedule.batch_size, augment=augment)
    steps = schedule.epochs * run.steps_of_epoch
    rate = torch.optim.lr_scheduler.OneCycleLR(run.optimizer, schedule.learning_rate, total_steps=steps, pct_start=0.25)
    devices = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(rng.integers(SEEDS)))  # for dropout, which knows no other generator
        for epoch in range(schedule.epochs):
            for taken in run.epoch(epoch * run.steps_of_epoch, steps):
                rate.step()
                if progress is not None:
                    progress(taken, steps)
            run.judge()
    run.go_back()
    return RobustTraining(
        module=run.module.eval(),
        threat=threat,
        method=method,
        held_out=tuple(run.history),
        chosen_epoch=run.chosen,
        collapsed_epochs=tuple(run.collapsed),
    )
