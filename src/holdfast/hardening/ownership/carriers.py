"""Inputs that a secret makes out of nothing: what watermarks are carried by.

Whoever knows the secret and the public form, a schema or a size of pictures, makes the same inputs again. So a
commitment to the secret binds its owner to all of them, and nobody can pick those that a suspect answers well.

The bits are SHAKE-256's, whole numbers and single float operations make inputs of them: they are the same on every
machine and with every version of NumPy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holdfast import limits
from holdfast.attacks import ranges, repair
from holdfast.data import Dataset, Matrix, Schema
from holdfast.data.images import Images, Pixels
from holdfast.errors import UsageError, WireError
from holdfast.hardening.ownership.suspect import Queries, check_classes

_MISSING_SHARE: Final = 0.1
"""How often a feature that may be missing is."""
MAX_VALUES: Final = 2**27
"""Numbers or pixels of all carriers of a watermark; as float64 they take 1 GiB."""
_SPARE: Final = 2
"""Inputs drawn for each one wanted, of which those that repeat others are left out."""
_GRID: Final = 7
"""Fields of a picture to a side: coarse enough to outlast blurring and pruning, and no two pictures look alike."""


@dataclass(frozen=True, kw_only=True)
class RowForm:
    """Rows anywhere in the ranges of a schema, moved onto its relations."""

    schema: Schema

    @property
    def classes(self) -> int:
        """Of the model."""
        return len(self.schema.classes)

    @property
    def values(self) -> int:
        """Numbers of one row."""
        return len(self.schema.features)

    def draw(self, secret: bytes, count: int) -> Matrix:
        """(count, features) rows. Raises as `repair` where the relations run into a dead end."""
        features = self.schema.features
        words = np.frombuffer(keyed_bytes(secret, "rows", 16 * count * len(features)), dtype="<u8")
        place, absent = (words >> np.uint64(11)).reshape(2, count, len(features)) * 2.0**-53
        box = ranges(self.schema, rows=count)
        is_category = np.array([feature.kind == "category" for feature in features])
        X = box.low + place * (box.high - box.low)
        X = np.where(is_category, np.floor(place * (box.high + 1)), X)
        X[np.array([feature.nullable for feature in features]) & (absent < _MISSING_SHARE)] = np.nan
        return repair(X, box, self.schema)

    def to_json(self) -> dict[str, Any]:
        """The form as JSON."""
        return {"schema": self.schema.to_json()}


@dataclass(frozen=True, kw_only=True)
class PictureForm:
    """Pictures of black and white fields at random, 7 to a side or as many as there are pixels, like nothing in nature.

    In each channel by itself. Shades between them are learned as well, but have to be shown more often.
    """

    height: int
    width: int
    channels: int
    classes: int

    def __post_init__(self) -> None:
        """Refuse sizes that no picture has."""
        sizes = (self.height, self.width, self.channels)
        if not all(type(size) is int and size > 0 for size in sizes) or self.values > limits.MAX_PIXELS:
            raise UsageError(f"expected a height, a width and channels of pictures, got {sizes}")
        check_classes(self.classes)

    @property
    def values(self) -> int:
        """Pixels of one picture, in each channel."""
        return self.height * self.width * self.channels

    def draw(self, secret: bytes, count: int) -> Pixels:
        """(count, height, width, channels) pictures."""
        down, across = min(_GRID, self.height), min(_GRID, self.width)
        shades = np.frombuffer(keyed_bytes(secret, "pictures", count * down * across * self.channels), dtype=np.uint8)
        fields = np.where(shades > 127, 255, 0).astype(np.uint8).reshape(count, down, across, self.channels)
        return fields[:, np.arange(self.height) * down // self.height][
            :, :, np.arange(self.width) * across // self.width
        ]

    def to_json(self) -> dict[str, Any]:
        """The form as JSON."""
        return {"height": self.height, "width": self.width, "channels": self.channels, "classes": self.classes}


Form = RowForm | PictureForm


def form_of(data: Dataset | Images) -> Form:
    """What inputs to the model of some training data look like.

    Raises:
        UsageError: it is neither a table nor pictures.
    """
    if isinstance(data, Dataset):
        return RowForm(schema=data.schema)
    if isinstance(data, Images):
        height, width, channels = data.pixels.shape[1:]
        return PictureForm(height=height, width=width, channels=channels, classes=len(data.classes))
    raise UsageError(f"expected training data, a Dataset or Images, got {type(data).__name__}")


def form_from_json(document: Mapping[str, Any]) -> Form:
    """Read a form back.

    Raises:
        WireError: it is none.
        ConfigError: its schema is none.
        UsageError: its pictures have no size.
    """
    if set(document) == {"schema"}:
        return RowForm(schema=Schema.from_json(document["schema"]))
    if set(document) == {"height", "width", "channels", "classes"}:
        return PictureForm(**document)
    raise WireError("expected the form of a watermark's carriers as a schema or as a size of pictures, got neither")


def draw_carriers(form: Form, secret: bytes, count: int) -> Queries:
    """(count, …) different inputs of a form, read-only.

    Raises:
        UsageError: there are hardly as many that differ.
    """
    drawn = form.draw(secret, _SPARE * count)
    different = list({each.tobytes(): position for position, each in reversed(list(enumerate(drawn)))}.values())
    if len(different) < count:
        raise UsageError(
            f"expected a schema or pictures of which {count} carriers can be drawn that differ, got {len(different)}",
            hint="take fewer carriers",
        )
    carriers = drawn[sorted(different)[:count]]
    carriers.flags.writeable = False
    return carriers


def keyed_bytes(secret: bytes, use: str, count: int) -> bytes:
    """So many bytes that nobody can tell from random ones without the secret; others for each use."""
    return hashlib.shake_256(f"holdfast watermark {use}\n".encode() + secret).digest(count)
