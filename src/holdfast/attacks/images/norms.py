"""The arithmetic of three norms on pictures, one small value each, so that no attack asks which norm it is.

All pictures are (n, channels, height, width), float32; lengths are (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Generator, Tensor

from holdfast.attacks.images.l1_ball import into_l1_ball
from holdfast.attacks.images.threat import NormName, PixelChange

_TINY: Final = 1e-12


class Norm(Protocol):
    """What attacks need to know of a norm."""

    def length(self, change: Tensor) -> Tensor:
        """(n,) how long each change is."""
        ...

    def dual_length(self, gradient: Tensor) -> Tensor:
        """(n,) how much a linear function with this gradient grows at most along a change of length 1."""
        ...

    def steepest(self, gradient: Tensor) -> Tensor:
        """The changes of length 1 along which a linear function with this gradient grows most."""
        ...

    def into(self, moved: Tensor, x: Tensor, radius: float) -> Tensor:
        """The moved pictures brought back to within `radius` of `x`, and to pixels from 0 to 1."""
        ...

    def start(self, x: Tensor, radius: float, generator: Generator) -> Tensor:
        """A random picture on the border of the ball around each one, brought back to pixels from 0 to 1."""
        ...


@dataclass(frozen=True)
class Linf:
    """The largest move of a value."""

    def length(self, change: Tensor) -> Tensor:
        """(n,) largest absolute value."""
        return change.abs().flatten(1).amax(dim=1)

    def dual_length(self, gradient: Tensor) -> Tensor:
        """(n,) sum of absolute values."""
        return gradient.abs().flatten(1).sum(dim=1)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Every value by 1, in the direction of its sign."""
        return gradient.sign()

    def into(self, moved: Tensor, x: Tensor, radius: float) -> Tensor:
        """The nearest picture in the box, which is the same in every norm."""
        return moved.clamp(min=(x - radius).clamp_(min=0), max=(x + radius).clamp_(max=1))

    def start(self, x: Tensor, radius: float, generator: Generator) -> Tensor:
        """Uniform noise, scaled so that one value moves by the radius (Croce & Hein 2020)."""
        noise = 2 * torch.rand(x.shape, generator=generator, device=x.device) - 1
        return self.into(x + radius * _over(noise, self.length(noise)), x, radius)


@dataclass(frozen=True)
class L2:
    """The Euclidean length."""

    def length(self, change: Tensor) -> Tensor:
        """(n,) root of the sum of squares."""
        return change.flatten(1).square().sum(dim=1).sqrt()

    def dual_length(self, gradient: Tensor) -> Tensor:
        """(n,) the same length, which is its own dual."""
        return self.length(gradient)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The gradient itself, scaled to length 1."""
        return _over(gradient, self.length(gradient))

    def into(self, moved: Tensor, x: Tensor, radius: float) -> Tensor:
        """Scaled back to the radius, then cut off at 0 and 1, which shortens the change further."""
        change = moved - x
        shrink = (radius / self.length(change).clamp_(min=_TINY)).clamp_(max=1)
        return x.add(change * _column(shrink, x)).clamp_(0, 1)

    def start(self, x: Tensor, radius: float, generator: Generator) -> Tensor:
        """A uniformly random direction."""
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        return x.add(radius * _over(noise, self.length(noise))).clamp_(0, 1)


@dataclass(frozen=True)
class L1:
    """The sum of all moves."""

    def length(self, change: Tensor) -> Tensor:
        """(n,) sum of absolute values."""
        return change.abs().flatten(1).sum(dim=1)

    def dual_length(self, gradient: Tensor) -> Tensor:
        """(n,) largest absolute value."""
        return gradient.abs().flatten(1).amax(dim=1)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The one value with the largest slope, by 1."""
        flat = gradient.flatten(1)
        largest = flat.abs().argmax(dim=1, keepdim=True)
        step = torch.zeros_like(flat).scatter_(1, largest, flat.gather(1, largest).sign())
        return step.view_as(gradient)

    def into(self, moved: Tensor, x: Tensor, radius: float) -> Tensor:
        """The exact Euclidean projection onto ball and box together (Croce & Hein 2021, proposition 2.1)."""
        return into_l1_ball(moved, x, radius)

    def start(self, x: Tensor, radius: float, generator: Generator) -> Tensor:
        """Gaussian noise, projected."""
        return self.into(x + torch.randn(x.shape, generator=generator, device=x.device), x, radius)


NORMS: Final[dict[NormName, Norm]] = {"Linf": Linf(), "L2": L2(), "L1": L1()}


def norm_of(threat: PixelChange) -> Norm:
    """The arithmetic of the threat's norm."""
    return NORMS[threat.norm]


def _column(values: Tensor, like: Tensor) -> Tensor:
    """(n,) as (n, 1, 1, 1), to multiply pictures with."""
    return values.view(-1, *[1] * (like.ndim - 1))


def _over(change: Tensor, length: Tensor) -> Tensor:
    """Changes over their lengths; a change that is zero stays zero."""
    return change / _column(length.clamp(min=_TINY), change)
