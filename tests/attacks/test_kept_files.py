"""Files that evasions go on from: whatever is in them, the answer is one of this package's errors, or the arrays."""

from __future__ import annotations

import io
import os
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.attacks.kept import read_kept, write_kept
from holdfast.errors import DataError, WireError

ARRAYS = {"seed": np.array(7), "done": np.array([True, False]), "X": np.arange(6.0).reshape(2, 3)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole file."""
    write_kept(tmp_path / "kept.npz", ARRAYS, form="f-1", subject="sha256:ab")
    return tmp_path / "kept.npz"


def _read(path: Path) -> dict[str, Any]:
    return read_kept(path, ARRAYS, form="f-1", subject="sha256:ab")


def test_what_was_kept_comes_back_and_is_private(path: Path) -> None:
    for name, array in _read(path).items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_subject_format_or_shape_is_refused(path: Path) -> None:
    with pytest.raises(DataError, match="another model"):
        read_kept(path, ARRAYS, form="f-1", subject="sha256:cd")
    with pytest.raises(WireError, match="format f-2"):
        read_kept(path, ARRAYS, form="f-2", subject="sha256:ab")
    for like in ({"X": np.zeros((3, 2))}, {"done": np.zeros(2)}, {"seed": np.zeros(2, dtype=np.int64)}):
        with pytest.raises(WireError, match="its "):
            read_kept(path, ARRAYS | like, form="f-1", subject="sha256:ab")
    with pytest.raises(WireError, match="queries"):
        read_kept(path, ARRAYS | {"queries": np.zeros(2)}, form="f-1", subject="sha256:ab")


class Evil:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def _saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


def test_pickles_bombs_and_promises_are_refused_and_nothing_is_run(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "run"
    evil = Evil(mark)
    members = [_saved(np.array([evil], dtype=object)), _header((10**13,)), _header((-1,)), b"\x93NUMPY\x01\x00", b""]
    wholes = [pickle.dumps(evil), _saved(ARRAYS["X"]), _saved(np.array([evil], dtype=object)), b""]
    for member in members:
        buffer = io.BytesIO()
        with zipfile.ZipFile(path) as good, zipfile.ZipFile(buffer, "w") as archive:
            for name in good.namelist():
                archive.writestr(name, member if name == "X.npy" else good.read(name))
        wholes.append(buffer.getvalue())
    for whole in wholes:
        path.write_bytes(whole)
        with pytest.raises(WireError, match="holds no kept evasion"):
            _read(path)
    assert not mark.exists()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_an_error_of_ours_or_does_no_harm(path: Path, data: st.DataObject) -> None:
    whole = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(len(whole) // 2, len(whole)))])
    try:
        kept = _read(path)
    except (WireError, DataError):
        return
    assert {name: (array.shape, array.dtype) for name, array in kept.items()} == {
        name: (array.shape, array.dtype) for name, array in ARRAYS.items()
    }


def _whole() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, format=np.array("f-1"), subject=np.array("sha256:ab"), **ARRAYS)
    return buffer.getvalue()


WHOLE = _whole()
