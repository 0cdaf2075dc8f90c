"""Attacks in turn, batch by batch, each on the pictures that still stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from holdfast.arguments import is_number, is_whole
from holdfast.attacks.images.attack import Attack
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.standing import Standing
from holdfast.attacks.images.threat import PixelChange
from holdfast.data import Labels, Matrix
from holdfast.data.images import Images
from holdfast.errors import DataError, UsageError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Campaign:
    """What is attacked with what.

    Args:
        classifier: the model.
        x: (n, channels, height, width) all pictures.
        y: (n,) their classes.
        threat: how far each may be changed.
        attacks: in their order.
        batch_size: pictures attacked together.
    """

    classifier: Classifier
    x: Tensor
    y: Tensor
    threat: PixelChange
    attacks: tuple[Attack, ...]
    batch_size: int

    def logits(self, x: Tensor) -> Matrix:
        """(n, classes) of many pictures, batch by batch."""
        starts = range(0, len(x), self.batch_size)
        parts = [self.classifier.logits(x[start : start + self.batch_size]) for start in starts]
        return torch.cat(parts).cpu().double().numpy()

    def attack_all(self, standing: Standing, resume: Path | None, progress: Progress | None) -> None:
        """Run what is left to run, and keep what is known after every batch."""
        total = len(self.attacks) * int(standing.target.sum())
        while standing.attack < len(self.attacks):
            while len(rows := standing.batch(self.batch_size)):
                self._attack_batch(standing, rows)
                if resume is not None:
                    standing.write(resume)
                if progress is not None:
                    progress(standing.done(), total)
            standing.next_attack()

    def _attack_batch(self, standing: Standing, rows: Labels) -> None:
        """Run the attack at work on some pictures, and count what is within the threat and fools the model."""
        attack, x, y = self.attacks[standing.attack], self.x[rows], self.y[rows]
        generator = generator_of(standing.seed, standing.attack, int(rows[0]), device=x.device)
        found = attack(self.classifier, x, y, threat=self.threat, generator=generator)
        if odd := beyond(self.threat, x, found.x):
            raise UsageError(f"the attack {attack.name} changed {odd}")
        standing.enter(rows, found, self.classifier.wrong(self.classifier.logits(found.x), y).cpu().numpy())


def beyond(threat: PixelChange, x: Tensor, changed: Tensor) -> str:
    """How changed pictures leave the threat, in words; "" where none does.

    Sums of pixels in float32 may be off by a rounding of each.
    """
    norm = norm_of(threat)
    rounding = torch.finfo(torch.float32).eps * (threat.radius + float(norm.length(torch.ones_like(x[:1]))))
    moved = float(norm.length(changed - x).max())
    low, high = float(changed.min()), float(changed.max())
    if moved <= threat.radius + rounding and low >= 0 and high <= 1:
        return ""
    allowed = f"the threat allows {threat.radius:g} and 0 to 1"
    return f"a picture by {moved:.6g} to pixels from {low:.6g} to {high:.6g}, {allowed}"


def generator_of(*entropy: int, device: torch.device) -> Generator:
    """One for each batch of each attack, so that an evaluation that goes on draws what it would have drawn."""
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
    return Generator(device=device).manual_seed(seed)


def check_options(images: Images, batch_size: int, timeout_s: float | None) -> None:
    """Refuse what no evasion of pictures can begin with."""
    if not isinstance(images, Images):
        raise UsageError(
            f"expected pictures as Images, got {type(images).__name__}", hint="make them by Images.of(pixels, labels)"
        )
    timed = timeout_s is None or (is_number(timeout_s) and timeout_s > 0)
    if not (is_whole(batch_size) and batch_size > 0 and timed):
        raise UsageError(
            f"expected batches of 1 picture or more and a timeout above 0, got {batch_size} and {timeout_s}"
        )
    if len(images) == 0:
        raise DataError("expected at least one picture to attack, got none")


def tensors_of(images: Images, classifier: Classifier) -> tuple[Tensor, Tensor]:
    """Pictures (n, channels, height, width) from 0 to 1, and their classes, where the classifier is."""
    pixels = np.moveaxis(images.pixels, -1, 1).astype(np.float32) / 255
    x = torch.as_tensor(np.ascontiguousarray(pixels), device=classifier.device)
    return x, torch.tensor(images.y, device=classifier.device)
