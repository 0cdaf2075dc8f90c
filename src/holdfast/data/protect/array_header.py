"""How a file of encrypted arrays begins: what arrays it holds, and its data key, wrapped.

    marker         "holdfast-array-1" and a line feed
    length         4 bytes, big-endian
    description    canonical JSON: {"arrays": [{"dtype": "|u1", "name": "pixels", "shape": [60000, 28, 28]}, …]}
    length         4 bytes, big-endian
    key            canonical JSON: {"id": "data-key:…/array/default", "wrapped": "…"}, the latter in base64
    stream         the arrays in that order, each in C order, one after the other; chunks of 16 KiB (`holdfast.stream`)

Marker, length and description are the associated data of every chunk. The key is not, so that it can be wrapped anew.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.data.protect.keys import WrappedKey
from holdfast.errors import DataError, WireError
from holdfast.evidence import canonical_json

MARKER: Final = b"holdfast-array-1\n"
CHUNK_BYTES: Final = 16 * 1024
"""Bytes of the stream's chunks: a row of a shuffled batch costs one of them, or two."""
MAX_HEADER_BYTES: Final = 2**20
"""Bytes of the description, and of the key; a hundred arrays with the longest names take 40,000."""
MAX_ARRAYS: Final = 100
"""Arrays of one file; a data set has pixels, labels and a few more."""
MAX_DIMENSIONS: Final = 8
"""Dimensions of an array; pictures in a stack of stacks have five."""

_LENGTH_BYTES: Final = 4
_MAX_NAME_CHARS: Final = 200
_DTYPES: Final = {np.dtype(code).newbyteorder("<").str for code in "?bBhHiIqQefd"}
"""Truth values, whole numbers and floats: what holds nothing but numbers, little-endian."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What one array is, and where it lies in the clear stream.

    Args:
        shape: the first is the number of rows.
        dtype: of one element.
        start: bytes before it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    @property
    def stop(self) -> int:
        """Where the array ends."""
        return self.start + self.row_bytes * self.shape[0]


@dataclass(frozen=True, kw_only=True)
class Header:
    """The beginning of a file.

    Args:
        description: what the arrays are, as it stands in the file.
        key: the data key, wrapped.
    """

    description: bytes
    key: WrappedKey

    @property
    def associated(self) -> bytes:
        """What is authenticated with every chunk."""
        return MARKER + len(self.description).to_bytes(_LENGTH_BYTES) + self.description

    def to_bytes(self) -> bytes:
        """The header as a file has it; `read_header` is the inverse."""
        key = canonical_json({"id": self.key.key_id, "wrapped": base64.b64encode(self.key.wrapped).decode()})
        return self.associated + len(key).to_bytes(_LENGTH_BYTES) + key

    def layouts(self) -> dict[str, Layout]:
        """The arrays by name.

        Raises:
            WireError: the description is not one.
        """
        try:
            return _layouts(json.loads(self.description)["arrays"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise WireError(
                "expected a description of arrays of numbers with their shapes, got something else"
            ) from None


def describe(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The description of arrays.

    Raises:
        DataError: there are none or too many, or one holds something else than numbers, or has no rows to speak of.
    """
    if not 1 <= len(arrays) <= MAX_ARRAYS:
        raise DataError(f"expected 1 to {MAX_ARRAYS} arrays, got {len(arrays)}")
    for name, array in arrays.items():
        if not 1 <= len(name) <= _MAX_NAME_CHARS:
            raise DataError(f"expected names of 1 to {_MAX_NAME_CHARS} characters, got one of {len(name)}")
        if _little(array.dtype).str not in _DTYPES:
            raise DataError(f"array {name!r} holds {array.dtype}, expected truth values, whole numbers or floats")
        if not 1 <= array.ndim <= MAX_DIMENSIONS or 0 in array.shape[1:]:
            raise DataError(f"array {name!r} has the shape {array.shape}, expected rows of one element or more")
    listed = [
        {"name": name, "dtype": _little(array.dtype).str, "shape": list(array.shape)} for name, array in arrays.items()
    ]
    return canonical_json({"arrays": listed})


def read_header(file: IO[bytes]) -> Header:
    """Read the header at the beginning of a file, and leave the file at its end.

    Raises:
        WireError: it is not a file of encrypted arrays, or is cut off.
    """
    if file.read(len(MARKER)) != MARKER:
        raise WireError("expected a file of encrypted arrays (holdfast-array-1), got something else")
    description, key = _block(file), _block(file)
    try:
        told = json.loads(key)
        wrapped = WrappedKey(key_id=str(told["id"]), wrapped=base64.b64decode(told["wrapped"], validate=True))
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise WireError("expected a wrapped key in a file of encrypted arrays, got something else") from None
    return Header(description=description, key=wrapped)


def _block(file: IO[bytes]) -> bytes:
    length = int.from_bytes(file.read(_LENGTH_BYTES))
    if length > MAX_HEADER_BYTES:
        raise WireError(f"expected a header of at most {MAX_HEADER_BYTES} bytes, got one of {length}")
    block = file.read(length)
    if len(block) != length:
        raise WireError("expected a whole file of encrypted arrays, got one that is cut off")
    return block


def _layouts(listed: Any) -> dict[str, Layout]:
    layouts: dict[str, Layout] = {}
    at = 0
    for item in listed:
        shape, dtype = tuple(item["shape"]), item["dtype"]
        sizes = all(type(size) is int and size >= 0 for size in shape) and 0 not in shape[1:]
        if dtype not in _DTYPES or not sizes or not 1 <= len(shape) <= MAX_DIMENSIONS or item["name"] in layouts:
            raise ValueError("not an array of numbers")
        layout = Layout(shape=shape, dtype=np.dtype(dtype), start=at)
        layouts[str(item["name"])] = layout
        at = layout.stop
    if not 1 <= len(layouts) <= MAX_ARRAYS:
        raise ValueError("too many arrays, or none")
    return layouts


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")
