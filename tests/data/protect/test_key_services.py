"""What every key service promises, asked of each; then where each may be found, and how keys stay secret."""

from __future__ import annotations

import copy
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.protect.vault_server import TOKEN, vault

from holdfast.data.protect import DataKey, KeyService, ProjectKey, Pseudonyms, open_arrays, write_arrays
from holdfast.data.protect.keys import WrappedKey
from holdfast.data.protect.sources import find_key, seen_from
from holdfast.data.protect.vault import VaultTransit
from holdfast.errors import (
    CredentialError,
    HoldfastError,
    InputError,
    IntegrityError,
    SystemFault,
    UsageError,
    WireError,
)

DATA_KEY = bytes(range(32))
SECRET = bytes.fromhex("5a" * 31 + "01")


@pytest.fixture(scope="module")
def mount() -> Iterator[str]:
    with vault() as url:
        yield url


@pytest.fixture(params=["data key", "vault"])
def two_services(request: pytest.FixtureRequest, mount: str) -> tuple[KeyService, KeyService]:
    """Two services of one kind, with different master keys."""
    if request.param == "data key":
        return DataKey.generate(), DataKey.generate()
    return VaultTransit(mount, "one", token=TOKEN), VaultTransit(mount, "two", token=TOKEN)


def test_a_service_unwraps_what_it_wrapped_in_the_same_context_alone(
    two_services: tuple[KeyService, KeyService],
) -> None:
    service, other = two_services
    wrapped = service.wrap(DATA_KEY, b"table/loans")
    assert service.unwrap(wrapped, b"table/loans") == DATA_KEY
    assert DATA_KEY not in wrapped
    assert wrapped != service.wrap(DATA_KEY, b"table/loans")
    for unwrapping, data, context in (
        (service, wrapped, b"table/claims"),
        (service, wrapped, b""),
        (other, wrapped, b"table/loans"),
        (service, wrapped[:-1], b"table/loans"),
        (service, b"", b"table/loans"),
    ):
        with pytest.raises(IntegrityError, match="expected a key wrapped under"):
            unwrapping.unwrap(data, context)


def test_a_service_has_a_name_for_messages_that_fits_into_a_key_id(two_services: tuple[KeyService, KeyService]) -> None:
    names = {service.name for service in two_services}
    assert len(names) == 2
    assert not any("/" in name for name in names)


def test_a_service_neither_shows_its_secret_nor_leaves_its_process(two_services: tuple[KeyService, KeyService]) -> None:
    for service in two_services:
        for leak in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(UsageError, match="does not leave its process"):
                leak(service)
        assert TOKEN not in repr(service)


def test_neither_message_nor_traceback_nor_repr_shows_a_key(tmp_path: Path) -> None:
    service = DataKey(SECRET)
    key = ProjectKey(service=service)
    write_arrays(tmp_path / "a.hfa", {"a": [1, 2]}, key=key)
    shown = [repr(service), repr(key), str(key), repr(Pseudonyms(key))]
    with open_arrays(tmp_path / "a.hfa", key=key) as arrays:
        shown += [repr(arrays), repr(arrays["a"]), repr(arrays._place)]
    for wrong in (lambda: service.unwrap(b"x" * 60, b""), lambda: DataKey.parse(f"holdfast:{SECRET.hex()}", where="x")):
        with pytest.raises(HoldfastError) as caught:
            wrong()
        shown.append("".join(traceback.format_exception(caught.value)))
    for form in (SECRET.hex(), SECRET.hex().upper(), repr(SECRET), str(list(SECRET))):
        assert not [text for text in shown if form in text]


@given(st.binary(max_size=80))
def test_random_bytes_are_no_wrapped_key(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        DataKey(SECRET).unwrap(data, b"table/loans")


def test_keys_for_two_purposes_have_nothing_in_common() -> None:
    derived = {DataKey(SECRET).derive(purpose) for purpose in ("holdfast-wrap-1", "holdfast-pseudonyms-1/a", "a")}
    assert len(derived) == 3
    assert SECRET not in derived


# Key files and the environment


def test_a_key_file_is_for_its_owner_and_comes_back_as_it_was(tmp_path: Path) -> None:
    key = DataKey.generate()
    key.save(tmp_path / "new" / "data.key")
    assert (tmp_path / "new" / "data.key").stat().st_mode & 0o777 == 0o600
    assert DataKey.load(tmp_path / "new" / "data.key").name == key.name
    with pytest.raises(UsageError, match="never overwritten"):
        key.save(tmp_path / "new" / "data.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o777])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    DataKey.generate().save(tmp_path / "data.key")
    (tmp_path / "data.key").chmod(mode)
    with pytest.raises(CredentialError, match=f"mode {mode:04o}"):
        DataKey.load(tmp_path / "data.key")


def test_a_loose_key_file_behind_a_link_is_refused_too(tmp_path: Path) -> None:
    DataKey.generate().save(tmp_path / "data.key")
    (tmp_path / "data.key").chmod(0o644)
    (tmp_path / "link").symlink_to(tmp_path / "data.key")
    with pytest.raises(CredentialError, match="others than its owner"):
        DataKey.load(tmp_path / "link")


MALFORMED = ["", "x", "5a" * 32, "holdfast-data-key-1:", "holdfast-data-key-1:" + "5A" * 32]
MALFORMED += [
    "holdfast-data-key-2:" + "5a" * 32,
    "holdfast-data-key-1:" + "5a" * 31,
    "holdfast-data-key-1:" + "5a" * 33,
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_key_is_refused_without_being_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "data.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match="expected a data key in") as caught:
        find_key(f"file:{path}")
    assert "5a5a" not in str(caught.value).lower()
    monkeypatch.setenv("HOLDFAST_DATA_KEY", text)
    expected = InputError if text else CredentialError
    with pytest.raises(expected, match="HOLDFAST_DATA_KEY") as caught:
        find_key("env:HOLDFAST_DATA_KEY")
    assert "5a5a" not in str(caught.value).lower()


def test_one_key_is_found_in_a_file_and_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").mkdir()
    DataKey(SECRET).save(tmp_path / "keys" / "data.key")
    monkeypatch.setenv("HOLDFAST_DATA_KEY", (tmp_path / "keys" / "data.key").read_text())
    found = [
        find_key("keys/data.key", folder=tmp_path),
        find_key("file:keys/data.key", folder=tmp_path),
        find_key(f"file:{tmp_path}/keys/data.key", folder=Path("/elsewhere")),
        find_key("env:HOLDFAST_DATA_KEY"),
    ]
    assert {key.id("table") for key in found} == {f"{DataKey(SECRET).name}/table/default"}
    assert find_key("env:HOLDFAST_DATA_KEY#claims").project == "claims"
    monkeypatch.chdir(tmp_path)
    source = seen_from("file:keys/data.key#claims", tmp_path / "project")
    assert source == "file:../keys/data.key#claims"
    assert find_key(source, folder=tmp_path / "keys").project == "claims"
    assert seen_from("env:HOLDFAST_DATA_KEY#a", tmp_path) == "env:HOLDFAST_DATA_KEY#a"


def test_a_token_is_needed_for_vault(monkeypatch: pytest.MonkeyPatch, mount: str) -> None:
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    with pytest.raises(CredentialError, match="VAULT_TOKEN"):
        find_key(f"vault:{mount}/one")
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    key = find_key(f"vault:{mount}/one#claims")
    assert (key.id("array"), key.unwrap(key.wrap(DATA_KEY, "array"), "array", Path("x"))) == (
        "vault:one/array/claims",
        DATA_KEY,
    )


@pytest.mark.parametrize("source", ["", "file:", "env:", "http://x", "vault:", "#loans", "s3:bucket/key"])
def test_a_source_that_is_none_is_refused(source: str) -> None:
    with pytest.raises((UsageError, InputError, SystemFault, CredentialError)):
        find_key(source)


@pytest.mark.parametrize("project", ["", "Loans", "a/b", "a b", "-a", "x" * 101, "a\n", "é"])
def test_a_project_whose_name_could_be_taken_for_another_is_refused(project: str) -> None:
    with pytest.raises(UsageError, match="expected a project"):
        ProjectKey(service=DataKey(SECRET), project=project)


def test_a_folder_or_no_file_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file there"):
        DataKey.load(tmp_path / "absent")
    with pytest.raises(SystemFault, match="it is a folder"):
        DataKey.load(tmp_path)
    with pytest.raises(UsageError, match="32 bytes"):
        DataKey(b"short")


# A wrapped key is for one kind of file of one project


def test_a_key_of_another_project_kind_or_master_is_told_apart(key: ProjectKey, other_key: ProjectKey) -> None:
    wrapped = key.wrap(DATA_KEY, "table")
    assert key.unwrap(wrapped, "table", Path("x")) == DATA_KEY
    with pytest.raises(IntegrityError, match="expected a file of array/loans at x, got one of 'table/loans'"):
        key.unwrap(wrapped, "array", Path("x"))
    with pytest.raises(CredentialError, match="x is encrypted under 'data-key:"):
        other_key.unwrap(wrapped, "table", Path("x"))


def test_a_key_id_that_lies_does_not_help(key: ProjectKey, other_project: ProjectKey, other_key: ProjectKey) -> None:
    wrapped = key.wrap(DATA_KEY, "table").wrapped
    for reader in (other_project, other_key):
        lying = WrappedKey(key_id=reader.id("table"), wrapped=wrapped)
        with pytest.raises(IntegrityError, match="wrapped for something else"):
            reader.unwrap(lying, "table", Path("x"))


def test_a_data_key_of_another_length_is_refused(key: ProjectKey) -> None:
    with pytest.raises(IntegrityError, match="32 bytes"):
        key.unwrap(key.wrap(bytes(16), "table"), "table", Path("x"))


# Vault


def test_vault_says_no_in_one_sentence(mount: str) -> None:
    with pytest.raises(CredentialError, match="does not let this token encrypt with 'one'"):
        VaultTransit(mount, "one", token="wrong").wrap(DATA_KEY, b"")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/v1/transit"
        with pytest.raises(SystemFault, match="cannot be reached"):
            VaultTransit(closed, "one", token=TOKEN).wrap(DATA_KEY, b"")


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"data": {"ciphertext": 1, "plaintext": 1}}', b"[" * 10_000, b" " * 100_000]
)
def test_an_answer_that_is_none_of_vaults_is_refused(answer: bytes) -> None:
    with vault(answer=answer) as url:
        service = VaultTransit(url, "one", token=TOKEN)
        asking: tuple[Callable[[], bytes], ...] = (
            lambda: service.wrap(DATA_KEY, b""),
            lambda: service.unwrap(b"vault:v1:eHh4", b""),
        )
        with pytest.raises(WireError, match="expected an answer"):
            asking[0]()
        with pytest.raises((WireError, IntegrityError)):
            asking[1]()


@pytest.mark.parametrize(
    "url", ["http://vault.example/v1/transit", "https://user:word@vault.example/v1", "ftp://x", "", "https://", "x"]
)
def test_an_address_that_would_show_the_token_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="expected Vault's transit engine as https"):
        VaultTransit(url, "one", token=TOKEN)


@pytest.mark.parametrize("name", ["", "a/b", "../sys", "a?b", "x" * 101])
def test_a_key_name_that_could_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="the name of a key"):
        VaultTransit("https://vault.example/v1/transit", name, token=TOKEN)


def test_two_new_keys_differ() -> None:
    assert DataKey.generate().name != DataKey.generate().name
