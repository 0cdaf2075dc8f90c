"""Training towards a proof: the loss at the worst corner that interval bounds cannot exclude.

Gowal et al. 2018 train on the bound; Shi et al., "Fast certified robust training with short warmup" (2021), start
weights and regularise layers so that the intervals neither explode nor die while the radius grows; De Palma et al.,
"Expressive losses for verified robustness via convex combinations" (2024), mix the bound with the loss of an attack
(MTL-IBP).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UsageError
from holdfast.hardening.images.boxes import Box, boxes_of
from holdfast.hardening.images.margins import interval_margins
from holdfast.hardening.images.method import Batch, Method
from holdfast.hardening.images.methods import PGDTraining
from holdfast.hardening.images.steps import Relu, steps_of

_TOLERANCE: Final = 0.5
"""What the regularisers leave alone: intervals that at most double, unbalance up to 1 : 2 (Shi et al. 2021)."""
_TINY: Final = 1e-12


@dataclass(frozen=True, kw_only=True)
class IntervalTraining:
    """Train on interval bounds, so that `certify_robustness` can prove what was learnt; for layers with known bounds.

    A module that learns from nothing should begin with `begin_for_intervals(module)`. BatchNorm acts with its running
    statistics in the bounds.

    Args:
        warm_up: share of all steps in which the radius grows from 0 to the threat's.
        bound_share: weight of the bound in the loss, above 0 to 1; the rest is the loss at one step of an attack.
        regularisation: weight of Shi et al.'s regularisers, which fade as the radius grows; 0 for none.
    """

    warm_up: float = 0.3
    bound_share: float = 0.5
    regularisation: float = 0.5

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if not (0 <= self.warm_up <= 1 and 0 < self.bound_share <= 1 and 0 <= self.regularisation < math.inf):
            raise UsageError(
                f"expected a warm-up from 0 to 1, a share of the bound above 0 and up to 1, and a regularisation of "
                f"0 or more, got {self.warm_up}, {self.bound_share} and {self.regularisation}"
            )

    @property
    def name(self) -> str:
        """As results call it."""
        return "training on interval bounds"

    @property
    def instead(self) -> Method | None:
        """The bound does not collapse unseen."""
        return None

    def begin(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        """The mixed loss.

        Raises:
            UnsupportedError: a layer whose bounds are not known.
        """
        steps, attacked = steps_of(module), PGDTraining(steps=1, step=1.25).begin(module)

        def loss(batch: Batch) -> Tensor:
            growth = min(1.0, batch.done / self.warm_up) if self.warm_up > 0 else 1.0
            radius = growth * batch.threat.radius
            boxes = boxes_of(steps, Box.around(batch.x, radius))
            total = self.bound_share * functional.cross_entropy(-interval_margins(steps, boxes, batch.y), batch.y)
            if self.bound_share < 1 and radius > 0:
                total = total + (1 - self.bound_share) * attacked(batch.within(radius))
            if self.regularisation > 0 and 0 < growth < 1:
                total = total + (1 - growth) * self.regularisation * _unrest(boxes, steps)
            return total

        return loss

    def withstanding(self, module: nn.Module, batch: Batch) -> float:
        """Proven by intervals; an attack would be misled where gradients vanish, as they do in narrow intervals."""
        with torch.no_grad():
            steps = steps_of(module)
            boxes = boxes_of(steps, Box.around(batch.x, batch.threat.radius))
            margins = interval_margins(steps, boxes, batch.y).scatter(1, batch.y.unsqueeze(1), torch.inf)
            return float((margins.amin(dim=1) > 0).float().mean())

    def to_json(self) -> dict[str, Any]:
        """The method as JSON."""
        return {
            "method": "interval-training",
            "warm_up": self.warm_up,
            "bound_share": self.bound_share,
            "regularisation": self.regularisation,
        }


def begin_for_intervals(module: nn.Module, *, seed: int) -> None:
    """Draw new weights in place under which intervals keep their width from layer to layer.

    Shi et al. 2021, section 3.1.
    Every Linear and Conv2d gets normal weights of deviation sqrt(2 pi) / inputs and a bias of 0. Usual weights are
    larger, and widen intervals many times per layer.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            deviation = math.sqrt(2 * math.pi) / layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=deviation, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _unrest(boxes: Sequence[Box], steps: Sequence[object]) -> Tensor:
    """Shi et al. 2021, equations 6 and 9: widths that grow, and ReLUs that are nearly all on or all off; a mean."""
    first = boxes[0].radius.mean()
    before = [box for box, step in zip(boxes, steps, strict=False) if isinstance(step, Relu)]
    parts = [_widening(first, box) + _imbalance(box) for box in before]
    return torch.stack(parts).mean() if parts else first.new_zeros(())


def _widening(first: Tensor, box: Box) -> Tensor:
    return functional.relu(_TOLERANCE - first / box.radius.mean().clamp(min=_TINY)) / _TOLERANCE


def _imbalance(box: Box) -> Tensor:
    """Between ReLUs that are on and those that are off, by the mean of their centres and by their variance."""
    on, off = (box.low > 0).to(box.centre.dtype), (box.high < 0).to(box.centre.dtype)
    square = (box.centre - box.centre.mean(dim=0)) ** 2
    means = _evenness((box.centre * on).mean(), -(box.centre * off).mean())
    variances = _evenness((square * on).mean(), (square * off).mean())
    return (functional.relu(_TOLERANCE - means) + functional.relu(_TOLERANCE - variances)) / _TOLERANCE


def _evenness(a: Tensor, b: Tensor) -> Tensor:
    """The smaller over the larger, from 0 to 1."""
    return torch.minimum(a / b.clamp(min=_TINY), b / a.clamp(min=_TINY))
