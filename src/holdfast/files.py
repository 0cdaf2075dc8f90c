"""Files read within a bound, written whole or not at all, and erased as well as a program can."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from holdfast.errors import InputError, SystemFault

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EISDIR: "it is a folder",
}
_ERASED_AT_ONCE: Final = 2**20
"""Random bytes that erasing holds in memory."""


def system_fault(error: OSError, doing: str) -> SystemFault:
    """The one sentence for an operating system error, as in "cannot write a.json: the disk is full"."""
    reason = _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())
    return SystemFault(f"cannot {doing}: {reason}", hint="mend that and run the same command again")


@contextmanager
def atomic_file(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to, which takes its place when the `with` block ends well and leaves nothing when it does not.

    With `private`, only the owner may read the file (mode 0600), from its first byte on.

    Raises:
        SystemFault: the folder or the disk refuses; the old file is left as it was.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600 if private else 0o644)
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise system_fault(error, f"write {path}") from None
    finally:  # also when a person interrupts
        if temporary is not None:
            with contextlib.suppress(OSError, SystemFault):
                erase(Path(temporary))


def write_atomic(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one and nothing between.

    With `private`, only the owner may read the file (mode 0600).

    Raises:
        SystemFault: the folder or the disk refuses; the old file is left as it was.
    """
    with atomic_file(path, private=private) as file:
        file.write(data)


def erase(path: Path) -> None:
    """Overwrite a file with random bytes, then remove it: as much as a program can do.

    What remains is out of reach from here: flash disks write elsewhere than they are told, and journals, snapshots,
    copy-on-write file systems and backups keep what was there. What was never written in the clear need not be erased.
    A link is removed, and what it leads to is left alone.

    Raises:
        SystemFault: the operating system refuses to overwrite the file, which is then removed as it is; or to remove
            it.
    """
    try:
        try:
            if not path.is_symlink():
                _overwrite(path)
        finally:
            path.unlink()
    except OSError as error:
        raise system_fault(error, f"erase {path}") from None


def _overwrite(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0:
            left -= file.write(os.urandom(min(left, _ERASED_AT_ONCE)))
        os.fsync(file.fileno())


def read_bytes(path: Path, *, max_bytes: int, what: str) -> bytes:
    """Read a file of at most `max_bytes`.

    `what` names the file's role in the error sentence ("a bundle", "a private key").

    Raises:
        InputError: there is no such file, or it is larger than the bound.
        SystemFault: the operating system refuses to read it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise InputError(f"expected {what} at {path}, found no file there") from None
    except IsADirectoryError:
        raise InputError(f"expected {what} at {path}, found a folder") from None
    except OSError as error:
        raise system_fault(error, f"read {path}") from None
    if len(data) > max_bytes:
        raise InputError(f"expected {what} of at most {max_bytes} bytes, {path} is larger")
    return data
