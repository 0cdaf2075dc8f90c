"""What an attack on pictures is: pictures that a model gets right go in, and those that it found come out."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor

from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.threat import PixelChange
from holdfast.errors import UsageError


@dataclass(frozen=True, eq=False)
class Found:
    """What an attack found, picture by picture.

    Args:
        x: (n, …) a picture within the threat that the model gets wrong, or else the original.
        queries: (n,) int64 rows that the model was asked for each; a gradient counts as one.
    """

    x: Tensor
    queries: Tensor


@runtime_checkable
class Attack(Protocol):
    """One way to look for pictures that fool a model. A frozen value; options are its fields."""

    @property
    def name(self) -> str:
        """As it is called in results, such as "apgd-ce"."""
        ...

    @property
    def needs_gradient(self) -> bool:
        """Whether it differentiates the model; one that does not works through the model's answers alone."""
        ...

    def __call__(
        self, classifier: Classifier, x: Tensor, y: Tensor, *, threat: PixelChange, generator: Generator
    ) -> Found:
        """Attack pictures that the model gets right; a picture that is found needs no further step.

        Args:
            classifier: the model; only the pictures not found yet are to be asked.
            x: (n, channels, height, width) float32 from 0 to 1, on the classifier's device; not to be written to.
            y: (n,) int64 their classes.
            threat: how far a picture may be changed.
            generator: all randomness, on the same device.
        """
        ...


def check_counts(**counts: int) -> None:
    """Refuse options of an attack that are no whole numbers of 1 or more.

    Raises:
        UsageError: naming the first.
    """
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"expected a whole number of 1 or more as {name} of an attack, got {count!r}")


def options_of(attack: Attack) -> dict[str, str]:
    """What an attack is, the same in every process: functions by their names, not by where they lie in memory."""
    chosen: dict[str, object] = dict(vars(attack)) if is_dataclass(attack) else {}
    named = {name: getattr(value, "__qualname__", repr(value)) for name, value in chosen.items()}
    return {**named, "kind": type(attack).__qualname__, "name": attack.name}
