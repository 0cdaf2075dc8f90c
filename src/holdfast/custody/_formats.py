"""What a file in a bundle may be: five formats, each told by its content and never by its name alone.

    .onnx          parses as ONNX, passes the ONNX checker, holds all its data itself, has no field unknown to ONNX
    .safetensors   header and data agree to the byte, without gap or overlap
    .json          strict JSON
    .txt, .md      UTF-8 without control characters

None of them can run code when it is read. Everything else is refused: pickle and what holds pickles above all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import onnx
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]

from holdfast.custody._json import parse_json
from holdfast.errors import WireError
from holdfast.limits import MAX_BUNDLE_BYTES, MAX_JSON_BYTES, MAX_SAFETENSORS_HEADER_BYTES, MAX_TEXT_BYTES

MAX_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "onnx": MAX_BUNDLE_BYTES,
        "safetensors": MAX_BUNDLE_BYTES,
        "json": MAX_JSON_BYTES,
        "txt": MAX_TEXT_BYTES,
        "md": MAX_TEXT_BYTES,
    }
)
"""Every ending that a file may have, with the bytes that such a file may hold."""

_DISGUISES: Final = (
    (re.compile(rb"\x80[\x02-\x05]"), "a pickle"),
    (re.compile(rb"PK\x03\x04"), "a zip archive, as PyTorch and Keras write"),
    (re.compile(rb"\x7fELF|MZ|\xcf\xfa\xed\xfe"), "a program"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array, which may hold a pickle"),
    (re.compile(rb"\x89HDF"), "an HDF5 file"),
)
_SAFETENSORS_WIDTHS: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
"""Bytes of one element of each type."""
_MAX_DIMENSIONS: Final = 16
"""Dimensions of one tensor; real ones have at most six."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_format(name: str, data: bytes) -> None:
    """Check that a file's content is the format of its ending, one of `MAX_BYTES`.

    Raises:
        WireError: it is something else, and what, where that can be told.
    """
    try:
        _CHECKS[name.rpartition(".")[2]](data)
    except WireError as error:
        found = next((what for start, what in _DISGUISES if start.match(data)), "")
        reason = f"it is {found}" if found else str(error)
        raise WireError(f"{name} is not what its name says: {reason}") from None


def _check_json(data: bytes) -> None:
    parse_json(data, what="a document")


def _check_text(data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WireError("expected text in UTF-8, got other bytes") from None
    if _CONTROL.search(text):
        raise WireError("expected text, got control characters")


def _check_onnx(data: bytes) -> None:
    try:
        model = onnx.load_model_from_string(data)
        _check_self_contained(model)  # first, for the checker would look for the other files
        onnx.checker.check_model(data)
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise WireError(f"expected a valid ONNX model, got one that is not: {reason}") from None


def _check_self_contained(model: onnx.ModelProto) -> None:
    """Refuse data in other files, and bytes that hide in fields that ONNX does not have."""
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise WireError(f"expected an ONNX model that holds its data itself, {tensor.name!r} is in another file")
    size = model.ByteSize()
    model.DiscardUnknownFields()
    if model.ByteSize() != size:
        raise WireError("expected an ONNX model, got one with fields that ONNX does not have")


def _tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Every tensor anywhere in a message. Protobuf itself stops at 100 levels."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _tensors(inner)


def _check_safetensors(data: bytes) -> None:
    """Format: https://github.com/huggingface/safetensors, section "Format"."""
    header_bytes = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= header_bytes <= min(MAX_SAFETENSORS_HEADER_BYTES, len(data) - 8):
        raise WireError("expected a safetensors header, got a length that it cannot have")
    header = parse_json(data[8 : 8 + header_bytes], what="a safetensors header")
    if not isinstance(header, dict) or data[8:9] != b"{":
        raise WireError("expected a safetensors header, got JSON that is not an object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise WireError("expected safetensors metadata of texts, got something else")
    at = 0
    for start, end in sorted(_tensor_range(name, tensor) for name, tensor in header.items()):
        if start != at:
            raise WireError("expected safetensors data without gap or overlap, got one")
        at = end
    if at != len(data) - 8 - header_bytes:
        raise WireError("expected safetensors data as long as its header says, got another length")


def _tensor_range(name: str, tensor: Any) -> tuple[int, int]:
    """Where one tensor's bytes start and end in the data, once its type and shape agree with that."""
    match tensor:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [start, end], **rest}:
            numbers = [*shape, start, end]
            natural = all(type(number) is int and 0 <= number <= MAX_BUNDLE_BYTES for number in numbers)
            known = not rest and dtype in _SAFETENSORS_WIDTHS and len(shape) <= _MAX_DIMENSIONS
            if natural and known and end - start == math.prod(shape) * _SAFETENSORS_WIDTHS[dtype]:
                return start, end
    raise WireError(
        f"expected the safetensors tensor {name!r} to have a type, a shape and a place that agree, got {tensor!r:.100}"
    )


_CHECKS: Final[Mapping[str, Callable[[bytes], None]]] = MappingProxyType(
    {
        "onnx": _check_onnx,
        "safetensors": _check_safetensors,
        "json": _check_json,
        "txt": _check_text,
        "md": _check_text,
    }
)
