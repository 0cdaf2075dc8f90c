"""The smallest step from a point in a box onto a hyperplane, within the box, for three norms.

Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive boundary attack" (2020), equations 5 to 7:
min ||d|| with <w, d> = b and the point plus d within 0 to 1. Every coordinate moves against the sign of what is to be
made up for, by m up to the room that the box leaves it, and brings |w| m; the total has to be |b|. For Linf and L2,
m = min(lambda s, room) with s = 1 and s = |w|, and the total is piecewise linear in lambda; for L1 the coordinates with
the largest |w| are used up first. All of it is found exactly, by one sort. Where the box has no such point, every
coordinate goes as far as it can, which is the point nearest to the hyperplane's side (equation 7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from holdfast.attacks.images.threat import NormName

_FLAT: Final = 1e-12
"""Weights below it bring nothing: a division by them would only make up numbers."""


def step_onto(norm: NormName, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The step (n, d) of least length from points in the unit box with <w, step> = b, or as near to it as the box lets.

    Args:
        norm: what is least.
        x: (n, d) from 0 to 1.
        w: (n, d) normal vectors.
        b: (n,) what is to be made up for.
    """
    direction = w.sign() * b.sign()[:, None]
    weight = torch.where(w.abs() > _FLAT, w.abs(), 0)
    room = torch.where(direction > 0, 1 - x, x) * (weight > 0)
    return direction * _MOVES[norm](weight, room, b.abs())


def _even(weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """Linf: all by the same, or as far as they can."""
    return _saturated((weight > 0).to(weight.dtype), weight, room, total)


def _steep(weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """L2: each in proportion to its weight, or as far as it can."""
    return _saturated(weight, weight, room, total)


def _saturated(speed: Tensor, weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """Moves min(lambda speed, room) with the lambda at which the sum of weight times move is `total` (n,)."""
    full_at = torch.where(speed > 0, room / speed, 0)  # the lambda at which a coordinate can go no further
    full_at, order = full_at.sort(dim=1)
    brought = (weight * room).gather(1, order).cumsum(dim=1)
    slope = (weight * speed).gather(1, order)
    moving = slope.flip(1).cumsum(1).flip(1)  # of the coordinates from this one on
    before = torch.cat([torch.zeros_like(brought[:, :1]), brought[:, :-1]], dim=1)
    reached = before + moving * full_at  # what has been brought when this coordinate is full
    first = (reached >= total[:, None]).to(torch.int8).argmax(dim=1, keepdim=True)
    rest = total[:, None] - before.gather(1, first)
    least = (rest / moving.gather(1, first).clamp(min=_FLAT)).clamp_(min=0)
    beyond = reached[:, -1:] < total[:, None]
    return torch.where(beyond, room, torch.minimum(least * speed, room))


def _few(weight: Tensor, room: Tensor, total: Tensor) -> Tensor:
    """L1: the coordinates with the largest weights, one after the other, as far as they can."""
    ordered, order = weight.sort(dim=1, descending=True)
    brings = ordered * room.gather(1, order)
    before = brings.cumsum(dim=1) - brings
    wanted = (total[:, None] - before).clamp_(min=0) / ordered.clamp(min=_FLAT)
    moves = torch.minimum(wanted, room.gather(1, order))
    return torch.zeros_like(moves).scatter_(1, order, moves)


_MOVES: Final[dict[NormName, Callable[[Tensor, Tensor, Tensor], Tensor]]] = {"Linf": _even, "L2": _steep, "L1": _few}
