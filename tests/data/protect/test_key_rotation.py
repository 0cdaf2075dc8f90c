"""Another master key for a file: the new one opens it, the old one does not, and the data is not touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.data.protect.vault_server import TOKEN, vault

from holdfast.data import read_table
from holdfast.data.protect import DataKey, ProjectKey, open_arrays, rotate, write_arrays, write_table
from holdfast.data.protect.parquet_tail import read_tail
from holdfast.data.protect.tables import digest_table
from holdfast.data.protect.vault import VaultTransit
from holdfast.errors import AccessError, CredentialError, HoldfastError, InputError, IntegrityError, SystemFault

FRAME = pd.DataFrame({"a": np.arange(5_000) * 0.5, "b": ["x", "y"] * 2_500})
ARRAY = np.arange(100_000, dtype="<i4").reshape(1_000, 100)


def write_one_table(path: Path, key: ProjectKey) -> None:
    write_table(FRAME, path, key=key)


def check_table(path: Path, key: ProjectKey) -> None:
    assert read_table(path, key=key)["a"].tolist() == FRAME["a"].tolist()


def write_one_array(path: Path, key: ProjectKey) -> None:
    write_arrays(path, {"a": ARRAY}, key=key)


def check_array(path: Path, key: ProjectKey) -> None:
    with open_arrays(path, key=key) as arrays:
        np.testing.assert_array_equal(arrays["a"][:], ARRAY)


Write = Callable[[Path, ProjectKey], None]


@pytest.fixture(params=["table", "array"])
def kind(request: pytest.FixtureRequest) -> tuple[Write, Write, str]:
    """How to write a file of a kind, how to check it, and what it is called."""
    if request.param == "table":
        return write_one_table, check_table, "table.parquet"
    return write_one_array, check_array, "array.hfa"


def test_the_new_key_opens_it_and_the_old_one_does_not(
    tmp_path: Path, key: ProjectKey, other_key: ProjectKey, kind: tuple[Write, Write, str]
) -> None:
    write, check, name = kind
    path = tmp_path / name
    write(path, key)
    before = path.read_bytes()
    rotate(path, old=key, new=other_key)
    check(path, other_key)
    with pytest.raises(CredentialError, match="is encrypted under"):
        check(path, key)
    for old_words in (key.service.name.encode(), *_wrapped(before)):
        assert old_words in before
        assert old_words not in path.read_bytes()
    assert path.read_bytes().count(before[5_000:15_000]) == 1  # the data, as it was
    assert [item.name for item in tmp_path.iterdir()] == [name]


def _wrapped(data: bytes) -> list[bytes]:
    if data.startswith(b"PARE"):
        return [read_tail(data).material["wrappedDEK"].encode()]
    start = data.index(b'"wrapped":"') + 11
    return [data[start : data.index(b'"', start)]]


def test_a_table_under_another_key_has_the_digest_that_it_had_and_another_table_has_not(
    tmp_path: Path, key: ProjectKey, other_key: ProjectKey
) -> None:
    path, again = tmp_path / "table.parquet", tmp_path / "again.parquet"
    write_one_table(path, key)
    write_one_table(again, key)
    before, bytes_before = digest_table(path), path.read_bytes()
    assert digest_table(again) != before  # other data keys: it cannot be seen that the rows are the same
    rotate(path, old=key, new=other_key)
    assert path.read_bytes() != bytes_before
    assert digest_table(path) == before
    path.write_bytes(path.read_bytes()[:-100] + bytes(92) + path.read_bytes()[-8:])
    assert digest_table(path) != before


def test_from_a_file_to_a_key_service_and_to_another_project(
    tmp_path: Path, key: ProjectKey, kind: tuple[Write, Write, str]
) -> None:
    write, check, name = kind
    path = tmp_path / name
    write(path, key)
    with vault() as url:
        held = ProjectKey(service=VaultTransit(url, "master", token=TOKEN), project="loans")
        rotate(path, old=key, new=held)
        check(path, held)
        claims = ProjectKey(service=held.service, project="claims")
        rotate(path, old=held, new=claims)
        check(path, claims)
        with pytest.raises(IntegrityError, match="loans"):
            check(path, held)
    with pytest.raises(SystemFault, match="cannot be reached"):
        check(path, claims)


def test_a_rotation_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, key: ProjectKey, other_key: ProjectKey, other_project: ProjectKey, kind: tuple[Write, Write, str]
) -> None:
    write, check, name = kind
    path = tmp_path / name
    write(path, key)
    before = path.read_bytes()
    with vault() as url:
        refused = ProjectKey(service=VaultTransit(url, "master", token="wrong"), project="loans")
        for old, new in ((other_key, key), (other_project, key), (key, refused)):
            with pytest.raises((AccessError, IntegrityError)):
                rotate(path, old=old, new=new)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [name]
    check(path, key)


def test_rotating_a_changed_file_does_not_hide_the_change(
    tmp_path: Path, key: ProjectKey, other_key: ProjectKey, kind: tuple[Write, Write, str]
) -> None:
    write, check, name = kind
    path = tmp_path / name
    write(path, key)
    data = bytearray(path.read_bytes())
    data[5_000] ^= 1
    path.write_bytes(data)
    rotate(path, old=key, new=other_key)
    with pytest.raises(IntegrityError, match="was changed after it was encrypted"):
        check(path, other_key)


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", b"PARE", b"holdfast-array-1\n", b"holdfast-array-1\n\xff\xff\xff\xff", bytes(range(157, 256))],
    ids=["empty", "parquet", "encrypted parquet", "array", "array with a long header", "noise"],
)
def test_what_is_not_encrypted_is_not_rotated(tmp_path: Path, key: ProjectKey, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(HoldfastError):
        rotate(path, old=key, new=key)
    assert path.read_bytes() == data
    with pytest.raises(InputError, match="found no file there"):
        rotate(tmp_path / "absent", old=key, new=key)


def test_rotating_to_the_same_key_wraps_anew(tmp_path: Path, kind: tuple[Write, Write, str]) -> None:
    write, check, name = kind
    key = ProjectKey(service=DataKey.generate())
    write(tmp_path / name, key)
    before = (tmp_path / name).read_bytes()
    rotate(tmp_path / name, old=key, new=key)
    assert (tmp_path / name).read_bytes() != before
    check(tmp_path / name, key)
