"""A few of the inputs that were attacked, before and after, as the page of a result shows them where it is asked to."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float64]
"""(height, width, channels), from 0 to 1."""

_MAX_SIDE: Final = 160
"""Pixels; a larger picture is shrunk, so that a page stays below a megabyte."""
_GREY: Final = 0.5
"""Where a change of nothing lies."""


@dataclass(frozen=True, kw_only=True)
class PictureExample:
    """One picture that was flipped.

    Args:
        row: its position in the data.
        before, change, after: PNG files as `data:` addresses; the change is magnified about a middle grey.
        factor: by how much.
        said_before, said_after: names of classes.
        distance: how far it was changed, with its unit.
    """

    row: int
    before: str
    change: str
    after: str
    factor: str
    said_before: str
    said_after: str
    distance: str


@dataclass(frozen=True, kw_only=True)
class RowExample:
    """One row of a table that was flipped.

    Args:
        row: its position in the data.
        said_before, said_after: names of classes.
        distance: how far it was changed, with its unit.
        changes: feature, before, after, move as a share of the range, and cost where changes have a price.
        more: features that were changed less, and are left out.
        cost: of all changes together; empty where they have no price.
    """

    row: int
    said_before: str
    said_after: str
    distance: str
    changes: tuple[tuple[str, ...], ...]
    more: int
    cost: str = ""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A few inputs of one attack.

    Args:
        heading: of their part of the page.
        note: which ones they are, of how many.
        pictures: or rows; one of the two is empty.
        rows: likewise.
        priced: whether the changes of rows have a cost.
    """

    heading: str
    note: str
    pictures: tuple[PictureExample, ...] = ()
    rows: tuple[RowExample, ...] = ()
    priced: bool = False


def png_address(picture: Picture) -> str:
    """A picture as a PNG file in a `data:` address, at most 160 pixels a side."""
    return "data:image/png;base64," + base64.b64encode(png(picture, max_side=_MAX_SIDE)).decode()


def png(picture: Picture, *, max_side: int | None = None) -> bytes:
    """A picture as a PNG file: in colour with three channels, else the mean of its channels in grey.

    Args:
        picture: what to draw.
        max_side: shrink it to this many pixels, if one of its sides is longer.
    """
    from PIL import Image

    shown = np.rint(np.clip(picture if picture.shape[-1] == 3 else picture.mean(axis=-1), 0, 1) * 255)
    image = Image.fromarray(shown.astype(np.uint8))
    if max_side is not None:
        image.thumbnail((max_side, max_side))
    file = BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def magnified(change: Picture) -> tuple[Picture, float]:
    """A change about a middle grey, stretched as far as it goes, and by how much; 1 at least."""
    factor = max(1.0, _GREY / max(float(np.abs(change).max()), 1e-12))
    factor = float(np.floor(factor)) if np.abs(change).any() else 1.0
    return np.asarray(_GREY + factor * change), factor


def spread(order: npt.NDArray[Any], count: int) -> npt.NDArray[Any]:
    """At most `count` of an order, evenly spread from its first to its last."""
    places = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64))
    return order[places] if len(order) else order
