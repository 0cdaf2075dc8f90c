"""The smallest step from a point in a box onto a hyperplane, within the box, for three norms.

Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack" (2020), equations 5 to 7:
min ||d|| with <w, d> = b and the point plus d within 0 to 1. Every coordinate moves against the sign of what is to be
made up for, by m up to the room that the box leaves it, and brings |w| m; the total has to be |b|. For Linf and L2,
m = min(lambda s, room) with s = 1 and s = |w|; for L1 the coordinates with the largest |w| are used up first. Where the
box has no such point, every coordinate goes as far as it can, which is the point nearest to the hyperplane's side
(equation 7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from holdfast.attacks.images.threat import NormName


def step_onto(norm: NormName, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The step (n, d) of least length from points in the unit box with <w, step> = b, or as near to it as the box lets.

    Args:
        norm: what is least.
        x: (n, d) from 0 to 1.
        w: (n, d) normal vectors.
        b: (n,) what is to be made up for.
    """
    direction = w.sign() * b.sign()[:, None]
    room = (direction.relu() - x).abs()  # 1 - x upwards and x downwards
    return direction * _MOVES[norm](w.abs(), room, b.abs())


def _even(weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """Linf: all by the same, or as far as they can."""
    return _saturated(torch.ones_like(weight[:, :1]), weight, room, total)


def _steep(weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """L2: each in proportion to its weight, or as far as it can."""
    largest = weight.amax(dim=1, keepdim=True).clamp_(min=_smallest(weight))
    return _saturated(weight / largest, weight, room, total)


def _saturated(speed: Tensor, weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """Moves min(lambda speed, room) with the lambda at which the sum of weight times move is `total` (n,).

    That sum is concave and piecewise linear in lambda, so Newton's steps from 0 never go beyond the answer, and each
    ends at it or fills one coordinate more: a handful of steps is all it takes, and no sort. Nothing here is chosen by
    a mask, as PyTorch takes thirty times as long for that on the processor as for a sum.
    """
    brings, slope = weight * room, weight * speed
    level = torch.zeros_like(total)[:, None]
    while True:
        moving = (room - level * speed).relu_().sign_()  # 1 where there is room left, else 0
        rest = total - torch.linalg.vecdot(brings, 1 - moving)
        rise = torch.linalg.vecdot(slope, moving)
        risen = torch.where(rise > 0, rest / rise, 0)[:, None]
        if not bool((risen > level).any()):
            return torch.minimum(level * speed, room)
        level = torch.maximum(level, risen)


def _few(weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """L1: the coordinates with the largest weights, one after the other, as far as they can."""
    ordered, order = weight.sort(dim=1, descending=True)
    brings = ordered * room.gather(1, order)
    before = brings.cumsum(dim=1) - brings
    wanted = (total[:, None] - before).clamp_(min=0) / ordered.clamp(min=_smallest(weight))
    moves = torch.minimum(wanted, room.gather(1, order))
    return torch.zeros_like(moves).scatter_(1, order, moves)


def _smallest(weight: Tensor) -> float:
    """The least number to divide by; a weight of zero moves nothing, whatever comes of the division."""
    return torch.finfo(weight.dtype).tiny


_MOVES: Final[dict[NormName, Callable[[Tensor, Tensor, Tensor], Tensor]]] = {"Linf": _even, "L2": _steep, "L1": _few}
