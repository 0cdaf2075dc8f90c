"""Files are written whole or not at all, and read within a bound."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import InputError, SystemFault
from holdfast.files import read_bytes, system_fault, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.json"
    for content in (b"one", b"", b"three" * 100_000):
        write_atomic(path, content)
        assert read_bytes(path, max_bytes=10**6, what="a file") == content
        assert names(path.parent) == ["a.json"]


def test_a_private_file_is_for_its_owner_only_also_where_it_was_public(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_atomic(path, b"public")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    write_atomic(path, b"secret", private=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failure_half_way_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(SystemFault, match=f"cannot write {path}"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_an_interrupt_half_way_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from holdfast.errors import SystemFault
from holdfast.files import write_atomic

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_atomic(Path(sys.argv[1]), b"n" * 100_000)
except SystemFault as error:
    print(error)
"""


def test_a_real_write_that_the_system_cuts_off_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow beyond 50,000 bytes, as a full disk would."""
    path = tmp_path / "a.bin"
    write_atomic(path, b"old")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write {path}: ")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_reader_sees_the_old_content_or_the_new_and_nothing_between(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_atomic(path, b"a" * 300_000)
    with path.open("rb") as old:
        write_atomic(path, b"b" * 200_000)
        assert old.read() == b"a" * 300_000
    assert path.read_bytes() == b"b" * 200_000


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not (tmp_path / "a").is_symlink()


def test_a_file_where_a_folder_should_be_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemFault, match=r"cannot write .*: "):
        write_atomic(tmp_path / "file" / "a.json", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SystemFault, match="it is a folder"):
        write_atomic(tmp_path / "folder", b"new")
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with contextlib.ExitStack() as stack:
        stack.callback(tmp_path.chmod, 0o700)
        with pytest.raises(SystemFault, match="permission is denied"):
            write_atomic(tmp_path / "a.json", b"new")


def test_reading_stops_at_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 100)
    assert len(read_bytes(path, max_bytes=100, what="a key")) == 100
    with pytest.raises(InputError, match="expected a key of at most 99 bytes"):
        read_bytes(path, max_bytes=99, what="a key")
    with pytest.raises(InputError, match="at most 1000 bytes"):
        read_bytes(Path("/dev/zero"), max_bytes=1000, what="a key")


def test_absent_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a key at .*, found no file there"):
        read_bytes(tmp_path / "absent", max_bytes=10, what="a key")
    with pytest.raises(InputError, match=r"expected a key at .*, found a folder"):
        read_bytes(tmp_path, max_bytes=10, what="a key")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission is denied"),
        (errno.ENAMETOOLONG, "file name too long"),
    ],
)
def test_each_reason_is_said_in_plain_words_with_what_to_do(number: int, reason: str) -> None:
    fault = system_fault(OSError(number, os.strerror(number)), "write a.json")
    assert str(fault) == f"cannot write a.json: {reason}"
    assert fault.hint
