"""How detectors see queries: as vectors of bounded width, from the rows of a schema or from pictures of one size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol, overload

import numpy as np
import numpy.typing as npt

from holdfast.data import Dataset, Matrix, Schema
from holdfast.data.images import Images
from holdfast.errors import DataError, HoldfastError, UsageError, WireError
from holdfast.models import Encoding

Queries = npt.NDArray[Any]
"""(n, features) float64 in the schema's units, or (n, height, width, channels) uint8."""

_MAX_SIDE: Final = 16
"""Cells along each side of a picture; what a detector keeps of a picture is bounded by their square."""
_MAX_PICTURE_SIDE: Final = 4_096


class View(Protocol):
    """What a detector's queries look like, as a value."""

    @property
    def width(self) -> int:
        """Numbers in the vector of one query."""
        ...

    def check(self, queries: Queries) -> None:
        """Refuse queries of another shape.

        Raises:
            DataError: they are not what the view is of.
        """
        ...

    def vectors(self, queries: Queries) -> Matrix:
        """(n, width) float64 in [-1, 1], checked as in `check`."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The view as JSON; `read_view` is the inverse."""
        ...


@dataclass(frozen=True)
class TableView:
    """Rows of a schema, encoded as for a model."""

    schema: Schema

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of the rows."""
        return Encoding(self.schema)

    @property
    def width(self) -> int:
        """Encoded columns."""
        return self.encoding.width

    def check(self, queries: Queries) -> None:
        """Refuse what is no matrix of the schema's features."""
        if queries.ndim != 2 or queries.shape[1] != len(self.schema.features) or queries.dtype.kind not in "fiu":
            raise DataError(
                f"expected rows of {len(self.schema.features)} features as queries, got {queries.dtype} "
                f"of shape {queries.shape}"
            )

    def vectors(self, queries: Queries) -> Matrix:
        """(n, width) the encoded rows."""
        self.check(queries)
        return self.encoding.encode(queries.astype(np.float64, copy=False))

    def to_json(self) -> dict[str, Any]:
        """The schema."""
        return {"schema": self.schema.to_json()}


@dataclass(frozen=True)
class PictureView:
    """Pictures of one size, averaged over at most 16 x 16 cells a channel: what is near to the eye is near in it."""

    height: int
    width_pixels: int
    channels: int

    def __post_init__(self) -> None:
        """Refuse sizes that no picture has."""
        sizes = (self.height, self.width_pixels, self.channels)
        if not all(isinstance(size, int) and 1 <= size <= _MAX_PICTURE_SIDE for size in sizes):
            raise UsageError(f"expected pictures with sides of 1 to {_MAX_PICTURE_SIDE} pixels, got {sizes}")

    @property
    def width(self) -> int:
        """Cells times channels."""
        return min(self.height, _MAX_SIDE) * min(self.width_pixels, _MAX_SIDE) * self.channels

    def check(self, queries: Queries) -> None:
        """Refuse what is no uint8 picture of this size."""
        expected = (self.height, self.width_pixels, self.channels)
        if queries.dtype != np.uint8 or queries.shape[1:] != expected:
            raise DataError(
                f"expected pictures as uint8 of shape (n, {', '.join(map(str, expected))}) as queries, got "
                f"{queries.dtype} of {queries.shape}"
            )

    def vectors(self, queries: Queries) -> Matrix:
        """(n, width) mean brightness of the cells, 0 to 1."""
        self.check(queries)
        cells = _averaged(_averaged(queries / 255.0, axis=1), axis=2)
        return cells.reshape(len(queries), self.width)

    def to_json(self) -> dict[str, Any]:
        """The size."""
        return {"picture": [self.height, self.width_pixels, self.channels]}


@overload
def view_of(data: Dataset) -> TableView: ...
@overload
def view_of(data: Images) -> PictureView: ...
def view_of(data: Dataset | Images) -> TableView | PictureView:
    """The view of queries that look like this data."""
    if isinstance(data, Dataset):
        return TableView(data.schema)
    _, height, width, channels = data.pixels.shape
    return PictureView(int(height), int(width), int(channels))


def read_view(document: object) -> TableView | PictureView:
    """Read a view back from its JSON.

    Raises:
        WireError: the document is none.
    """
    try:
        if isinstance(document, Mapping) and set(document) == {"schema"}:
            return TableView(Schema.from_json(document["schema"]))
        if isinstance(document, Mapping) and set(document) == {"picture"}:
            return PictureView(*document["picture"])
    except (TypeError, HoldfastError) as error:
        raise WireError(f"the view of a detector is malformed: {error}") from None
    raise WireError("expected a detector's view with a schema or the size of a picture, got neither")


def _averaged(values: Matrix, *, axis: int) -> Matrix:
    """Means over at most `_MAX_SIDE` stretches of an axis that are as equal as can be."""
    length = values.shape[axis]
    edges = np.linspace(0, length, min(length, _MAX_SIDE) + 1).astype(np.int64)
    shape = [1] * values.ndim
    shape[axis] = -1
    return np.asarray(np.add.reduceat(values, edges[:-1], axis=axis) / np.diff(edges).reshape(shape))
