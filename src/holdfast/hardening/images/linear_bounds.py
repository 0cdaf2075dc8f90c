"""Linear bounds: how low a linear function of what a network computes can get, pulled back to the pixels.

Zhang et al., "Efficient neural network robustness certification with general activation functions" (CROWN, 2018),
theorem 3.2: from the last step to the first, every ReLU that may be on or off is replaced by a line below it where the
function grows with it, and by a line above it where the function falls. What is left is linear in the pixels, and its
least value within the threat is known in closed form. The boxes before each ReLU are found in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from holdfast.attacks.images.norms import norm_of
from holdfast.attacks.images.threat import PixelChange
from holdfast.hardening.images.affine import Affine
from holdfast.hardening.images.boxes import Box
from holdfast.hardening.images.steps import Relu, Step

_MOST_NUMBERS: Final = 1 << 23
"""Numbers that the functions of one pass may have at their widest: 64 MiB in double precision."""


def tight_boxes(steps: Sequence[Step], x: Tensor, threat: PixelChange) -> list[Box]:
    """As `boxes_of`, with the box before each ReLU narrowed by linear bounds; pictures x (n, …) in double precision."""
    boxes = [Box.around(x, threat.radius)]
    for at, step in enumerate(steps):
        if isinstance(step, Relu):
            boxes[at] = _narrowed(steps[:at], boxes, x, threat)
        boxes.append(boxes[at].through(step))
    return boxes


def lower_bounds(
    steps: Sequence[Step], boxes: Sequence[Box], functions: Tensor, x: Tensor, threat: PixelChange
) -> Tensor:
    """The least values of linear functions of what the steps compute, from below.

    Args:
        steps: from the pixels on.
        boxes: before each step, sound ones; those before ReLUs matter.
        functions: (n, functions, …) coefficients over what comes out of the last step.
        x: (n, channels, height, width) the pictures.
        threat: how far they may be moved.

    Returns:
        (n, functions).
    """
    constant = functions.new_zeros(functions.shape[:2])
    for step, box in zip(reversed(steps), reversed(boxes[: len(steps)]), strict=True):
        if isinstance(step, Affine):
            functions, added = _pulled(step, functions, box.centre)
        else:
            functions, added = _relaxed(functions, box)
        constant = constant + added
    return constant + _least(functions, boxes[0], x, threat)


def _narrowed(steps: Sequence[Step], boxes: Sequence[Box], x: Tensor, threat: PixelChange) -> Box:
    """The last box, cut down to linear bounds of those of its numbers whose sign is open for some picture."""
    box = boxes[len(steps)]
    low, high = box.low.flatten(1), box.high.flatten(1)
    width, widest = low.shape[1], max(each.centre[0].numel() for each in boxes)
    unsure = ((low < 0) & (high > 0)).any(dim=0).nonzero().flatten()
    for part in torch.split(unsure, max(1, _MOST_NUMBERS // (len(x) * widest))) if len(unsure) else []:
        each = functional.one_hot(part, width).to(x.dtype).view(1, -1, *box.centre.shape[1:])
        each = each.expand(len(x), *each.shape[1:])
        low[:, part] = torch.maximum(low[:, part], lower_bounds(steps, boxes, each, x, threat))
        high[:, part] = torch.minimum(high[:, part], -lower_bounds(steps, boxes, -each, x, threat))
    return Box.between(low.view_as(box.centre), high.view_as(box.centre))


def _pulled(step: Affine, functions: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Functions of W v + b as functions of v, and the constants f(b)."""
    n, many = functions.shape[:2]
    with torch.enable_grad():
        origin = functions.new_zeros((n * many, *before.shape[1:])).requires_grad_()
        image = step.apply(origin)
        (pulled,) = torch.autograd.grad(image, origin, functions.reshape(image.shape))
    added = (functions * image.detach().view_as(functions)).flatten(2).sum(dim=2)
    return pulled.view(n, many, *before.shape[1:]), added


def _relaxed(functions: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """Functions of max(v, 0) bounded from below by functions of v, and by constants.

    Above: the line through both ends of the interval. Below: v or 0, whichever leaves the smaller area (Zhang et al.
    2018, section 3.3).
    """
    low, high = box.low.clamp(max=0), box.high.clamp(min=0)
    above = torch.where(box.high > 0, high / (high - low).clamp(min=torch.finfo(high.dtype).tiny), 0.0)
    below = (high > -low).to(high.dtype)
    rising, falling = functions.clamp(min=0), functions.clamp(max=0)
    added = -(falling * (above * low).unsqueeze(1)).flatten(2).sum(dim=2)
    return rising * below.unsqueeze(1) + falling * above.unsqueeze(1), added


def _least(functions: Tensor, box: Box, x: Tensor, threat: PixelChange) -> Tensor:
    """(n, functions) the better of two bounds on linear functions of the pixels: over the box, and over the ball."""
    flat = functions.flatten(2)
    over_box = (flat * box.centre.flatten(1).unsqueeze(1) - flat.abs() * box.radius.flatten(1).unsqueeze(1)).sum(dim=2)
    steepness = norm_of(threat).dual_length(functions.flatten(0, 1)).view(functions.shape[:2])
    over_ball = (flat * x.flatten(1).unsqueeze(1)).sum(dim=2) - threat.radius * steepness
    return torch.maximum(over_box, over_ball)
