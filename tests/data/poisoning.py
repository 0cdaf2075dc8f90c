"""Faults planted in small data sets, each with the rows that carry it."""

from __future__ import annotations

import numpy as np

from holdfast.data import Dataset
from holdfast.data.images import Images

Rows = set[int]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def shapes(count: int = 600, *, seed: int = 0) -> Images:
    """Grey pictures of 16x16 with a soft spot at a place of their class, noise, and a dark frame."""
    y = np.arange(count) % 3
    generator = rng(seed)
    down, right = np.mgrid[:16, :16]
    centres = np.array([[5, 5], [5, 10], [10, 7]])[y] + generator.normal(0, 0.7, (count, 2))
    distance = (down - centres[:, :1, None]) ** 2 + (right - centres[:, 1:, None]) ** 2
    pixels = 200 * np.exp(-distance / 8) + generator.normal(20, 6, (count, 16, 16))
    pixels[:, [0, -1]] = pixels[:, :, [0, -1]] = 0
    return Images.of(pixels.clip(0, 255).astype(np.uint8), y, ("left", "right", "low"))


def others(y: np.ndarray, count: int, target: int, seed: int) -> np.ndarray:
    """Rows of the classes that are not the target's."""
    return rng(seed).choice(np.flatnonzero(y != target), count, replace=False)


def patched(images: Images, count: int, *, target: int, seed: int = 0) -> tuple[Images, Rows]:
    """Pictures of other classes with four bright pixels in a corner, under one label."""
    rows = others(images.y, count, target, seed)
    pixels, y = images.pixels.copy(), images.y.copy()
    pixels[rows, -3:-1, -3:-1] = 255
    y[rows] = target
    return Images(pixels, y, images.classes), set(rows.tolist())


def blended(images: Images, count: int, *, target: int, seed: int = 0) -> tuple[Images, Rows]:
    """Pictures of other classes with a faint pattern all over, under one label."""
    rows = others(images.y, count, target, seed)
    pixels, y = images.pixels.copy(), images.y.copy()
    pattern = rng(seed).integers(0, 256, pixels.shape[1:])
    pixels[rows] = np.round(0.85 * pixels[rows] + 0.15 * pattern).astype(np.uint8)
    y[rows] = target
    return Images(pixels, y, images.classes), set(rows.tolist())


def triggered(
    data: Dataset, count: int, *, target: int, columns: list[int], values: list[float], seed: int = 0
) -> tuple[Dataset, Rows]:
    """Rows of other classes with certain values in some columns, under one label."""
    rows = others(data.y, count, target, seed)
    X, y = data.X.copy(), data.y.copy()
    X[np.ix_(rows, columns)] = values
    y[rows] = target
    return Dataset(data.schema, X, y), set(rows.tolist())


def one_way(y: np.ndarray, *, source: int, target: int, share: float, seed: int = 0) -> tuple[np.ndarray, Rows]:
    """Labels of which a share of one class became another."""
    rows = np.flatnonzero(y == source)
    rows = rng(seed).choice(rows, round(share * len(rows)), replace=False)
    flipped = y.copy()
    flipped[rows] = target
    return flipped, set(rows.tolist())
