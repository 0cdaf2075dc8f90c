"""Projection onto the L1 ball and the box of pixels together.

Croce & Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers" (2021), proposition 2.1: the
Euclidean projection of a change moves every value by the same amount towards zero, after the values are cut off at the
box. How much is found exactly, among the breakpoints of a piecewise linear function.
"""

from __future__ import annotations

import torch
from torch import Tensor


def into_l1_ball(moved: Tensor, x: Tensor, radius: float) -> Tensor:
    """The pictures nearest to `moved` (n, …) whose distance from `x` is at most `radius`, with pixels from 0 to 1.

    A value that wants to move by w, where the box leaves it room for b, moves by clip(w - lambda, 0, b). The sum over
    the values falls with lambda, from its breakpoints at w down to w - b; lambda solves sum = radius.
    """
    wish, room = _wish_and_room(moved, x)
    over = torch.minimum(wish, room).sum(dim=1) > radius
    kept = torch.minimum(wish, room)
    if over.any():
        shift = _shift(wish[over], room[over], radius)
        kept[over] = torch.minimum((wish[over] - shift).clamp_(min=0), room[over])
    return (x + (kept * (moved - x).flatten(1).sign()).view_as(x)).clamp_(0, 1)


def _wish_and_room(moved: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """(n, values) how far each value wants to move, and how far it can in that direction."""
    change = (moved - x).flatten(1)
    flat = x.flatten(1)
    return change.abs(), torch.where(change > 0, 1 - flat, flat)


def _shift(wish: Tensor, room: Tensor, radius: float) -> Tensor:
    """(n, 1) the lambda at which the sum of moves is the radius; it is more at 0.

    Going down from the largest breakpoint, each breakpoint w makes the sum grow faster by one, and each w - b slower.
    """
    breakpoints = torch.cat([wish, (wish - room).clamp(min=0)], dim=1)
    slopes = torch.cat([torch.ones_like(wish), -torch.ones_like(room)], dim=1)
    ordered, order = breakpoints.sort(dim=1, descending=True)
    slope = slopes.gather(1, order).cumsum(dim=1)
    below = torch.cat([ordered[:, 1:], torch.zeros_like(ordered[:, :1])], dim=1)
    total = (slope * (ordered - below)).cumsum(dim=1)  # the sum of moves at each `below`
    first = (total >= radius).to(torch.int8).argmax(dim=1, keepdim=True)
    excess = total.gather(1, first) - radius
    shift = below.gather(1, first) + excess / slope.gather(1, first).clamp(min=1)
    return shift.clamp_(min=0)  # where rounding left every total below the radius, the first place is none
