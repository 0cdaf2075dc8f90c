"""Labelled pictures of one size: bytes of pixels, the labels, and a digest of both; read from NPZ within bounds."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast import limits
from holdfast.data.arrays_file import read_member
from holdfast.data.dataset import Labels
from holdfast.data.frames import Matrix
from holdfast.errors import DataError, InputError, UsageError
from holdfast.evidence import canonical_json
from holdfast.files import system_fault

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False, repr=False)
class Images:
    """Pictures of one size with a class each.

    Args:
        pixels: (images, height, width, channels) uint8.
        y: (images,) int64; the position of each picture's class in `classes`.
        classes: their names.

    Make one with `load_images`, or with `Images.of` from arrays of other shapes.
    """

    pixels: Pixels
    y: Labels
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what does not fit together, and make both arrays read-only, so that the digest stays true."""
        pixels, y = np.asarray(self.pixels), np.asarray(self.y)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or 0 in pixels.shape[1:]:
            raise DataError(
                f"expected pixels as uint8 of shape (images, height, width, channels), got {pixels.dtype} "
                f"of {pixels.shape}",
                hint="multiply values from 0 to 1 by 255 and round them",
            )
        if y.shape != (len(pixels),) or y.dtype.kind not in "iu":
            raise DataError(f"expected a whole number as label for each of {len(pixels)} pictures, got {y.shape}")
        _check_classes(self.classes)
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < len(self.classes):
            raise DataError(f"expected labels from 0 to {len(self.classes) - 1}, got {int(y.min())} to {int(y.max())}")
        for name, array in (("pixels", np.array(pixels, order="C")), ("y", np.array(y, dtype=np.int64))):
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "classes", tuple(self.classes))

    @classmethod
    def of(cls, pixels: npt.NDArray[Any], labels: npt.NDArray[Any], classes: Sequence[str] | None = None) -> Images:
        """Pictures from arrays as they are commonly kept.

        Args:
            pixels: (images, height, width) or (images, height, width, channels) uint8.
            labels: (images,) or (images, 1) whole numbers from 0.
            classes: their names; "0", "1", … up to the largest label if none are given.

        Raises:
            DataError: they are not what is expected, or do not fit together.
        """
        pixels, labels = np.asarray(pixels), np.asarray(labels)
        pixels = pixels[..., None] if pixels.ndim == 3 else pixels
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if classes is None:
            if labels.dtype.kind not in "iu" or not labels.size or not 0 <= int(labels.max()) < limits.MAX_CLASSES:
                raise DataError(
                    f"expected labels as whole numbers from 0 to {limits.MAX_CLASSES - 1}, "
                    f"got {labels.size} of {labels.dtype} such as {labels.reshape(-1)[:1].tolist()}",
                    hint="number the classes from 0, and give their names as classes",
                )
            classes = [str(label) for label in range(max(2, int(labels.max()) + 1))]
        return cls(pixels, labels, tuple(classes))

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        _, height, width, channels = self.pixels.shape
        return f"<Images: {len(self):,} of {height} x {width} x {channels}, {len(self.classes)} classes>"

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the size, the classes and every value, picture by picture."""
        hasher = hashlib.sha256(canonical_json({"shape": list(self.pixels.shape), "classes": list(self.classes)}))
        hasher.update(self.pixels.reshape(-1).data)
        hasher.update(np.ascontiguousarray(self.y, dtype="<i8").tobytes())
        return "sha256:" + hasher.hexdigest()

    def take(self, rows: npt.NDArray[Any] | Sequence[int]) -> Images:
        """The pictures at these positions, or where a mask is true."""
        return Images(self.pixels[rows], self.y[rows], self.classes)

    def split(self, *, test_fraction: float, seed: int) -> tuple[Images, Images]:
        """Split into train and test, each picture on a side by a hash of its own content and the seed.

        As `Dataset.split`: a picture that joins or leaves moves no other, and pictures that repeat each other, whatever
        their labels, are on one side. Shares come out about as asked for.

        Raises:
            UsageError: `test_fraction` is not between 0 and 1.
            DataError: a class without a picture on one of the sides.
        """
        if not 0 < test_fraction < 1:
            raise UsageError(f"test_fraction must lie between 0 and 1, got {test_fraction}")
        held_out = self._positions(seed) < test_fraction
        for side, mask in (("to train on", ~held_out), ("to test on", held_out)):
            absent = np.setdiff1d(np.arange(len(self.classes)), self.y[mask])
            if len(absent):
                raise DataError(
                    f"class {self.classes[int(absent[0])]!r} has no picture {side} after the split",
                    hint="take another seed or test_fraction, or collect more pictures of the class",
                )
        return self.take(~held_out), self.take(held_out)

    def _positions(self, seed: int) -> Matrix:
        """(images,) where each picture stands between 0 and 1: a hash of its pixels, keyed with the seed."""
        key = hashlib.sha256(str(seed).encode()).digest()
        pictures = self.pixels.reshape(len(self), -1)
        digests = b"".join(hashlib.blake2b(row.data, digest_size=8, key=key).digest() for row in pictures)
        return np.asarray((np.frombuffer(digests, dtype="<u8") >> np.uint64(11)) * 2.0**-53)


def load_images(path: Path | str) -> Images:
    """Pictures from an NPZ archive with the arrays `pixels` and `labels`, and `classes` (texts) if they have names.

    Reading runs nothing that the file contains: an archive with Python objects is refused.

    Raises:
        InputError: no such file, no such archive, or one larger than the bounds in `holdfast.limits`.
        DataError: the arrays are not what `Images.of` expects.
        SystemFault: the operating system refuses to read it.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            if not {"pixels", "labels"} <= names <= {"pixels", "labels", "classes"}:
                shown = ", ".join(sorted(names))[:200] or "none"
                raise InputError(
                    f"expected the arrays pixels and labels, and classes if they have names, in {path}, got {shown}",
                    hint="write them with numpy.savez_compressed(path, pixels=…, labels=…)",
                )
            pixels = read_member(archive, "pixels", kinds="u", path=path)
            labels = read_member(archive, "labels", kinds="iu", path=path)
            classes = read_member(archive, "classes", kinds="U", path=path).tolist() if "classes" in names else None
    except FileNotFoundError:
        raise InputError(f"expected an archive of pictures at {path}, found no file there") from None
    except zipfile.BadZipFile as error:
        raise InputError(f"expected an archive of pictures at {path}, got: {error}") from None
    except OSError as error:
        raise system_fault(error, f"read {path}") from None
    return Images.of(pixels, labels, classes)


def _check_classes(classes: Sequence[str]) -> None:
    if not 2 <= len(classes) <= limits.MAX_CLASSES or len(set(classes)) != len(classes):
        raise DataError(f"expected 2 to {limits.MAX_CLASSES} different classes, got {list(classes[:10])}")
    if any(not isinstance(name, str) or not 1 <= len(name) <= limits.MAX_NAME_CHARS for name in classes):
        raise DataError(f"expected classes as names of 1 to {limits.MAX_NAME_CHARS} characters, got others")
