"""Where a record could lie in the clear: every file of some folders, searched for it in every form that we know of."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np


def forms_of_number(value: float) -> list[bytes]:
    """A number as text and as bits."""
    text = repr(value)
    packed = [struct.pack(form, value) for form in ("<d", ">d")]
    words = [word for word in (text, text.lstrip("0"), f"{value:.4f}") if len(word) > 5]
    return [*packed, *(word.encode(encoding) for word in words for encoding in ("utf-8", "utf-16-le", "utf-32-le"))]


def forms_of_text(word: str) -> list[bytes]:
    """A text in every encoding that a file may have, and as hexadecimal digits."""
    return [*(word.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-32-le")), word.encode().hex().encode()]


def forms_of_row(row: np.ndarray) -> list[bytes]:
    """A row of numbers as it would lie in an array of whole or broken numbers."""
    return [row.astype(kind).tobytes() for kind in ("<f8", ">f8", "<f4", ">f4")]


def contents(folders: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """Every file below the folders, and what is packed in it."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                yield path, data
                if data.startswith(b"\x1f\x8b"):
                    yield path, gzip.decompress(data)
                if zipfile.is_zipfile(BytesIO(data)):
                    with zipfile.ZipFile(path) as archive:
                        yield from ((path, archive.read(name)) for name in archive.namelist())


def found(forms: list[bytes], folders: list[Path]) -> list[tuple[str, bytes]]:
    """The files that hold one of the forms, and which."""
    return [(path.name, form) for path, data in contents(folders) for form in forms if form in data]
