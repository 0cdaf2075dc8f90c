"""The anchor of an audit log: a small file beside the database that says where the log ends."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from holdfast.files import system_fault

_RECORD: Final = struct.Struct(">Q32s64s")


class Anchor:
    """The number, hash and signature of the newest entry, in a file of one record that is overwritten in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def read(self) -> tuple[int, bytes, bytes] | None:
        """What `write` wrote last; None where there is no whole record."""
        try:
            with self._path.open("rb") as file:
                record = file.read(_RECORD.size + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise system_fault(error, f"read the audit anchor {self._path}") from None
        return _RECORD.unpack(record) if len(record) == _RECORD.size else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes of this machine from writing the log for the length of a `with` block; they wait."""
        handle = self._open()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise system_fault(error, f"lock the audit anchor {self._path}") from None
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)

    def write(self, number: int, digest: bytes, signature: bytes) -> None:
        """Overwrite the record. It is far smaller than a disk sector, so it is written whole or not at all."""
        try:
            os.pwrite(self._open(), _RECORD.pack(number, digest, signature), 0)
        except OSError as error:
            raise system_fault(error, f"write the audit anchor {self._path}") from None

    def close(self) -> None:
        """Make the record durable."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        if self._file is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            except OSError as error:
                raise system_fault(error, f"write the audit anchor {self._path}") from None
        return self._file
