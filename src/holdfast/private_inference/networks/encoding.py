"""Images and rows alike: numbers that all lie in one range, divided by its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataError, UsageError, WireError
from holdfast.evidence import is_finite_number
from holdfast.limits import MAX_MAGNITUDE
from holdfast.private_inference.encoding import NumericEncoding

MAX_PIXELS: Final = 2**16
"""Numbers of one image; more do not fit into the ciphertexts of one query."""
_MAX_AXES: Final = 4
_BYTE: Final = 255.0
_MIN_VECTOR: Final = 64
"""Numbers of a row from which on a network without an image's shape is taken to see pixels."""
_FIELDS: Final = {"kind", "shape", "low", "high"}


@dataclass(frozen=True, kw_only=True)
class PixelEncoding:
    """The encoding of images: every number in one range, divided by its largest absolute value.

    Args:
        shape: of one image as the network takes it, such as (channels, height, width).
        low, high: the range, both ends included, in the unit that the network takes.

    Raises:
        UsageError: the shape or the range is out of bounds.
    """

    shape: tuple[int, ...]
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse shapes and ranges that no image has."""
        if not isinstance(self.shape, tuple) or not 1 <= len(self.shape) <= _MAX_AXES:
            raise UsageError(f"expected the shape of an image, 1 to {_MAX_AXES} numbers")
        if not all(type(size) is int and 1 <= size <= MAX_PIXELS for size in self.shape):
            raise UsageError("expected the shape of an image as whole numbers above zero")
        if self.width > MAX_PIXELS:
            raise UsageError(f"expected images of at most {MAX_PIXELS} numbers, got {self.width}")
        if not all(is_finite_number(end) and abs(end) <= MAX_MAGNITUDE for end in (self.low, self.high)):
            raise UsageError("expected a finite range of pixels")
        if not self.low < self.high:
            raise UsageError(f"expected a range of pixels, got {self.low:g} to {self.high:g}")

    @property
    def width(self) -> int:
        """Numbers of one image."""
        return math.prod(self.shape)

    @property
    def n_features(self) -> int:
        """Numbers of one image."""
        return self.width

    @property
    def scale(self) -> float:
        """What a number of 1 is in the network's unit."""
        return max(abs(self.low), abs(self.high))

    def encode(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Images (rows, width), or (rows, …) of their shape, to numbers (rows, width) in [-1, 1].

        Raises:
            DataError: the shape is another, or a number is not finite or out of the range.
        """
        X = np.asarray(X, dtype=np.float64)
        if X.ndim < 2 or math.prod(X.shape[1:]) != self.width:
            raise DataError(f"expected images of shape {self.shape}, got an array of shape {X.shape}")
        rows = X.reshape(len(X), -1)
        outside = ~((rows >= self.low) & (rows <= self.high))  # true for NaN as well
        if outside.any():
            row, place = (int(at) for at in np.argwhere(outside)[0])
            raise DataError(
                f"expected pixels from {self.low:g} to {self.high:g}, got {rows[row, place]:g} at {place} in row {row}"
            )
        return rows / self.scale

    def to_json(self) -> dict[str, Any]:
        """The encoding as JSON; `from_json` is its inverse."""
        return {"kind": "pixels", "shape": list(self.shape), "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, document: object) -> PixelEncoding:
        """Read an encoding back.

        Raises:
            WireError: it is malformed.
        """
        if not isinstance(document, Mapping) or set(document) != _FIELDS or document["kind"] != "pixels":
            raise WireError(f"expected an encoding of pixels with the fields {', '.join(sorted(_FIELDS))}")
        if not isinstance(document["shape"], list):
            raise WireError("expected the shape of an image as a list")
        try:
            return cls(shape=tuple(document["shape"]), low=document["low"], high=document["high"])
        except UsageError as error:
            raise WireError(f"the encoding of pixels is malformed: {error}") from None


def encoding_for(X: NDArray[np.float64], shape: tuple[int, ...]) -> PixelEncoding | NumericEncoding:
    """The encoding of rows like X (rows, …) for a network that takes `shape`.

    Numbers from 0 to 1, and whole ones from 0 to 255, are pixels. Other images get one range, other rows a range for
    each number, as `NumericEncoding.around` has it.
    """
    rows = X.reshape(len(X), -1)
    low, high = float(rows.min()), float(rows.max())
    whole = bool((rows == np.round(rows)).all())
    images = len(shape) > 1 or rows.shape[1] >= _MIN_VECTOR
    if images and low >= 0 and high <= 1:
        return PixelEncoding(shape=shape, low=0.0, high=1.0)
    if images and low >= 0 and high <= _BYTE and whole:
        return PixelEncoding(shape=shape, low=0.0, high=_BYTE)
    if len(shape) > 1:
        reach = 2.0 ** math.ceil(math.log2(2 * max(-low, high)))
        return PixelEncoding(shape=shape, low=-reach, high=reach)
    return NumericEncoding.around(rows, names=[f"feature {i}" for i in range(rows.shape[1])])


def scales_of(encoding: PixelEncoding | NumericEncoding) -> NDArray[np.float64]:
    """(width,) what a number of 1 is in the network's unit."""
    if isinstance(encoding, PixelEncoding):
        return np.full(encoding.width, encoding.scale)
    return encoding.half_widths
