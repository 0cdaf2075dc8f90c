"""Pictures to rows: PNG files and NumPy archives, for models whose features are pixels."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from holdfast.data import Matrix
from holdfast.errors import DataError, InputError
from holdfast.http.inputs import Pixels
from holdfast.limits import MAX_PIXELS, MAX_TABLE_BYTES


def read_images(path: Path, pixels: Pixels) -> Matrix:
    """Rows (images, features) of a PNG file, of a folder of them by name, or of the array of an NPZ archive.

    Args:
        path: the file or folder.
        pixels: as the model takes them; values from 0 to 255 are taken to their range.

    Raises:
        DataError: a picture has another size than the model's.
        InputError: no file there, or no picture in it.
    """
    if path.is_dir():
        files = sorted(path.glob("*.png"))
        if not files:
            raise InputError(f"expected PNG files in {path}, found none")
        return np.vstack([_png(file, pixels) for file in files])
    return _npz(path, pixels) if path.suffix == ".npz" else _png(path, pixels)


def _png(path: Path, pixels: Pixels) -> Matrix:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"expected a picture of at most {MAX_PIXELS} pixels, {path} has more")
            grey = pixels.count != 3 * image.width * image.height
            picture = np.asarray(image.convert("L" if grey else "RGB"))
    except FileNotFoundError:
        raise InputError(f"expected a picture at {path}, found no file there") from None
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"expected a picture in PNG at {path}, got: {error}") from None
    channels_first = picture if grey else picture.transpose(2, 0, 1)
    return _fitting(channels_first[None], pixels, path)


def _npz(path: Path, pixels: Pixels) -> Matrix:
    array = read_arrays(path)
    return _fitting(array if array.ndim > 1 else array[None], pixels, path)


def read_arrays(path: Path) -> NDArray[Any]:
    """The one array of an NPZ archive; an archive that holds objects, which could run code, is refused.

    Raises:
        InputError: no file there, no archive, or not of one array of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_TABLE_BYTES:
                raise InputError(f"expected arrays of at most {MAX_TABLE_BYTES} bytes, {path} has larger ones")
        with np.load(path, allow_pickle=False) as arrays:
            if len(arrays.files) != 1:
                names = ", ".join(arrays.files)[:200]
                raise InputError(f"expected one array in {path}, got {len(arrays.files)}: {names}")
            array: NDArray[Any] = arrays[arrays.files[0]]
    except FileNotFoundError:
        raise InputError(f"expected an archive of arrays at {path}, found no file there") from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"expected an archive of arrays at {path}, got: {error}") from None
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise InputError(f"expected an array of numbers in {path}, got {array.dtype} of shape {array.shape}")
    return array


def _fitting(images: NDArray[Any], pixels: Pixels, path: Path) -> Matrix:
    if len(images) == 0 or images.size // len(images) != pixels.count:
        raise DataError(f"expected pictures of {pixels.count} values in {path}, got an array of {images.shape}")
    return pixels.rows(images)
