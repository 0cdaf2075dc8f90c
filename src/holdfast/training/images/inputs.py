"""From what people have pictures in to what is trained on: `Images`, and the labels that their classes stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.data.frames import name_of
from holdfast.data.images import Images, Pixels
from holdfast.errors import DataError, UsageError
from holdfast.training.images.scattering import SMALLEST_SIDE

Shape = tuple[int, int, int]
"""(height, width, channels) of a picture."""


def labelled_pictures(X: Any, y: Any, *, classes: Sequence[Any] | None) -> tuple[Images, NDArray[Any]]:
    """Pictures with their classes, and (classes,) the labels that these stand for.

    Args:
        X: `Images`, or (pictures, height, width) or (pictures, height, width, channels) uint8.
        y: (pictures,) labels, whole numbers or texts; None where X is `Images`.
        classes: every label there can be; None takes those in y, or the classes of `Images`.

    Raises:
        DataError: no such pictures or labels, sides that are too small, a label of no class, or fewer than two classes.
        UsageError: labels or classes are said twice.
    """
    if isinstance(X, Images):
        if y is not None or classes is not None:
            raise UsageError("expected Images alone, which have labels and classes, got more of them beside")
        return _large_enough(X), np.asarray(X.classes)
    labels = _labels(y)
    known = np.unique(labels) if classes is None else np.unique(_labels(classes))
    if len(strange := np.setdiff1d(labels, known)):
        raise DataError(f"expected labels of the classes {known.tolist()[:10]}, got {strange.tolist()[0]!r}")
    if len(known) < 2:
        raise DataError(f"expected labels of 2 classes or more, got {known.tolist()}")
    names = [name_of(value) or "" for value in known]
    return _large_enough(Images.of(X, np.searchsorted(known, labels), names)), known


def pictures_alone(X: Any, shape: Shape) -> Pixels:
    """(pictures, *shape) pictures to predict.

    Raises:
        DataError: no pictures of bytes, or of another size than those trained on.
    """
    pixels = X.pixels if isinstance(X, Images) else np.asarray(X)
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    if pixels.dtype != np.uint8 or pixels.shape[1:] != shape:
        raise DataError(f"expected pictures of {shape} as uint8, got {pixels.dtype} of {pixels.shape[1:]}")
    return pixels


def _labels(y: Any) -> NDArray[Any]:
    labels = np.asarray(y)
    if labels.dtype == object and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(str)
    if labels.ndim != 1 or labels.dtype.kind not in "iubU":
        raise DataError(
            f"expected labels as a list of whole numbers or texts, got {labels.dtype} of shape {labels.shape}"
        )
    return labels


def _large_enough(images: Images) -> Images:
    height, width, _ = images.pixels.shape[1:]
    if min(height, width) < SMALLEST_SIDE:
        raise DataError(
            f"expected pictures with sides of {SMALLEST_SIDE} pixels or more, got {height} by {width}",
            hint="enlarge them, or add a border with numpy.pad",
        )
    return images
