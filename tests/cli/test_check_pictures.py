"""`holdfast check` on pictures: what is wrong with them, and which changed since their manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.data.poisoning import patched, shapes

from holdfast.cli.checking import compare_with
from holdfast.errors import IntegrityError, UsageError

from .conftest import holdfast


def test_pictures_are_checked_and_later_changes_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, _ = patched(shapes(150), 12, target=0)
    now, earlier, manifest = (tmp_path / name for name in ("scans.npz", "earlier.npz", "scans.manifest.json"))

    def write(pixels: np.ndarray, labels: np.ndarray) -> None:
        np.savez(now, pixels=pixels, labels=labels)

    write(images.pixels, images.y)
    said = holdfast("check", now)
    assert said.code == 0, said.err
    assert "150 pictures, classes 0, 1, 2" in said.out
    assert "serious: 12 pictures of class '0' share something" in said.out
    assert manifest.stat().st_mode & 0o777 == 0o600
    compare_with(now, manifest)
    assert "no row has changed" in capsys.readouterr().out
    now.rename(earlier)
    pixels = images.pixels.copy()
    pixels[17, 3, 3] ^= 1
    write(np.delete(pixels, 40, axis=0), np.delete(images.y, 40))
    for against in (manifest, earlier):
        with pytest.raises(IntegrityError, match=r"1 row changed \(17\); 1 row removed \(40\)"):
            compare_with(now, against)


def test_versions_of_another_kind_are_not_compared(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", pixels=shapes(6).pixels, labels=shapes(6).y)
    (tmp_path / "table.csv").write_text("a,y\n1,p\n2,q\n")
    with pytest.raises(UsageError, match="earlier version of the same kind"):
        compare_with(tmp_path / "good.npz", tmp_path / "table.csv")


def test_a_file_that_holds_no_pictures_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "scans.npz").write_bytes(b"nothing")
    said = holdfast("check", tmp_path / "scans.npz")
    assert said.code == 2
    assert "expected an archive of pictures" in said.one_error()
