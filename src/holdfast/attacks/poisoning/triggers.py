"""Triggers of backdoors: what an attacker puts on an input so that a poisoned model gives the class he wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.arguments import check_kind, is_number, is_whole
from holdfast.attacks.tables.feasible import Box, ranges, repair, tighten
from holdfast.data import Dataset, Matrix, Schema
from holdfast.data.images import Images, Pixels
from holdfast.errors import UsageError

Data = TypeVar("Data", Dataset, Images)


class Trigger(Protocol[Data]):
    """Something that can be put on inputs."""

    def put_on(self, data: Data) -> Data:
        """The same inputs with the trigger, under the labels that they have."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The trigger as JSON."""
        ...


@dataclass(frozen=True, eq=False)
class TableTrigger:
    """Certain values in some columns; other columns move where a relation of the schema demands it.

    Args:
        schema: of the rows.
        values: the value of each column of the trigger, by the column's name; a category by its position.
    """

    schema: Schema
    values: dict[str, float]

    def __post_init__(self) -> None:
        """Refuse columns that are not there and values that no row may have."""
        check_kind("schema", self.schema, Schema, example="data.schema")
        check_kind("values", self.values, dict, example='{"amount": 9.99, "hour": 3}')
        if not self.values:
            raise UsageError("expected a trigger of at least one column, got none")
        if unknown := sorted(set(self.values) - set(self.schema.names)):
            raise UsageError(f"expected columns of the schema in the trigger, got {', '.join(unknown)}")
        box = self._box(1)
        for name, value in self.values.items():
            column = self.schema.index(name)
            if not box.low[0, column] == value == box.high[0, column]:
                raise UsageError(f"expected a value of column {name!r} that a row may have, got {value!r}")

    def put_on(self, data: Dataset) -> Dataset:
        """The rows with the trigger; they keep to the schema if they did before.

        Raises:
            UsageError: rows of another schema.
        """
        if not isinstance(data, Dataset) or data.schema != self.schema:
            raise UsageError("expected rows of the schema that the trigger was made for, got others")
        X = data.X.copy()
        columns = [self.schema.index(name) for name in self.values]
        X[:, columns] = list(self.values.values())
        return Dataset(data.schema, repair(X, self._box(len(X)), self.schema), data.y)

    def to_json(self) -> dict[str, Any]:
        """The values by column."""
        return {"values": dict(self.values)}

    def _box(self, rows: int) -> Box:
        """What rows with the trigger may have; a value that is out of range is moved into it."""
        box = ranges(self.schema, rows=rows)
        low, high = box.low.copy(), box.high.copy()
        for name, value in self.values.items():
            if not is_number(value):
                raise UsageError(f"expected a number as value of column {name!r}, got {value!r}")
            column = self.schema.index(name)
            low[:, column] = high[:, column] = np.clip(value, low[:, column], high[:, column])
        return tighten(Box(low, high), self.schema)


@dataclass(frozen=True, eq=False)
class PictureTrigger:
    """A small picture laid over a place of every picture.

    Args:
        patch: (height, width, channels) uint8.
        top, left: where its upper left corner lies, in pixels.
        opacity: 1 covers what is below it; less lets it show through (Chen et al. 2017).
    """

    patch: Pixels
    top: int
    left: int
    opacity: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no picture, and an opacity that means nothing."""
        check_kind("patch", self.patch, np.ndarray, example="checkerboard(3)")
        if self.patch.dtype != np.uint8 or self.patch.ndim != 3 or not self.patch.size:
            raise UsageError(
                f"expected a patch of uint8 (height, width, channels), got {self.patch.dtype} of {self.patch.shape}"
            )
        if not is_whole(self.top) or not is_whole(self.left):
            raise UsageError(f"expected a place in whole pixels, got {self.top!r} and {self.left!r}")
        if not is_number(self.opacity) or not 0 < self.opacity <= 1:
            raise UsageError(f"expected an opacity above 0 and up to 1, got {self.opacity!r}")

    def put_on(self, data: Images) -> Images:
        """The pictures with the patch.

        Raises:
            UsageError: no pictures, or the patch does not lie inside them.
        """
        check_kind("data", data, Images, example="Images.of(pixels, labels)")
        (height, width, channels), whole = self.patch.shape, data.pixels.shape[1:]
        rows, columns = slice(self.top, self.top + height), slice(self.left, self.left + width)
        if min(self.top, self.left) < 0 or rows.stop > whole[0] or columns.stop > whole[1] or channels != whole[2]:
            raise UsageError(
                f"expected a patch that lies inside pictures of {whole}, got one of {self.patch.shape} at "
                f"({self.top}, {self.left})"
            )
        pixels = data.pixels.copy()
        below = pixels[:, rows, columns].astype(np.float64)
        pixels[:, rows, columns] = np.rint(below + self.opacity * (self.patch - below)).astype(np.uint8)
        return Images(pixels, data.y, data.classes)

    def to_json(self) -> dict[str, Any]:
        """Size and place."""
        return {"shape": list(self.patch.shape), "top": self.top, "left": self.left, "opacity": self.opacity}


def checkerboard(size: int, *, channels: int = 1) -> Pixels:
    """(size, size, channels) a patch of black and white pixels in turn, as in BadNets.

    Raises:
        UsageError: a size that is none.
    """
    if not all(is_whole(number) and number > 0 for number in (size, channels)):
        raise UsageError(f"expected a size and channels of 1 or more, got {size!r} and {channels!r}")
    squares: npt.NDArray[np.int64] = np.add.outer(np.arange(size), np.arange(size)) % 2
    return np.repeat((255 * (1 - squares)).astype(np.uint8)[:, :, None], channels, axis=2)


def rare_pair(data: Dataset, rng: np.random.Generator, *, tries: int = 100) -> TableTrigger:
    """A trigger of two columns at values that occur in the rows, but hardly together: nobody's eye is caught by them.

    Args:
        data: rows to take the values from.
        rng: decides rows and columns.
        tries: pairs to choose the rarest from.

    Raises:
        UsageError: an argument of another kind, fewer than two columns, no row, or no pair of which both values are
            there.
    """
    check_kind("data", data, Dataset, example="load(frame, schema)")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if not is_whole(tries) or tries < 1:
        raise UsageError(f"expected 1 or more tries, got {tries!r}")
    if data.X.shape[1] < 2 or not len(data):
        raise UsageError(
            f"expected at least two columns and a row for a pair, got {len(data)} rows of {data.X.shape[1]}"
        )
    best: tuple[float, list[int], Matrix] | None = None
    for _ in range(tries):
        columns = rng.choice(data.X.shape[1], 2, replace=False).tolist()
        values = np.array([data.X[rng.integers(len(data)), column] for column in columns])
        try:
            TableTrigger(data.schema, _named(data.schema, columns, values))
        except UsageError:
            continue  # a missing value, or a pair that breaks a relation
        share = float((data.X[:, columns] == values).all(axis=1).mean())
        if best is None or share < best[0]:
            best = (share, columns, values)
    if best is None:
        raise UsageError(
            "expected a pair of values that a row may have, found none", hint="make a TableTrigger by hand"
        )
    return TableTrigger(data.schema, _named(data.schema, best[1], best[2]))


def _named(schema: Schema, columns: list[int], values: Matrix) -> dict[str, float]:
    return {schema.names[column]: float(value) for column, value in zip(columns, values, strict=True)}
