"""How APGD steps: the paces of `climb`, by norm.

Linf and L2: Croce & Hein, "Reliable evaluation of adversarial robustness" (2020), algorithm 1. L1: Croce & Hein, "Mind
the box" (2021), algorithm 1. The constants are the papers' own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from holdfast.attacks.images.climb import Pace, Walk
from holdfast.attacks.images.norms import Norm
from holdfast.attacks.images.threat import NormName

_MOMENTUM: Final = 0.25
_RISES: Final = 0.75
"""A step length stays where the loss rose in more than this share of the steps since the last look."""
_SHRINK: Final = 1.5
_SHORTEST: Final = 0.1
_SPARSER: Final = 0.95


class HalvingPace:
    """Steps with momentum, from twice the radius on, halved where the loss stopped rising.

    Args:
        norm: of the threat.
        radius: likewise.
        steps: how many there will be, which spaces the looks.
        start: (n, …) where the climb begins.
        x: (n, …) the pictures.
    """

    def __init__(self, *, norm: Norm, radius: float, steps: int, start: Tensor, x: Tensor) -> None:
        self._norm, self._radius = norm, radius
        self._step = start.new_full((len(x), *[1] * (x.ndim - 1)), 2 * radius)
        self._rises = start.new_zeros(len(x))
        self._best_then = start.new_full((len(x),), -torch.inf)
        self._halved = torch.ones(len(x), dtype=torch.bool, device=x.device)
        self._begun = False
        self._wait, self._shortest_wait = max(int(0.22 * steps), 1), max(int(0.06 * steps), 1)
        self._sooner = max(int(0.03 * steps), 1)
        self._since = 0

    def move(self, walk: Walk) -> Tensor:
        """A step up, and a quarter of the last one again."""
        ahead = self._norm.into(walk.at + self._step * self._norm.steepest(walk.gradient), walk.x, self._radius)
        if not self._begun:
            self._begun = True
            return ahead
        mixed = walk.at + (1 - _MOMENTUM) * (ahead - walk.at) + _MOMENTUM * (walk.at - walk.before)
        return self._norm.into(mixed, walk.x, self._radius)

    def look(self, walk: Walk) -> None:
        """Now and then halve the steps of pictures that got nowhere, and take them back to their best place."""
        self._rises += walk.rose
        self._since += 1
        if self._since < self._wait:
            return
        stuck = ~self._halved & (self._best_then >= walk.best_loss)
        halve = (self._rises <= _RISES * self._since) | stuck
        wide = halve.view_as(self._step)
        self._step = torch.where(wide, self._step / 2, self._step)
        walk.at = torch.where(wide, walk.best, walk.at)
        walk.gradient = torch.where(wide, walk.best_gradient, walk.gradient)
        self._halved, self._best_then = halve, walk.best_loss.clone()
        self._wait = max(self._wait - self._sooner, self._shortest_wait)
        self._since = 0
        self._rises.zero_()

    def keep(self, rows: Tensor) -> None:
        """Forget all pictures but these."""
        self._step, self._rises = self._step[rows], self._rises[rows]
        self._best_then, self._halved = self._best_then[rows], self._halved[rows]


class SparsePace:
    """Steps along the steepest values only; how many follows from how sparse the best change so far is.

    Args:
        norm: L1.
        radius: of the threat.
        steps: how many there will be, which spaces the looks.
        start: (n, …) where the climb begins.
        x: (n, …) the pictures.
    """

    def __init__(self, *, norm: Norm, radius: float, steps: int, start: Tensor, x: Tensor) -> None:
        self._norm, self._radius = norm, radius
        self._values = x[0].numel()
        self._changed = _changed(start, x)
        self._share = self._changed / self._values / _SHRINK
        self._step = start.new_full((len(x),), radius)
        self._wait = max(int(0.04 * steps), 1)
        self._since = 0

    def move(self, walk: Walk) -> Tensor:
        """A step up along the steepest values, all by the same."""
        flat = walk.gradient.flatten(1)
        size = flat.abs()
        place = ((1 - self._share) * self._values).long().clamp(0, self._values - 1)
        least = size.sort(dim=1).values.gather(1, place[:, None])
        sparse = flat.sign() * (size >= least)
        length = sparse.abs().sum(dim=1, keepdim=True).clamp(min=1)
        step = (self._step[:, None] * sparse / length).view_as(walk.at)
        return self._norm.into(walk.at + step, walk.x, self._radius)

    def look(self, walk: Walk) -> None:
        """Where the best change got sparser, begin again from it with long steps; elsewhere shorten them."""
        self._since += 1
        if self._since < self._wait:
            return
        self._since = 0
        changed = _changed(walk.best, walk.x)
        sparser = changed < _SPARSER * self._changed
        self._share, self._changed = changed / self._values / _SHRINK, changed
        shorter = (self._step / _SHRINK).clamp(min=_SHORTEST * self._radius)
        self._step = torch.where(sparser, torch.full_like(self._step, self._radius), shorter)
        wide = sparser.view(-1, *[1] * (walk.x.ndim - 1))
        walk.at = torch.where(wide, walk.best, walk.at)
        walk.gradient = torch.where(wide, walk.best_gradient, walk.gradient)

    def keep(self, rows: Tensor) -> None:
        """Forget all pictures but these."""
        self._step, self._share, self._changed = self._step[rows], self._share[rows], self._changed[rows]


PACES: Final[dict[NormName, Callable[..., Pace]]] = {"Linf": HalvingPace, "L2": HalvingPace, "L1": SparsePace}


def _changed(moved: Tensor, x: Tensor) -> Tensor:
    """(n,) how many values differ."""
    return (moved != x).flatten(1).sum(dim=1).to(x.dtype)
