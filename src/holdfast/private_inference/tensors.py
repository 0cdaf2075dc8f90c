"""Arrays as safetensors, written in one way and read strictly; nothing in it can run code.

Format: https://github.com/huggingface/safetensors, section "Format". Here arrays come in the order of their names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError, WireError
from holdfast.evidence import canonical_json
from holdfast.limits import MAX_SAFETENSORS_HEADER_BYTES

_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
}
_NAMES: Final = {dtype: name for name, dtype in _TYPES.items()}
_MAX_DIMENSIONS: Final = 4


def write_tensors(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Arrays of float64 or integers as one file; an integer array takes the narrowest type that holds it.

    Raises:
        UsageError: an array is of another type.
    """
    stored = {name: _narrowed(array) for name, array in sorted(arrays.items())}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    at = 0
    for name, array in stored.items():
        end = at + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    head = canonical_json(header)
    return len(head).to_bytes(8, "little") + head + b"".join(array.tobytes() for array in stored.values())


def read_tensors(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The inverse of `write_tensors`: arrays as float64 and int64, and the metadata.

    Raises:
        WireError: the bytes are not what `write_tensors` writes.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= size <= min(MAX_SAFETENSORS_HEADER_BYTES, len(data) - 8):
        raise WireError("expected a safetensors header, got a length that it cannot have")
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__")
        arrays = {name: _array(entry, data, start=8 + size) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WireError("expected arrays in safetensors, got a header that is malformed") from None
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise WireError("expected safetensors metadata of texts, got something else")
    if write_tensors(arrays, metadata) != data:
        raise WireError("expected arrays in the one way in which Holdfast writes safetensors, got another")
    return arrays, metadata


def _array(entry: Any, data: bytes, *, start: int) -> NDArray[Any]:
    dtype, shape = _TYPES[entry["dtype"]], entry["shape"]
    first, end = entry["data_offsets"]
    if len(shape) > _MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in (*shape, first, end)):
        raise ValueError("not a shape")
    if math.prod(shape) * dtype.itemsize != end - first or start + end > len(data):
        raise ValueError("not the size")
    values = np.frombuffer(data, dtype=dtype, count=math.prod(shape), offset=start + first).reshape(shape)
    return values.astype(np.dtype(np.float64 if dtype.kind == "f" else np.int64))


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype == np.float64:
        return array.astype("<f8")
    if array.dtype.kind != "i":
        raise UsageError(f"expected arrays of float64 or signed integers, got {array.dtype}")
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for name in ("I8", "I16", "I32", "I64"):
        bounds = np.iinfo(_TYPES[name])
        if bounds.min <= low and high <= bounds.max:
            return array.astype(_TYPES[name])
    raise UsageError("expected integers of 64 bits")
