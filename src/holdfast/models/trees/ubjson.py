"""UBJSON, as far as XGBoost writes it: draft 12 of https://ubjson.org, with typed and counted arrays."""

from __future__ import annotations

import struct
from typing import Any, Final

from holdfast.errors import WireError

_NUMBERS: Final = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_CONSTANTS: Final = {"Z": None, "T": True, "F": False}
_MAX_DEPTH: Final = 32
"""Arrays and objects inside one another; XGBoost needs about ten."""


def read_ubjson(data: bytes) -> Any:
    """The value of a UBJSON document.

    Raises:
        WireError: it is none.
    """
    reader = _Reader(data)
    try:
        value = reader.value(reader.marker(), _MAX_DEPTH)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise WireError("expected a UBJSON document, got one that ends early or has text that is none") from None
    if reader.at != len(data):
        raise WireError("expected a UBJSON document, got more bytes after it")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def marker(self) -> str:
        self.at += 1
        return chr(self.data[self.at - 1])

    def peek(self) -> str:
        return chr(self.data[self.at])

    def number(self, marker: str) -> Any:
        (value,) = struct.unpack_from(_NUMBERS[marker], self.data, self.at)
        self.at += struct.calcsize(_NUMBERS[marker])
        return value

    def size(self) -> int:
        marker = self.marker()
        value = self.number(marker) if marker in "iUIlL" else -1
        if not 0 <= value <= len(self.data):
            raise WireError(f"expected a length in a UBJSON document, got {value}")
        return int(value)

    def text(self) -> str:
        size = self.size()
        self.at += size
        if self.at > len(self.data):
            raise IndexError
        return self.data[self.at - size : self.at].decode()

    def value(self, marker: str, depth: int) -> Any:
        if marker in _NUMBERS:
            return self.number(marker)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == "S":
            return self.text()
        if marker == "C":
            return self.marker()
        if marker not in "[{" or depth == 0:
            raise WireError(f"expected a value in a UBJSON document, got the marker {marker!r}")
        return self.array(depth - 1) if marker == "[" else self.object(depth - 1)

    def array(self, depth: int) -> list[Any]:
        kind, count = self._header()
        if kind in _NUMBERS and count is not None:  # the bulk of a model
            size = struct.calcsize(_NUMBERS[kind])
            values = struct.unpack_from(f">{count}{_NUMBERS[kind][1]}", self.data, self.at)
            self.at += count * size
            return list(values)
        out: list[Any] = []
        while (count is None and self.peek() != "]") or (count is not None and len(out) < count):
            out.append(self.value(kind or self.marker(), depth))
        self.at += count is None
        return out

    def object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        out: dict[str, Any] = {}
        read = 0
        while (count is None and self.peek() != "}") or (count is not None and read < count):
            name = self.text()
            out[name] = self.value(kind or self.marker(), depth)
            read += 1
        self.at += count is None
        return out

    def _header(self) -> tuple[str, int | None]:
        """The type and the count that an array or object may say first."""
        kind = ""
        if self.peek() == "$":
            self.at += 1
            kind = self.marker()
            if self.peek() != "#":
                raise WireError("expected a count after a type in a UBJSON document")
        if self.peek() == "#":
            self.at += 1
            return kind, self.size()
        return kind, None
