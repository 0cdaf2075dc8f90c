"""Marks on pictures: a direction in which one class varies and the others do not.

A patch, a watermark or a faint pattern laid over a whole picture adds about the same to every carrier. Among the
pictures of the class that they are labelled as, that is a direction of variation, which the other classes lack. It is
the first generalised eigenvector of the class's covariance against that of all others (contrastive principal
components: Abid et al. 2018, https://doi.org/10.1038/s41467-018-04608-8), and along it the carriers stand far from the
rest. Spectral signatures (Tran, Li and Madry 2018, https://arxiv.org/abs/1811.00636) look for the first eigenvector of
the class alone, in the features of a network that has learned the backdoor; measuring against the other classes needs
no network.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.data.frames import Matrix
from holdfast.data.images import Images
from holdfast.data.poison.marks import MIN_CARRIERS, Mark

MAX_VALUES: Final = 2_048
"""Values of a picture that are compared; larger pictures are averaged in blocks down to it."""
DIRECTIONS: Final = 2
"""Directions of each class that are looked at; so many triggers in one class can be found."""

_FAR: Final = 5.0  # robust standard deviations from the class's median, beyond which a picture carries the mark
_PIXEL_NOISE: Final = 4.0  # variance that every value is taken to have; a border that is always black has none
_MAX_SHARE: Final = 0.4  # of a class: of more carriers it is no longer plain which part of the class is the odd one


def find_picture_marks(images: Images) -> list[Mark]:
    """What sets a part of one class apart, in two directions for each class, both ways.

    Most marks are natural, such as an unusual way to write a digit: `judge_marks` tells which are not. Work grows with
    the cube of the values compared and linearly in the pictures.
    """
    from scipy.linalg import eigh

    rows = shrunk(images)
    classes = np.flatnonzero(np.bincount(images.y, minlength=len(images.classes)) >= 2 * MIN_CARRIERS)
    if len(classes) < 2:
        return []
    members = {int(label): np.flatnonzero(images.y == label) for label in classes}
    centred = {label: rows[found] - rows[found].mean(axis=0) for label, found in members.items()}
    scatter = {label: (part.T @ part).astype(np.float64) for label, part in centred.items()}
    total, count = sum(scatter.values()), sum(map(len, members.values()))
    width = rows.shape[1]
    # What sets classes apart is usual too: a wrong label is no mark. Medians, which a few carriers do not move.
    centres = np.stack([np.median(rows[found], axis=0) for found in members.values()])
    usual = np.cov(centres.T.astype(np.float64)) + _PIXEL_NOISE * np.eye(width)
    first = max(0, width - DIRECTIONS)
    marks: list[Mark] = []
    for label, found in members.items():
        others = (total - scatter[label]) / (count - len(found)) + usual
        own = scatter[label] / len(found)
        strengths, directions = eigh(own, others, subset_by_index=[first, width - 1])
        for strength, direction in zip(strengths, directions.T, strict=True):
            for carriers in _both_ends(centred[label] @ direction):
                name = f"something that sets it apart from other pictures of class {images.classes[label]!r}"
                marks.append(Mark(label=label, rows=found[carriers], columns=(), what=name, strength=float(strength)))
    return marks


def _both_ends(scores: Matrix) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Positions that lie far from the median, above and below, where they are enough and not most."""
    centred = scores - np.median(scores)
    spread = 1.4826 * float(np.median(np.abs(centred)))  # the standard deviation, for a normal distribution
    ends = [np.flatnonzero(side * centred > _FAR * spread) for side in (1, -1)]
    return [end for end in ends if MIN_CARRIERS <= len(end) <= _MAX_SHARE * len(scores)]


def shrunk(images: Images) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(images, values) float32 from 0 to 255: every pixel, or means of square blocks of pixels of large pictures."""
    pixels = images.pixels
    block = 1
    while pixels.shape[3] * (pixels.shape[1] // block) * (pixels.shape[2] // block) > MAX_VALUES:
        block += 1
    height, width = pixels.shape[1] // block, pixels.shape[2] // block
    cut = pixels[:, : height * block, : width * block].reshape(len(pixels), height, block, width, block, -1)
    return np.asarray(cut.mean(axis=(2, 4), dtype=np.float32).reshape(len(pixels), -1), dtype=np.float32)
