"""Files that are erased, and files that are never finished: nothing of either is left where it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.errors import SystemFault
from holdfast.files import atomic_file, erase

SECRET = b"Canary van der Zand " * 100_000


def test_an_erased_file_is_overwritten_before_it_is_removed(tmp_path: Path) -> None:
    """A second name of the same file shows what became of its blocks."""
    path, second = tmp_path / "a", tmp_path / "b"
    path.write_bytes(SECRET)
    second.hardlink_to(path)
    erase(path)
    assert not path.exists()
    left = second.read_bytes()
    assert len(left) == len(SECRET)
    assert b"Canary" not in left


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1])
def test_a_file_of_any_length_is_erased(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(size))
    erase(path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_removed_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(SECRET)
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    erase(tmp_path / "link")
    assert (tmp_path / "precious").read_bytes() == SECRET
    assert not (tmp_path / "link").is_symlink()


def test_what_cannot_be_erased_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemFault, match="cannot erase"):
        erase(tmp_path / "absent")
    with pytest.raises(SystemFault, match="cannot erase"):
        erase(tmp_path)


def test_a_file_that_is_never_finished_is_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the middle leaves neither the file nor its bytes under the temporary name."""
    seen: list[Path] = []

    def work() -> None:
        with atomic_file(tmp_path / "a", private=True) as file:
            file.write(SECRET)
            file.flush()
            (temporary,) = tmp_path.iterdir()
            assert temporary.stat().st_mode & 0o777 == 0o600
            seen.append(tmp_path.parent / f"{tmp_path.name}.second")
            seen[0].hardlink_to(temporary)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert list(tmp_path.iterdir()) == []
    assert b"Canary" not in seen[0].read_bytes()
    assert seen[0].stat().st_size == len(SECRET)


def test_two_erasures_write_different_bytes(tmp_path: Path) -> None:
    left = []
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(bytes(4_096))
        os.link(tmp_path / name, tmp_path / f"{name}2")
        erase(tmp_path / name)
        left.append((tmp_path / f"{name}2").read_bytes())
    assert left[0] != left[1]
    assert bytes(16) not in left[0]
