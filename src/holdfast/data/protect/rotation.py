"""Another master key for a file: its data key is unwrapped and wrapped again, and the data is copied as it is.

What that gives: the old master key does not open the new file. What it does not give: whoever opened the old file may
have kept its data key, or a copy of it. If the old master key may be in wrong hands, encrypt the table again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from holdfast.data.protect.array_header import MARKER, read_header
from holdfast.data.protect.keys import ProjectKey
from holdfast.data.protect.parquet_tail import MAGIC, read_tail
from holdfast.errors import InputError, WireError
from holdfast.files import atomic_file, system_fault

_COPIED_AT_ONCE: Final = 2**20
_MAX_TAIL_BYTES: Final = 64 * 2**20
"""Bytes of a Parquet file's end; that of 10,000 columns in 100 row groups fits."""


def rotate(path: str | Path, *, old: ProjectKey, new: ProjectKey) -> None:
    """Put a file of an encrypted table or of encrypted arrays under another key, in its place, whole or not at all.

    Raises:
        InputError: there is no such file, or it is neither.
        CredentialError: it needs another key than the old one, or a key service refuses.
        IntegrityError: its wrapped key was changed, or it is of another project.
        SystemFault: the disk refuses, or a key service cannot be reached.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(max(len(MAGIC), len(MARKER)))
            file.seek(0)
            if start.startswith(MAGIC):
                _rotate_table(file, path, old, new)
            elif start == MARKER:
                _rotate_arrays(file, path, old, new)
            else:
                raise InputError(f"expected an encrypted table or encrypted arrays at {path}, got something else")
    except FileNotFoundError:
        raise InputError(f"expected an encrypted file at {path}, found no file there") from None
    except OSError as error:
        raise system_fault(error, f"read {path}") from None


def _rotate_table(file: IO[bytes], path: Path, old: ProjectKey, new: ProjectKey) -> None:
    size = file.seek(0, os.SEEK_END)
    offset = max(size - _MAX_TAIL_BYTES, 0)
    file.seek(offset)
    tail = read_tail(file.read(), offset=offset)
    key = new.wrap(old.unwrap(tail.wrapped, "table", path), "table")
    file.seek(0)
    with atomic_file(path, private=True) as out:
        _copy(file, out, tail.start)
        out.write(tail.with_key(key))


def _rotate_arrays(file: IO[bytes], path: Path, old: ProjectKey, new: ProjectKey) -> None:
    try:
        header = read_header(file)
    except WireError as error:
        raise WireError(f"{path}: {error}") from None
    key = new.wrap(old.unwrap(header.key, "array", path), "array")
    with atomic_file(path, private=True) as out:
        out.write(replace(header, key=key).to_bytes())
        shutil.copyfileobj(file, out, _COPIED_AT_ONCE)


def _copy(file: IO[bytes], out: IO[bytes], size: int) -> None:
    while size > 0 and (part := file.read(min(size, _COPIED_AT_ONCE))):
        out.write(part)
        size -= len(part)
