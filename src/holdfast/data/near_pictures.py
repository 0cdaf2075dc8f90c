"""Pictures that are nearly another one: shifted a little, brighter or darker, or encoded again.

Every picture gets numbers that such changes hardly touch: how strong its low spatial frequencies are, which a shift
leaves alone, without the mean and the scale, which brightness and contrast set. Pictures meet whose numbers have the
same signs under random cuts, in one of many bands (locality-sensitive hashing: Charikar 2002,
https://doi.org/10.1145/509907.509965), so not all pairs are compared. Each meeting is then checked on the pixels.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.data.images import Images
from holdfast.data.rows import Rows

MIN_CORRELATION: Final = 0.98
"""Correlation of the pixels, at the best shift, from which two pictures are nearly equal."""
MAX_SHIFT: Final = 2
"""Pixels of the reduced picture by which two may be shifted against each other."""
SIDE: Final = 32
"""Height and width down to which pictures are averaged before they are compared."""

_FREQUENCIES: Final = 8
_BANDS: Final = 16
_BITS: Final = 14
_NEIGHBOURS: Final = 8
_CHUNK: Final = 2_000
_DIMENSIONS: Final = 32
_MIN_RESEMBLANCE: Final = 0.9  # of the numbers; pairs that are nearly equal have above .95, other pairs rarely

Grey = npt.NDArray[np.float32]


def find_near_pictures(images: Images, *, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """(pairs, 2) pictures that nearly equal an earlier one, but not exactly: the later, and the first such earlier one.

    `rng` decides the random cuts; a pair that differs by a shift of one pixel or by brightness is missed rarely.
    """
    if len(images) < 2:
        return np.empty((0, 2), dtype=np.int64)
    grey = _grey(images)
    numbers = _frequencies(grey)
    candidates = _meetings(numbers, rng)
    candidates = candidates[_resemblances(numbers, candidates) >= _MIN_RESEMBLANCE]
    near = [
        pairs[_correlations(grey, pairs) >= MIN_CORRELATION]
        for pairs in np.array_split(candidates, -(-len(candidates) // _CHUNK) or 1)
    ]
    pairs = np.vstack(near)
    same = (images.pixels[pairs[:, 0]] == images.pixels[pairs[:, 1]]).all(axis=(1, 2, 3))
    pairs = pairs[~same]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first_of_each = np.unique(pairs[:, 0], return_index=True)[1]
    return np.asarray(pairs[first_of_each], dtype=np.int64)


def _grey(images: Images) -> Grey:
    """(images, height, width) the mean of the channels, of pictures averaged down to about 32 pixels a side."""
    pixels = images.pixels
    block = max(1, min(pixels.shape[1], pixels.shape[2]) // SIDE)
    height, width = pixels.shape[1] // block, pixels.shape[2] // block
    cut = pixels[:, : height * block, : width * block].reshape(len(pixels), height, block, width, block, -1)
    return np.asarray(cut.mean(axis=(2, 4, 5), dtype=np.float32), dtype=np.float32)


def _frequencies(grey: Grey) -> Grey:
    """(images, numbers) of unit length: the strengths of the low frequencies, against those of the mean picture."""
    parts = []
    for chunk in np.array_split(grey, -(-len(grey) // _CHUNK)):
        spectrum = np.abs(np.fft.rfft2(chunk - chunk.mean(axis=(1, 2), keepdims=True)))
        low = np.concatenate([spectrum[:, :_FREQUENCIES, :_FREQUENCIES], spectrum[:, -_FREQUENCIES:, :_FREQUENCIES]], 1)
        parts.append(low.reshape(len(chunk), -1))
    strengths = np.vstack(parts)
    strengths /= np.maximum(np.linalg.norm(strengths, axis=1, keepdims=True), 1e-12)
    strengths -= strengths.mean(axis=0)
    _, _, axes = np.linalg.svd(strengths[:: -(-len(strengths) // _CHUNK)], full_matrices=False)
    return np.asarray(strengths @ axes[:_DIMENSIONS].T, dtype=np.float32)


def _resemblances(numbers: Grey, pairs: npt.NDArray[np.int64]) -> Grey:
    """(pairs,) the cosine between the numbers of two pictures: quickly told, and rules most pairs out."""
    lengths = np.maximum(np.linalg.norm(numbers, axis=1), 1e-12)
    products = np.einsum("ij,ij->i", numbers[pairs[:, 0]], numbers[pairs[:, 1]])
    return np.asarray(products / (lengths[pairs[:, 0]] * lengths[pairs[:, 1]]), dtype=np.float32)


def _meetings(numbers: Grey, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """(pairs, 2) the later and the earlier of pictures that fall on one side of all cuts of a band.

    In a crowded cell, each picture meets the few next to it along the first number.
    """
    found = []
    for _ in range(_BANDS):
        cuts = rng.normal(size=(numbers.shape[1], _BITS)).astype(np.float32)
        cell = (numbers @ cuts > 0) @ (1 << np.arange(_BITS))
        order = np.lexsort((numbers[:, 0], cell))
        for step in range(1, _NEIGHBOURS + 1):
            here, there = order[:-step], order[step:]
            meet = cell[here] == cell[there]
            found.append(np.column_stack([np.maximum(here, there)[meet], np.minimum(here, there)[meet]]))
    return np.unique(np.vstack(found), axis=0)


def _correlations(grey: Grey, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(pairs,) the largest correlation of the inner part of one picture with the other, shifted a little."""
    margin = min(MAX_SHIFT, (min(grey.shape[1:]) - 1) // 4)
    height, width = grey.shape[1] - 2 * margin, grey.shape[2] - 2 * margin
    inner = _unit(grey[pairs[:, 0], margin : margin + height, margin : margin + width])
    best = np.full(len(pairs), -1.0)
    for down in range(2 * margin + 1):
        for right in range(2 * margin + 1):
            moved = _unit(grey[pairs[:, 1], down : down + height, right : right + width])
            best = np.maximum(best, np.einsum("ij,ij->i", inner, moved))
    return best


def _unit(pictures: Grey) -> Grey:
    """(pictures, pixels) without mean and of unit length; a blank picture becomes 0 and resembles nothing."""
    flat = pictures.reshape(len(pictures), math.prod(pictures.shape[1:]))
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def repeated_pictures(images: Images) -> tuple[Rows, Rows]:
    """The pictures that equal an earlier one, pixel by pixel; and all that do so under another label."""
    flat = images.pixels.reshape(len(images), math.prod(images.pixels.shape[1:]))
    keys = flat.view(np.dtype((np.void, flat.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    low = np.full(len(first), len(images.classes))
    high = np.full(len(first), -1)
    np.minimum.at(low, group, images.y)
    np.maximum.at(high, group, images.y)
    return np.setdiff1d(np.arange(len(images)), first), np.flatnonzero((low != high)[group])
