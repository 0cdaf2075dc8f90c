"""One array out of an NPZ archive, its header judged before memory is asked for."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from holdfast import limits
from holdfast.errors import InputError


def read_member(archive: zipfile.ZipFile, name: str, *, kinds: str, path: Path) -> npt.NDArray[Any]:
    """An array of an archive by name, of one of NumPy's `kinds` ("u", "i", "U"); no Python object is ever made.

    A header may promise more than the file has, and a small file may unpack to a large one: both are refused at
    `MAX_TABLE_BYTES`, before the memory is taken.

    Raises:
        InputError: no such array, of another kind, damaged, or larger than the bound.
    """
    try:
        with archive.open(f"{name}.npy") as file:
            shape, dtype = _header(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in kinds or min(shape, default=0) < 0:
            raise InputError(
                f"expected {name!r} in {path} as {_KINDS[kinds]}, got {dtype} of shape {shape}",
                hint="multiply values from 0 to 1 by 255, round them, and store uint8" if kinds == "u" else "",
            )
        if max(size, archive.getinfo(f"{name}.npy").file_size) > limits.MAX_TABLE_BYTES:
            raise InputError(f"expected arrays of at most {limits.MAX_TABLE_BYTES} bytes, {name!r} in {path} is larger")
        with archive.open(f"{name}.npy") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except (*_HEADER_ERRORS, EOFError, KeyError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise InputError(f"expected {name!r} in {path} as a NumPy array, got: {str(error)[:200]}") from None
    return array


# What NumPy's reader of headers raises, and the parser of Python literals behind it.
_HEADER_ERRORS = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, tokenize.TokenError)
_KINDS = {"u": "unsigned whole numbers", "iu": "whole numbers", "U": "texts"}


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"a format of version {version[0]}.{version[1]}")
    return shape, dtype
