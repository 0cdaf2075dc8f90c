"""The random changes of the Square attack, one way to move for each norm.

Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search" (2020): for
Linf algorithm 2, for L2 algorithm 3 and section 3.4. L1 is that of L2 with sums of absolute values, as the published
AutoAttack has it. One window serves all pictures of a step, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.norms import L1, L2, Linf, Norm
from holdfast.attacks.images.threat import NormName, PixelChange

_TINY: Final = 1e-12
_ALMOST: Final = 1 - 1e-6
"""Of the radius, so that no rounding of float32 takes a change beyond it."""
_TILES: Final = 5
"""The first change of L2 and L1 is made of so many tiles along a side."""


class Moves(Protocol):
    """How a random search changes pictures (n, channels, height, width)."""

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """The pictures that the search begins with."""
        ...

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> Tensor:
        """The next pictures to ask about, from the best so far, changed in windows of about this side."""
        ...


def moves_of(threat: PixelChange) -> Moves:
    """The moves for a threat's norm and radius."""
    return _MOVES[threat.norm](threat.radius)


@dataclass(frozen=True)
class _Signs:
    """Linf: a window of every channel goes to one end of what is allowed."""

    radius: float

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """Vertical stripes of one pixel, each to one end."""
        stripes = _signs((len(x), x.shape[1], 1, x.shape[3]), x, generator)
        return (x + self.radius * stripes).clamp_(0, 1)

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> Tensor:
        """One square, the sign of each channel at random."""
        window = _window(x, side, generator)
        change = 2 * self.radius * _signs((x.shape[1], 1, 1), x, generator)
        candidates = best.clone()
        candidates[window] = Linf().into(best[window] + change, x[window], self.radius)
        return candidates


@dataclass(frozen=True)
class _Pyramids:
    """L2 and L1: a window takes over the length of another one, and what is left of the radius.

    Args:
        radius: of the threat.
        norm: its arithmetic.
        power: 2 for L2 and 1 for L1, such that the sum of |values|^power is length^power.
        falloff: the k-th ring from the centre of a pyramid counts as much as 1 / k^falloff and all rings outside it.
    """

    radius: float
    norm: Norm
    power: int
    falloff: int

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """A grid of tiles of random sign."""
        height, width = x.shape[2:]
        side = max(min(height, width) // _TILES, 1)
        change = torch.zeros_like(x)
        for top in range(height % side // 2, height - side + 1, side):
            for left in range(width % side // 2, width - side + 1, side):
                signs = _signs((*x.shape[:2], 1, 1), x, generator)
                change[:, :, top : top + side, left : left + side] = self._tile(side, x, generator) * signs
        return self._spent(x, change)

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> Tensor:
        """One window grows by a tile of random sign in each channel; another is cleared for it."""
        side = min(max(side, 3) | 1, *x.shape[2:])
        change, channels = best - x, x.shape[1]
        grows, gives = _window(x, side, generator), _window(x, side, generator)
        unused = (self.radius**self.power - self._total(change).sum(dim=1, keepdim=True)).clamp_(min=0)
        own = change[grows]
        tile = self._tile(side, x, generator) * _signs((*x.shape[:2], 1, 1), x, generator)
        tile = tile + own / (self._length(own) + _TINY)
        in_windows = self._total(own)
        change[grows] = 0
        in_windows = in_windows + self._total(change[gives])
        change[gives] = 0
        length = (unused / channels + in_windows) ** (1 / self.power)
        change[grows] = tile / (self._length(tile) + _TINY) * length
        return self._spent(x, change)

    def _spent(self, x: Tensor, change: Tensor) -> Tensor:
        """The change scaled to the radius, up or down, and cut off at the box."""
        long = self.norm.length(change).view(-1, 1, 1, 1)
        return self.norm.into(x + change * (_ALMOST * self.radius / (long + _TINY)), x, self.radius)

    def _total(self, change: Tensor) -> Tensor:
        """(n, channels, 1, 1) what each channel has of length^power."""
        return change.abs().pow(self.power).sum(dim=(2, 3), keepdim=True)

    def _length(self, change: Tensor) -> Tensor:
        return self._total(change) ** (1 / self.power)

    def _tile(self, side: int, x: Tensor, generator: Generator) -> Tensor:
        """(side, side) of length 1: a pyramid up beside one down, lying or standing by chance."""
        tile = torch.cat([self._pyramid(side // 2, side, x), -self._pyramid(side - side // 2, side, x)])
        tile = tile / self._length(tile[None, None]).view(1, 1)
        return tile if _coin(x, generator) else tile.T

    def _pyramid(self, height: int, width: int, x: Tensor) -> Tensor:
        """(height, width) of length 1, highest in the middle (section 3.4, equation 2)."""
        rows = (torch.arange(height, device=x.device) - height // 2).abs()
        columns = (torch.arange(width, device=x.device) - width // 2).abs()
        ring = torch.maximum(rows[:, None], columns[None])
        terms = torch.arange(1, max(height // 2, width // 2) + 2, device=x.device, dtype=x.dtype) ** -self.falloff
        heights = terms.flip(0).cumsum(0).flip(0)[ring]
        return heights / (self._length(heights[None, None]).view(1, 1) + _TINY)


_MOVES: Final[dict[NormName, Callable[[float], Moves]]] = {
    "Linf": _Signs,
    "L2": partial(_Pyramids, norm=L2(), power=2, falloff=2),
    "L1": partial(_Pyramids, norm=L1(), power=1, falloff=4),
}


def _window(x: Tensor, side: int, generator: Generator) -> tuple[slice, slice, slice, slice]:
    """A random square of this side within the pictures, all channels."""
    top, left = (
        int(torch.randint(size - side + 1, (1,), generator=generator, device=x.device)) for size in x.shape[2:]
    )
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def _signs(shape: tuple[int, ...], x: Tensor, generator: Generator) -> Tensor:
    """Random -1 and 1."""
    return 2.0 * torch.randint(2, shape, generator=generator, device=x.device) - 1.0


def _coin(x: Tensor, generator: Generator) -> bool:
    return bool(torch.randint(2, (1,), generator=generator, device=x.device))
