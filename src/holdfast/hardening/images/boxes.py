"""Interval bounds: all values that each number of a network can take, when pictures lie in boxes.

Gowal et al., "On the effectiveness of interval bound propagation for training verifiably robust models" (2018), section
3: an affine map sends a box with a centre and radii to the centre's image and |W| times the radii, and a ReLU sends
both ends of an interval. What comes out is a superset of what the network can do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from holdfast.hardening.images.affine import Affine
from holdfast.hardening.images.steps import Step

_UNIT: Final = 2.0**-24
"""Half of the distance from 1 to the next number of single precision."""


@dataclass(frozen=True, eq=False)
class Box:
    """Intervals of a batch: centre and radius, of one shape (n, …)."""

    centre: Tensor
    radius: Tensor

    @classmethod
    def between(cls, low: Tensor, high: Tensor) -> Box:
        """From the ends of the intervals."""
        return cls((high + low) / 2, (high - low) / 2)

    @classmethod
    def around(cls, x: Tensor, radius: float) -> Box:
        """Pictures whose every value may move by `radius`, and stays from 0 to 1."""
        return cls.between((x - radius).clamp(min=0), (x + radius).clamp(max=1))

    @property
    def low(self) -> Tensor:
        """The lower ends."""
        return self.centre - self.radius

    @property
    def high(self) -> Tensor:
        """The upper ends."""
        return self.centre + self.radius

    def through(self, step: Step) -> Box:
        """Where a step can lead, in exact arithmetic."""
        if isinstance(step, Affine):
            return Box(step.apply(self.centre), step.spread(self.radius))
        return Box.between(self.low.relu(), self.high.relu())


def boxes_of(steps: Sequence[Step], box: Box) -> list[Box]:
    """The boxes before the first step, and after each."""
    boxes = [box]
    for step in steps:
        boxes.append(boxes[-1].through(step))
    return boxes


def rounding_of(steps: Sequence[Step], boxes: Sequence[Box]) -> Tensor:
    """How far the logits of a network in single precision can be from those in exact arithmetic, (n, classes).

    A sum of k products, in whatever order, is within gamma = k u / (1 - k u) times the sum of their sizes (Higham,
    "Accuracy and stability of numerical algorithms", 2nd edition, equation 3.5); errors of earlier steps are spread
    by |W|, and a ReLU makes none. It does not cover convolutions by way of another transform (Winograd, FFT) nor
    reduced precision.

    Args:
        steps: with parameters in double precision that single precision holds.
        boxes: as `boxes_of` gives them.
    """
    error = torch.zeros_like(boxes[0].centre)
    for step, box in zip(steps, boxes, strict=False):
        if isinstance(step, Affine):
            gamma = step.terms * _UNIT / (1 - step.terms * _UNIT)
            sizes = step.spread(box.centre.abs() + box.radius + error) + step.constants
            error = step.spread(error) + gamma * sizes
    return error
