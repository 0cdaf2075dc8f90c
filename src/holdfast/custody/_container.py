"""Several named files as one byte string, in the one way there is.

    marker "holdfast-files-1" and a line feed
    for each file, in ascending order of its name's bytes:
        length of the name  2 bytes, big-endian
        name                UTF-8
        length of the data  8 bytes, big-endian
        data

No compression, no paths followed, no attributes: what an archive format adds is what attacks on archives use. Whether
a name is one that a bundle may have is for the manifest to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.errors import WireError
from holdfast.limits import MAX_BUNDLE_FILES

_MARKER: Final = b"holdfast-files-1\n"
_NAME_LENGTH_BYTES: Final = 2
_DATA_LENGTH_BYTES: Final = 8


def pack(files: Mapping[str, bytes]) -> bytes:
    """The container of these files; `unpack` is its inverse."""
    parts = [_MARKER]
    for name, data in sorted((name.encode(), data) for name, data in files.items()):
        parts += [len(name).to_bytes(_NAME_LENGTH_BYTES), name, len(data).to_bytes(_DATA_LENGTH_BYTES), data]
    return b"".join(parts)


def unpack(container: bytes) -> dict[str, bytes]:
    """The files of a container.

    Raises:
        WireError: it is not a container, ends in the middle of a file, or its names are not in ascending order.
    """
    if not container.startswith(_MARKER):
        raise WireError("expected a container of files, got something else")
    files: dict[str, bytes] = {}
    at, last = len(_MARKER), b""
    while at < len(container):
        name, at = _take(container, at, _NAME_LENGTH_BYTES)
        data, at = _take(container, at, _DATA_LENGTH_BYTES)
        if files and name <= last:
            raise WireError("expected a container with its names in ascending order, got another order")
        if len(files) == MAX_BUNDLE_FILES:
            raise WireError(f"expected a container of at most {MAX_BUNDLE_FILES} files, got more")
        last = name
        files[_text(name)] = data
    return files


def _take(container: bytes, at: int, length_bytes: int) -> tuple[bytes, int]:
    """The bytes that start at `at` with their length, and where they end."""
    start = at + length_bytes
    end = start + int.from_bytes(container[at:start])
    if end > len(container) or start > len(container):
        raise WireError("expected a whole container of files, got one that is cut off")
    return container[start:end], end


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise WireError("expected file names in UTF-8, got other bytes") from None
