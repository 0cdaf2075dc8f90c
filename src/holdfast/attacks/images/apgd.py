"""APGD: projected gradient ascent that finds its own step length, towards no class in particular or towards each.

Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks" (2020),
algorithm 1, and for L1 the form of Croce & Hein, "Mind the box" (2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.attack import Found, check_counts
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.climb import Climbed, Objective, climb, in_turn
from holdfast.attacks.images.losses import Loss, best_targets, cross_entropy, targeted_dlr
from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.pace import PACES
from holdfast.attacks.images.threat import NormName, PixelChange

_STAGES: Final[dict[NormName, tuple[tuple[float, float], ...]]] = {
    "Linf": ((1.0, 1.0),),
    "L2": ((1.0, 1.0),),
    "L1": ((3.0, 0.3), (2.0, 0.3), (1.0, 0.4)),
}
"""Radii, as multiples of the threat's, and the share of the steps within each ("Mind the box", section 3.3)."""


@dataclass(frozen=True, kw_only=True)
class Apgd:
    """APGD away from the true class.

    Args:
        name: in results.
        loss: what to climb.
        steps: of each restart, 1 or more.
        restarts: 1 or more, each from another random start.
    """

    name: str = "apgd-ce"
    loss: Loss = cross_entropy
    steps: int = 100
    restarts: int = 1

    needs_gradient: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        check_counts(steps=self.steps, restarts=self.restarts)

    def __call__(
        self, classifier: Classifier, x: Tensor, y: Tensor, *, threat: PixelChange, generator: Generator
    ) -> Found:
        """See `Attack`."""

        def attempt(rows: Tensor) -> Climbed:
            classes = y[rows]
            return _ascend(
                classifier,
                x[rows],
                classes,
                objective=lambda logits, some: self.loss(logits, classes[some]),
                threat=threat,
                steps=self.steps,
                generator=generator,
            )

        return in_turn(x, [attempt] * self.restarts)


@dataclass(frozen=True, kw_only=True)
class ApgdTargeted:
    """APGD towards each of the other classes that the model finds most likely, one after the other.

    Args:
        name: in results.
        targets: how many of them, 1 or more; where there are fewer, as many climbs, each from another random start.
        steps: towards each, 1 or more.
    """

    name: str = "apgd-t"
    targets: int = 9
    steps: int = 100

    needs_gradient: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        check_counts(steps=self.steps, targets=self.targets)

    def __call__(
        self, classifier: Classifier, x: Tensor, y: Tensor, *, threat: PixelChange, generator: Generator
    ) -> Found:
        """See `Attack`."""
        targets = best_targets(classifier.logits(x), y, self.targets)

        def towards(place: int) -> Callable[[Tensor], Climbed]:
            def attempt(rows: Tensor) -> Climbed:
                classes, target = y[rows], targets[rows, place]
                return _ascend(
                    classifier,
                    x[rows],
                    classes,
                    objective=lambda logits, some: targeted_dlr(logits, classes[some], target[some]),
                    threat=threat,
                    steps=self.steps,
                    generator=generator,
                )

            return attempt

        found = in_turn(x, [towards(turn % targets.shape[1]) for turn in range(self.targets)])
        return Found(found.x, found.queries + 1)


def _ascend(
    classifier: Classifier,
    x: Tensor,
    y: Tensor,
    *,
    objective: Objective,
    threat: PixelChange,
    steps: int,
    generator: Generator,
) -> Climbed:
    """One run of APGD from a random start."""
    norm, stages = norm_of(threat), _STAGES[threat.norm]
    at = norm.start(x, stages[0][0] * threat.radius, generator)
    queries, left = torch.zeros_like(y), steps
    for scale, share in stages:
        radius, last = scale * threat.radius, scale == 1.0
        some = left if last else math.ceil(share * steps)
        at = norm.into(at, x, radius)
        pace = PACES[threat.norm](norm=norm, radius=radius, steps=some, start=at, x=x)
        ended = climb(classifier, x, y, start=at, objective=objective, pace=pace, steps=max(some, 1), stop=last)
        at, queries, left = ended.x, queries + ended.queries, left - some
    return replace(ended, queries=queries)
