"""The random changes of the Square attack, one way to move for each norm.

Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search" (2020): for
Linf algorithm 2, for L2 algorithm 3 and section 3.4. L1 is that of L2 with sums of absolute values, as the published
AutoAttack has it. One window serves all pictures of a step, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import ClassVar, Final, Protocol

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.norms import L1, L2, Linf, Norm
from holdfast.attacks.images.square_spots import Change, Spot, apart, around, shared, window
from holdfast.attacks.images.threat import NormName, PixelChange

_TINY: Final = 1e-12
_ALMOST: Final = 1 - 1e-6
"""Of the radius, so that no rounding of float32 takes a change beyond it."""
_TILES: Final = 5
"""The first change of L2 and L1 is made of so many tiles along a side."""


class Moves(Protocol):
    """How a random search changes pictures (n, channels, height, width).

    Attributes:
        windows: of a change, or fewer.
    """

    windows: ClassVar[int]

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """The pictures that the search begins with."""
        ...

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> list[Change]:
        """What to ask about next: the best so far, changed in windows that are apart, by squares of about this side."""
        ...


def moves_of(threat: PixelChange) -> Moves:
    """The moves for a threat's norm and radius."""
    return _MOVES[threat.norm](threat.radius)


@dataclass(frozen=True)
class _Signs:
    """Linf: a window of every channel goes to one end of what is allowed."""

    radius: float

    windows: ClassVar[int] = 1

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """Vertical stripes of one pixel, each to one end."""
        stripes = _signs((len(x), x.shape[1], 1, x.shape[3]), x, generator)
        return (x + self.radius * stripes).clamp_(0, 1)

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> list[Change]:
        """One square, the sign of each channel at random."""
        spot = _spot(x, side, generator)
        here = window(spot)
        change = 2 * self.radius * _signs((x.shape[1], 1, 1), x, generator)
        return [(spot, Linf().into(best[here] + change, x[here], self.radius))]


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

    windows: ClassVar[int] = 2

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """A grid of tiles of random sign, each of length 1 before all are brought to the radius."""
        height, width = x.shape[2:]
        side = max(min(height, width) // _TILES, 1)
        change = torch.zeros_like(x)
        for top in range(height % side // 2, height - side + 1, side):
            for left in range(width % side // 2, width - side + 1, side):
                signs = _signs((*x.shape[:2], 1, 1), x, generator)
                change[:, :, top : top + side, left : left + side] = self._tile(side, x, generator) * signs
        return self._spent(x, change)

    def step(self, x: Tensor, best: Tensor, side: int, generator: Generator) -> list[Change]:
        """One window grows by a tile of random sign in each channel; another is cleared for it."""
        side = min(max(side, 3) | 1, *x.shape[2:])
        grows, gives = _spot(x, side, generator), _spot(x, side, generator)
        start, cleared = x[window(grows)], x[window(gives)]
        own, given = best[window(grows)] - start, best[window(gives)] - cleared
        given[window(shared(gives, grows)[0])] = 0
        unused = (_ALMOST * self.radius) ** self.power - self.norm.length(best - x).view(-1, 1, 1, 1) ** self.power
        length = unused.clamp_(min=0) / x.shape[1] + self._total(own) + self._total(given)
        tile = self._tile(side, x, generator) * _signs((*x.shape[:2], 1, 1), x, generator)
        tile = tile + own / (self._length(own) + _TINY)
        grown = (start + tile * (length ** (1 / self.power) / (self._length(tile) + _TINY))).clamp_(0, 1)
        if apart([grows, gives]):
            return [(grows, grown), (gives, cleared)]
        box = around([grows, gives])
        both = best[window(box)].clone()
        both[window(shared(gives, box)[1])] = cleared
        both[window(shared(grows, box)[1])] = grown
        return [(box, both)]

    def _spent(self, x: Tensor, change: Tensor) -> Tensor:
        """The change within the threat: stretched where it is too short, else brought back as its norm has it."""
        long = self.norm.length(change).view(-1, 1, 1, 1)
        stretch = (_ALMOST * self.radius / (long + _TINY)).clamp_(min=1)
        return self.norm.into(x + change * stretch, x, _ALMOST * self.radius)

    def _total(self, change: Tensor) -> Tensor:
        """(n, channels, 1, 1) what each channel has of length^power."""
        return self._length(change).pow(self.power)

    def _length(self, change: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(change, self.power, dim=(2, 3), keepdim=True)
        return length

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


def _spot(x: Tensor, side: int, generator: Generator) -> Spot:
    """A random square of this side within the pictures, anywhere; AutoAttack leaves out the last row and column."""
    top, left = (
        int(torch.randint(size - side + 1, (1,), generator=generator, device=x.device)) for size in x.shape[2:]
    )
    return (top, top + side), (left, left + side)


def _signs(shape: tuple[int, ...], x: Tensor, generator: Generator) -> Tensor:
    """Random -1 and 1."""
    return 2.0 * torch.randint(2, shape, generator=generator, device=x.device) - 1.0


def _coin(x: Tensor, generator: Generator) -> bool:
    return bool(torch.randint(2, (1,), generator=generator, device=x.device))
