"""What a way to train a picture model against a threat is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from torch import Generator, Tensor, nn

from holdfast.attacks.images.threat import PixelChange


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """One step of training.

    Args:
        x: (n, channels, height, width) pictures from 0 to 1.
        y: (n,) their classes.
        threat: to train against.
        done: the share of all steps that are taken, 0 to 1.
        generator: of all randomness.
    """

    x: Tensor
    y: Tensor
    threat: PixelChange
    done: float
    generator: Generator

    def within(self, radius: float) -> Batch:
        """The same against a threat of another radius."""
        return replace(self, threat=self.threat.with_radius(radius))


@runtime_checkable
class Method(Protocol):
    """A way to train."""

    @property
    def name(self) -> str:
        """As results call it."""
        ...

    @property
    def instead(self) -> Method | None:
        """What to go on with where this one collapses, that is learns its own attack and loses to others."""
        ...

    def begin(self, module: nn.Module) -> Callable[[Batch], Tensor]:
        """The mean loss of a batch of this module, as a function that is called once per step."""
        ...

    def withstanding(self, module: nn.Module, batch: Batch) -> float:
        """The share of held-out pictures that a module, in evaluation mode, answers rightly within the threat."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The method as JSON."""
        ...
