"""Threats that change a picture as the world does: its light, its tilt, or something worn in front of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor
from torch.nn import functional

from holdfast.attacks.evasion_result import Threat
from holdfast.attacks.images.classifier import Classifier
from holdfast.attacks.images.transform_search import Moved, paint, sweep
from holdfast.errors import DataError, UsageError

Places = npt.NDArray[np.bool_]


@runtime_checkable
class Transform(Threat, Protocol):
    """A threat that looks for its own worst case."""

    @property
    def within(self) -> str:
        """The threat in words, as `EvasionResult.within` takes them."""
        ...

    @property
    def method(self) -> str:
        """How the worst case is found."""
        ...

    @property
    def needs_gradient(self) -> bool:
        """Whether the search differentiates the model; one that does not works through its answers alone."""
        ...

    def search(self, classifier: Classifier, x: Tensor, y: Tensor, generator: Generator) -> Moved:
        """Pictures (n, …) that fool the model, and how far each is changed, in the unit of the threat.

        Raises:
            DataError: pictures of a size that the threat is not for.
            UnsupportedError: the model has no gradient, and the search needs one.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Brightness:
    """All values go up or down by the same, and stay within 0 to 1.

    Args:
        shift: by how much at most, above 0 and up to 1.
    """

    shift: float
    unit: ClassVar[str] = "of full brightness"
    method: ClassVar[str] = "grid of shifts, refined by bisection"
    needs_gradient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse a shift that means nothing."""
        if not 0 < self.shift <= 1:
            raise UsageError(f"the shift of brightness is above 0 and at most 1, got {self.shift!r}")

    @property
    def budget(self) -> float:
        """The shift."""
        return self.shift

    @property
    def within(self) -> str:
        """See `Transform`."""
        return f"when it gets lighter or darker by up to {self.shift:g}"

    def to_json(self) -> dict[str, Any]:
        """The threat as JSON."""
        return {"transform": "brightness", "shift": self.shift}

    def search(self, classifier: Classifier, x: Tensor, y: Tensor, generator: Generator) -> Moved:
        """See `Transform`."""
        del generator
        return sweep(classifier, x, y, turn=lighter, reach=self.shift)


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The picture is turned about its centre; what comes in from outside repeats the pixels at the edge.

    Args:
        degrees: by how much at most in either direction, above 0 and up to 180.
    """

    degrees: float
    unit: ClassVar[str] = "degrees"
    method: ClassVar[str] = "grid of angles, refined by bisection"
    needs_gradient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse an angle that means nothing."""
        if not 0 < self.degrees <= 180:
            raise UsageError(f"the angle of a rotation is above 0 and at most 180 degrees, got {self.degrees!r}")

    @property
    def budget(self) -> float:
        """The angle."""
        return self.degrees

    @property
    def within(self) -> str:
        """See `Transform`."""
        return f"when it is turned by up to {self.degrees:g} degrees"

    def to_json(self) -> dict[str, Any]:
        """The threat as JSON."""
        return {"transform": "rotation", "degrees": self.degrees}

    def search(self, classifier: Classifier, x: Tensor, y: Tensor, generator: Generator) -> Moved:
        """See `Transform`."""
        del generator
        return sweep(classifier, x, y, turn=turned, reach=self.degrees)


@dataclass(frozen=True, kw_only=True, eq=False)
class Occlusion:
    """Something of any colours covers one of several places, as a sticker does, or glasses (Sharif et al. 2016).

    Args:
        places: (k, height, width) bool; what is covered in each, 1 or more pixels and not all.
        name: what it is, such as "a patch of 5 x 5 pixels".

    Make one with `patch`, `glasses`, or from masks of your own.
    """

    places: Places = field(repr=False)
    name: str
    unit: ClassVar[str] = "of the picture"
    method: ClassVar[str] = "projected gradient within the covered place"
    needs_gradient: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse masks that cover nothing, or everything."""
        places = np.asarray(self.places)
        if places.dtype != np.bool_ or places.ndim != 3 or len(places) == 0:
            raise UsageError(
                f"expected masks as bool of shape (places, height, width), got {places.dtype} of {places.shape}"
            )
        covered = places.reshape(len(places), -1).mean(axis=1)
        if not ((covered > 0) & (covered < 1)).all():
            raise UsageError("expected masks that cover a part of the picture, got one that covers none or all of it")

    @classmethod
    def patch(cls, picture: tuple[int, int], *, size: tuple[int, int], stride: int = 4) -> Occlusion:
        """A rectangle anywhere in the picture.

        Args:
            picture: height and width.
            size: height and width of the rectangle.
            stride: pixels between the places that are tried.
        """
        (height, width), (high, wide) = picture, size
        if not (0 < high <= height and 0 < wide <= width and stride >= 1):
            raise UsageError(
                f"expected a patch within {height} x {width} pixels and a stride from 1, got {size}, {stride}"
            )
        tops, lefts = range(0, height - high + 1, stride), range(0, width - wide + 1, stride)
        places = np.zeros((len(tops) * len(lefts), height, width), dtype=np.bool_)
        for place, (top, left) in zip(places, ((top, left) for top in tops for left in lefts), strict=True):
            place[top : top + high, left : left + wide] = True
        return cls(places=places, name=f"a patch of {high} x {wide} pixels")

    @classmethod
    def glasses(cls, picture: tuple[int, int], *, eyes: Sequence[tuple[int, int]]) -> Occlusion:
        """The frame of a pair of glasses: a ring about each eye, and a bridge between them.

        Args:
            picture: height and width.
            eyes: row and column of both, as all pictures have them.
        """
        if len(eyes) != 2:
            raise UsageError(f"expected the places of two eyes, got {len(eyes)}")
        (top, left), (low, right) = sorted(eyes, key=lambda eye: eye[1])
        radius = math.hypot(low - top, right - left) * 0.38
        rows, columns = np.mgrid[: picture[0], : picture[1]]
        frame = np.zeros(picture, dtype=np.bool_)
        for row, column in ((top, left), (low, right)):
            frame |= np.abs(np.hypot(rows - row, (columns - column) * 0.9) - radius) <= 0.2 * radius
        between = (columns > left + radius) & (columns < right - radius)
        frame |= between & (np.abs(rows - (top + low) / 2) <= 0.2 * radius)
        return cls(places=frame[None], name="a frame of glasses")

    @property
    def budget(self) -> float:
        """The largest share of the picture that is covered."""
        return float(self.places.reshape(len(self.places), -1).mean(axis=1).max())

    @property
    def within(self) -> str:
        """See `Transform`."""
        return f"when {self.name} covers {self.budget:.1%} of it"

    def to_json(self) -> dict[str, Any]:
        """The threat as JSON."""
        return {"transform": "occlusion", "name": self.name, "places": len(self.places), "share": self.budget}

    def search(self, classifier: Classifier, x: Tensor, y: Tensor, generator: Generator) -> Moved:
        """See `Transform`."""
        if tuple(x.shape[2:]) != self.places.shape[1:]:
            raise DataError(f"{self.name} is for pictures of {self.places.shape[1:]} pixels, got {tuple(x.shape[2:])}")
        places = torch.as_tensor(self.places, device=x.device)
        return paint(classifier, x, y, places=places, generator=generator)


def lighter(x: Tensor, shift: Tensor) -> Tensor:
    """Pictures (n, …) with all values moved by `shift` (n,), within 0 to 1."""
    return (x + shift.view(-1, *[1] * (x.ndim - 1))).clamp_(0, 1)


def turned(x: Tensor, degrees: Tensor) -> Tensor:
    """Pictures (n, channels, height, width) turned counterclockwise about their centres by `degrees` (n,)."""
    height, width = x.shape[2:]
    angle = torch.deg2rad(degrees)
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    # affine_grid counts both sides from -1 to 1, whatever their lengths.
    first = torch.stack([cosine, -sine * height / width, zero], dim=1)
    second = torch.stack([sine * width / height, cosine, zero], dim=1)
    grid = functional.affine_grid(torch.stack([first, second], dim=1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
