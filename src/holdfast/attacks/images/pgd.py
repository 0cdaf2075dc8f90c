"""Projected gradient descent: Madry et al. 2018, and its one-step form FGSM, Goodfellow et al. 2015."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor

from holdfast.attacks.images.attack import Found, check_counts
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.climb import Climbed, Walk, climb, in_turn
from holdfast.attacks.images.losses import Loss, cross_entropy
from holdfast.attacks.images.norms import Norm, norm_of
from holdfast.attacks.images.threat import PixelChange
from holdfast.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Pgd:
    """Steps of one length up the loss, each brought back into the threat, from several starts.

    Args:
        name: in results.
        steps: of each restart, 1 or more.
        step: length of each, as a share of the radius.
        restarts: 1 or more; only the pictures that are not found yet take part in the next.
        random_start: whether to begin at a random picture instead of at the original.
        loss: what to climb.
    """

    name: str = "pgd"
    steps: int = 40
    step: float = 0.1
    restarts: int = 1
    random_start: bool = True
    loss: Loss = cross_entropy

    needs_gradient: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        check_counts(steps=self.steps, restarts=self.restarts)
        if not self.step > 0:
            raise UsageError(f"expected steps longer than 0 of PGD, got {self.step!r}")

    def __call__(
        self, classifier: Classifier, x: Tensor, y: Tensor, *, threat: PixelChange, generator: Generator
    ) -> Found:
        """See `Attack`."""
        norm, radius = norm_of(threat), threat.radius

        def attempt(rows: Tensor) -> Climbed:
            own, classes = x[rows], y[rows]
            return climb(
                classifier,
                own,
                classes,
                start=norm.start(own, radius, generator) if self.random_start else own,
                objective=lambda logits, some: self.loss(logits, classes[some]),
                pace=_Steady(norm, radius, self.step * radius),
                steps=self.steps,
            )

        return in_turn(x, [attempt] * self.restarts)


def fgsm() -> Pgd:
    """One step of the whole radius from the original."""
    return Pgd(name="fgsm", steps=1, step=1.0, random_start=False)


@dataclass(frozen=True)
class _Steady:
    """Steps of one length, never back."""

    norm: Norm
    radius: float
    step: float

    def move(self, walk: Walk) -> Tensor:
        return self.norm.into(walk.at + self.step * self.norm.steepest(walk.gradient), walk.x, self.radius)

    def look(self, walk: Walk) -> None:
        """Nothing changes."""

    def keep(self, rows: Tensor) -> None:
        """Nothing is kept."""
