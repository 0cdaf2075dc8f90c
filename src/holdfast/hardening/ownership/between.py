"""Inputs between records of different classes, which models disagree about: what fingerprints are chosen from."""

from __future__ import annotations

import numpy as np

from holdfast.arguments import check_kind, is_whole
from holdfast.attacks import ranges, repair
from holdfast.data import Dataset, Labels, Matrix
from holdfast.data.images import Images, Pixels
from holdfast.errors import DataError, UsageError


def rows_between(data: Dataset, *, n: int, rng: np.random.Generator) -> Matrix:
    """(n, features) rows on the way between two of different classes, in keeping with the schema.

    A category is that of one of the two; relations are mended.

    Args:
        data: rows of two classes or more.
        n: how many.
        rng: chooses pairs and places.

    Raises:
        UsageError: an argument of another kind, or no number of inputs.
        DataError: all rows are of one class.
    """
    check_kind("data", data, Dataset, example="load(frame, schema)")
    start, end = (data.X[side] for side in _pairs(data.y, n, rng))
    shares = rng.random((n, 1))
    X = start + shares * (end - start)
    is_category = np.array([feature.kind == "category" for feature in data.schema.features])
    either = np.where(rng.random(X.shape) < shares, end, start)
    X = np.where(is_category | np.isnan(X), either, X)
    return repair(X, ranges(data.schema, rows=n), data.schema)


def pictures_between(data: Images, *, n: int, rng: np.random.Generator) -> Pixels:
    """(n, height, width, channels) blends of two pictures of different classes; otherwise as `rows_between`."""
    check_kind("data", data, Images, example="Images.of(pixels, labels)")
    start, end = (data.pixels[side].astype(np.float64) for side in _pairs(data.y, n, rng))
    shares = rng.random((n, 1, 1, 1))
    return np.rint(start + shares * (end - start)).astype(np.uint8)


def _pairs(y: Labels, n: int, rng: np.random.Generator) -> tuple[Labels, Labels]:
    """(n,) positions, and (n,) others of another class."""
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if not is_whole(n) or n < 1:
        raise UsageError(f"expected a number of inputs of 1 or more, got {n!r}")
    if len(np.unique(y)) < 2:
        raise DataError("expected inputs of two classes or more to look between, got one class")
    first = rng.integers(len(y), size=n)
    second = np.empty_like(first)
    for label in np.unique(y):
        mine = y[first] == label
        second[mine] = rng.choice(np.flatnonzero(y != label), size=int(mine.sum()))
    return first, second
