"""The disk under a bundle: plain files in plain folders, read without following links, written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Final

from holdfast.errors import InputError, IntegrityError
from holdfast.files import system_fault, write_atomic

_NOT_PLAIN: Final = (errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""What the operating system says instead of opening a link, a folder or a socket."""


def check_folder(folder: Path) -> None:
    """Check that there is a folder.

    Raises:
        InputError: there is none.
        SystemFault: the operating system refuses to say.
    """
    try:
        there = folder.is_dir()
    except OSError as error:
        raise system_fault(error, f"read {folder}") from None
    if not there:
        raise InputError(f"expected a bundle at {folder}, found no folder there")


def check_only(folder: Path, files: Set[str]) -> None:
    """Refuse whatever is not one of these files or a folder on the way to one: files, folders, links.

    Raises:
        IntegrityError: there is something else, or a folder is missing.
        SystemFault: the operating system refuses to list a folder.
    """
    folders = {str(parent) for name in files for parent in Path(name).parents}
    for inside in sorted(folders):
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    _check_entry(entry, str(Path(inside) / entry.name), files, folders)
        except (FileNotFoundError, NotADirectoryError):
            raise IntegrityError(f"the folder {inside} is missing from the bundle") from None
        except OSError as error:
            raise system_fault(error, f"read {folder / inside}") from None


def _check_entry(entry: os.DirEntry[str], name: str, files: Set[str], folders: Set[str]) -> None:
    if entry.is_symlink():
        raise IntegrityError(f"{name!r:.100} in the bundle is a link, and a bundle has none")
    if name not in (folders if entry.is_dir(follow_symlinks=False) else files):
        raise IntegrityError(f"{name!r:.100} is in the bundle, and its manifest does not list it")


def read_member(folder: Path, name: str, *, max_bytes: int) -> bytes:
    """Read one plain file of a bundle.

    A link is not followed in the last part of the name. One that is put in place of a folder after `check_only` is
    harmless: the bytes that it leads to still have to be the ones that were signed.

    Raises:
        IntegrityError: it is missing, not a plain file, or larger than `max_bytes`.
        SystemFault: the operating system refuses to read it.
    """
    try:
        with open(folder / name, "rb", opener=_open_plain) as file:
            plain = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(max_bytes + 1) if plain else b""
    except (FileNotFoundError, NotADirectoryError):
        raise IntegrityError(f"{name} is missing from the bundle") from None
    except OSError as error:
        if error.errno not in _NOT_PLAIN:
            raise system_fault(error, f"read {folder / name}") from None
        plain = False
    if not plain:
        raise IntegrityError(f"{name} in the bundle is not a plain file")
    if len(data) > max_bytes:
        raise IntegrityError(f"{name} in the bundle has more than the {max_bytes} bytes that it may have")
    return data


def _open_plain(path: str, flags: int) -> int:
    """Open without following a link, and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder that only its owner may enter: built beside its place, then moved there.

    What was there is moved away first, so a reader in between finds the old folder, the new one or none, never a
    mixture.

    Raises:
        SystemFault: the disk refuses; what was there is left as it was.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise system_fault(error, f"write {folder}") from None
    new, old = scratch / "new", scratch / "old"
    try:
        for name, data in files.items():
            write_atomic(new / name, data, private=True)
        new.chmod(0o700)
        _move(new, folder, old)
    except OSError as error:
        raise system_fault(error, f"write {folder}") from None
    finally:
        if folder.exists() or not old.exists():  # else the only copy is there, and is left
            shutil.rmtree(scratch, ignore_errors=True)


def _move(new: Path, folder: Path, old: Path) -> None:
    """Put `new` in the place of `folder`, which is kept as `old`; if that fails, put it back."""
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
