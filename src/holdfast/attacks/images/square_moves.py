"""The random changes of the Square attack, one way to move for each norm.

Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search" (2020): for
Linf algorithm 2, for L2 algorithm 3 and section 3.4. L1 is that of L2 with sums of absolute values, as the published
AutoAttack has it. One window serves all pictures of a step, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Final, Protocol

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.norms import L1, L2, Linf, Norm
from holdfast.attacks.images.square_window import Window
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

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> tuple[Window, Tensor]:
        """What to ask about next: the best so far with this patch in this window, for squares of about this side."""
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

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> tuple[Window, Tensor]:
        """One square, the sign of each channel at random."""
        window = _window(x, side, generator)
        change = 2 * self.radius * _signs((x.shape[1], 1, 1), x, generator)
        return window, Linf().into(best[window] + change, x[window], self.radius)


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

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> tuple[Window, Tensor]:
        """One window grows by a tile of random sign in each channel; another is cleared for it."""
        side = min(max(side, 3) | 1, *x.shape[2:])
        grows, gives = _window(x, side, generator), _window(x, side, generator)
        candidates = best.clone()
        own = best[grows] - x[grows]
        candidates[grows] = x[grows]
        given = self._total(candidates[gives] - x[gives])
        candidates[gives] = x[gives]
        unused = (_ALMOST * self.radius) ** self.power - self._total(best - x).sum(dim=1, keepdim=True)
        length = (unused.clamp_(min=0) / x.shape[1] + self._total(own) + given) ** (1 / self.power)
        tile = self._tile(side, x, generator) * _signs((*x.shape[:2], 1, 1), x, generator)
        tile = tile + own / (self._length(own) + _TINY)
        candidates[grows] = (x[grows] + tile * (length / (self._length(tile) + _TINY))).clamp_(0, 1)
        return whole(x), candidates

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
        tile = _tile_of(side, self.power, self.falloff).to(x)
        return tile if _coin(x, generator) else tile.T


_MOVES: Final[dict[NormName, Callable[[float], Moves]]] = {
    "Linf": _Signs,
    "L2": partial(_Pyramids, norm=L2(), power=2, falloff=2),
    "L1": partial(_Pyramids, norm=L1(), power=1, falloff=4),
}


@cache
def _tile_of(side: int, power: int, falloff: int) -> Tensor:
    """(side, side) of length 1: a pyramid up above one down."""
    upper, lower = side // 2, side - side // 2
    return _of_length_1(
        torch.cat([_pyramid(upper, side, power, falloff), -_pyramid(lower, side, power, falloff)]), power
    )


def _pyramid(height: int, width: int, power: int, falloff: int) -> Tensor:
    """(height, width) of length 1, highest in the middle (section 3.4, equation 2)."""
    rows = (torch.arange(height) - height // 2).abs()
    columns = (torch.arange(width) - width // 2).abs()
    terms = torch.arange(1.0, max(height // 2, width // 2) + 2) ** -falloff
    return _of_length_1(terms.flip(0).cumsum(0).flip(0)[torch.maximum(rows[:, None], columns[None])], power)


def _of_length_1(heights: Tensor, power: int) -> Tensor:
    return heights / (heights.abs().pow(power).sum() ** (1 / power) + _TINY)


def whole(x: Tensor) -> Window:
    """All of the pictures."""
    return slice(None), slice(None), slice(0, x.shape[2]), slice(0, x.shape[3])


def _window(x: Tensor, side: int, generator: Generator) -> Window:
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
