"""Clients' key sets on the disk, where all workers of a service find them, also after a restart.

    FOLDER/CLIENT/DIGEST/manifest    what parts a key set has
    FOLDER/CLIENT/DIGEST/INDEX       one part

CLIENT is a digest of the client's name, so that no name can be a path. Each file is written whole or not at all, and a
key set can be used when all its parts are here. None of it is secret: it decrypts nothing. But whoever changes it can
make answers wrong, so what is read back is checked like an upload.

Of too many, the key set that was used longest ago goes: of a client's own when the client has too many, of all when the
disk has. Whoever reads it just then has it whole, or is told that it is not here.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Final

from holdfast import limits
from holdfast.errors import InputError, WireError
from holdfast.files import read_bytes, system_fault, write_atomic

_DIGEST: Final = re.compile("sha256:[0-9a-f]{64}")
_MANIFEST: Final = "manifest"


@dataclass(frozen=True, kw_only=True)
class _Held:
    """What is on the disk of a key set."""

    folder: Path
    n_bytes: int
    used: float


class KeyFiles:
    """The key sets in one folder. Threads and processes may share it.

    Args:
        folder: made when the first key comes; only its owner may read it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, client: str, digest: str, manifest: bytes) -> None:
        """Keep the manifest of a key set, for its parts to come.

        Raises:
            WireError: the digest is none.
            SystemFault: the disk refuses.
        """
        self._write(self._place(client, digest) / _MANIFEST, manifest)

    def put(self, client: str, digest: str, *, index: int, part: bytes) -> None:
        """Keep one part.

        Raises:
            WireError: the digest is none.
            SystemFault: the disk refuses.
        """
        self._write(self._place(client, digest) / str(index), part)

    def manifest(self, client: str, digest: str) -> bytes | None:
        """The manifest of a key set; None where it is not here."""
        return _read(self._place(client, digest) / _MANIFEST)

    def touch(self, client: str, digest: str) -> None:
        """Note that a key set is used now."""
        with contextlib.suppress(OSError):
            os.utime(self._place(client, digest) / _MANIFEST)

    def missing(self, client: str, digest: str, *, parts: int) -> tuple[int, ...]:
        """The parts that are not here, of so many."""
        place = self._place(client, digest)
        return tuple(index for index in range(parts) if not (place / str(index)).exists())

    def parts(self, client: str, digest: str, *, parts: int) -> list[bytes] | None:
        """The parts of a key set; None where one is not here."""
        place = self._place(client, digest)
        found = [data for index in range(parts) if (data := _read(place / str(index))) is not None]
        return found if len(found) == parts else None

    def drop(self, client: str, digest: str) -> None:
        """Forget a key set, or what is here of it."""
        place = self._place(client, digest)
        with self._alone():
            shutil.rmtree(place, ignore_errors=True)

    def _place(self, client: str, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise WireError(f"expected a digest of keys as sha256: and 64 hexadecimal digits, got {digest[:80]!r}")
        return self._folder / hashlib.sha256(client.encode()).hexdigest()[:32] / digest.removeprefix("sha256:")

    def _write(self, path: Path, data: bytes) -> None:
        with self._alone():
            write_atomic(path, data, private=True)
            self._make_room(keep=path.parent)

    def _make_room(self, *, keep: Path) -> None:
        """Take key sets away until the bounds hold again; never the one that is being kept."""
        own = [_look_at(folder) for folder in keep.parent.iterdir()]
        while len(own) > limits.MAX_KEYS_PER_CLIENT or _bytes(own) > limits.MAX_KEY_BYTES_PER_CLIENT:
            if not _remove_oldest(own, keep=keep):
                break
        held = [_look_at(folder) for folder in self._folder.glob("*/*")]
        while _bytes(held) > limits.MAX_KEY_STORE_BYTES and _remove_oldest(held, keep=keep):
            pass

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes from changing the folder for the length of a `with` block."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._folder / "lock").open("w")
        except OSError as error:
            raise system_fault(error, f"write to {self._folder}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _look_at(folder: Path) -> _Held:
    stats = [path.stat() for path in folder.iterdir()]
    used = max((stat.st_mtime for stat in stats), default=0.0)
    return _Held(folder=folder, n_bytes=sum(stat.st_size for stat in stats), used=used)


def _bytes(held: list[_Held]) -> int:
    return sum(item.n_bytes for item in held)


def _remove_oldest(held: list[_Held], *, keep: Path) -> bool:
    """Take away the one used longest ago; False where there is none but the one to keep."""
    oldest = min((item for item in held if item.folder != keep), key=attrgetter("used"), default=None)
    if oldest is None:
        return False
    shutil.rmtree(oldest.folder, ignore_errors=True)
    held.remove(oldest)
    return True


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(InputError):  # gone, or not one of ours
        return read_bytes(path, max_bytes=limits.MAX_REQUEST_BYTES, what="a part of a key set")
    return None
