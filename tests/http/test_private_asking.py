"""Asking under encryption over a real socket: keys uploaded in parts and kept encrypted, and many clients at once."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serving.service_kit import Kit, Place

from holdfast import limits
from holdfast.custody import Bundle
from holdfast.data import Feature, Schema
from holdfast.errors import CredentialError, DataError, InputError, SystemFault, UsageError, WireError
from holdfast.http import Client, KeySafe, create_app, read_images, running
from holdfast.http.connection import Connection
from holdfast.http.inputs import SchemaInputs
from holdfast.private_inference import compile_private
from holdfast.serving import read_audit

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase that is quick to try, for tests that open many files."""
    monkeypatch.setattr("holdfast.http.key_safe._COST", 2**10)


@pytest.fixture
def safe(tmp_path: Path, cheap: None) -> KeySafe:
    return KeySafe(folder=tmp_path / "keys", passphrase=PASSPHRASE)


def uploads(live: Any) -> int:
    return sum(entry.action == "begin keys" for entry in read_audit(live.place.store, newest=100_000))


def test_keys_that_are_kept_are_not_uploaded_again(live: Any, safe: KeySafe) -> None:
    X, token, before = live.kit.fresh.X[:2], live.token(), uploads(live)
    for _ in range(3):
        with Client(live.url, token, keys=safe) as client:
            assert len(client.predict(X, private=True)) == 2
    assert uploads(live) == before + 1
    (path,) = safe.folder.iterdir()
    assert (path.stat().st_mode & 0o777, safe.folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_file_of_kept_keys_does_not_hold_the_secret(live: Any, safe: KeySafe) -> None:
    with live.client(keys=safe) as client:
        client.predict(live.kit.fresh.X[:1], private=True)
        secret = client._private_line()._session.secret_bytes()
    (path,) = safe.folder.iterdir()
    data = path.read_bytes()
    assert secret not in data
    assert secret.hex().encode() not in data
    assert b"digest" not in data
    assert safe.open(live.kit.plan.public)[0].secret_bytes() == secret
    assert PASSPHRASE not in repr(safe)


def test_kept_keys_open_with_their_passphrase_and_for_their_plan_alone(
    live: Any, safe: KeySafe, tmp_path: Path
) -> None:
    with live.client(keys=safe) as client:
        client.predict(live.kit.fresh.X[:1], private=True)
    (path,) = safe.folder.iterdir()
    whole, plan = path.read_bytes(), live.kit.plan.public
    with pytest.raises(CredentialError, match="do not open: another passphrase"):
        KeySafe(folder=safe.folder, passphrase="another").open(plan)
    for position in range(5, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(CredentialError):
            safe.open(plan)
    for data in (b"", b"PK\x03\x04", whole[:20]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="expected a file of client keys"):
            safe.open(plan)
    path.unlink()
    (safe.folder / path.name).write_bytes(whole)
    other = compile_private(live.kit.model).public  # with a salt of its own
    shutil.copy(path, safe._path(other))
    with pytest.raises(CredentialError):
        safe.open(other)


@pytest.mark.parametrize("passphrase", ["", "x" * 1_001])
def test_a_passphrase_that_cannot_be_one_is_refused(tmp_path: Path, passphrase: str) -> None:
    with pytest.raises(UsageError, match="expected a passphrase of 1 to 1000 bytes"):
        KeySafe(folder=tmp_path, passphrase=passphrase)


def test_an_upload_that_breaks_off_goes_on_where_it_was(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection fails once for a part of the keys; the client asks what is missing and sends that."""
    ask, sent = Connection.ask, []

    def unreliable(self: Connection, method: str, path: str, content: bytes | None = None, **options: Any) -> bytes:
        sent.append((method, path.rpartition("/")[2][:6]))
        if method == "PUT" and path.endswith("/0") and sent.count((method, "0")) == 1:
            raise SystemFault("the cable was pulled")
        return ask(self, method, path, content, **options)

    monkeypatch.setattr(Connection, "ask", unreliable)
    with live.client() as client:
        assert len(client.predict(live.kit.fresh.X[:1], private=True)) == 1
    assert sent[-5:] == [("PUT", "sha256"), ("PUT", "0"), ("GET", "sha256"), ("PUT", "0"), ("POST", "infer")]


def test_an_upload_that_never_gets_through_is_told(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, tries = Connection.ask, []

    def broken(self: Connection, method: str, path: str, content: bytes | None = None, **options: Any) -> bytes:
        if path.endswith("/0"):
            tries.append(path)
            raise SystemFault("the cable was pulled")
        return ask(self, method, path, content, **options)

    monkeypatch.setattr(Connection, "ask", broken)
    with live.client() as client, pytest.raises(SystemFault, match="cable"):
        client.predict(live.kit.fresh.X[:1], private=True)
    assert len(tries) == 3


@pytest.mark.parametrize("missing", [None, {}, {"missing": 3}, {"missing": [7]}, {"missing": ["0"]}, {"missing": [[]]}])
def test_a_service_cannot_ask_for_keys_that_are_not_there(
    live: Any, monkeypatch: pytest.MonkeyPatch, missing: Any
) -> None:
    ask = Connection.ask

    def lying(self: Connection, method: str, path: str, content: bytes | None = None, **options: Any) -> bytes:
        if "/keys/" in path:
            return json.dumps(missing).encode()
        return ask(self, method, path, content, **options)

    monkeypatch.setattr(Connection, "ask", lying)
    with live.client() as client, pytest.raises(WireError, match="expected a list of parts of the keys"):
        client.predict(live.kit.fresh.X[:1], private=True)


def test_twenty_clients_with_keys_of_their_own_are_answered_in_bounded_memory(
    tmp_path: Path, bundle: Bundle, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for the keys of three: all twenty are answered, again and again, and no more than three stay."""
    place, X = Place.open(tmp_path, bundle), kit.fresh.X
    with running(create_app(place.service)) as url:
        with Client(url, place.client("first")) as client:
            client.predict(X[:1], private=True)
        ring = place.service._desk.keys  # type: ignore[union-attr]
        (weight,) = (keys.memory_bytes for keys in ring._ready.values())
        monkeypatch.setattr(limits, "MAX_PREPARED_KEY_BYTES", 3 * weight)
        expected, most = kit.model.scores(X[:3]), []
        tokens = [place.client(f"client {number}") for number in range(20)]

        def work(token: str) -> bool:
            near = []
            with Client(url, token) as client:
                for _ in range(3):
                    near.append(np.abs(client.ask_private(X[:3]).scores - expected).max() <= 2**-20)
                    most.append(len(ring._ready))
            return all(near)

        with ThreadPoolExecutor(20) as pool:
            assert list(pool.map(work, tokens)) == [True] * 20
    assert max(most) <= 3
    assert len([entry for entry in read_audit(place.store, newest=1_000) if entry.action == "private infer"]) == 61
    place.close()


def test_a_large_query_is_taken_where_its_length_is_announced(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a request were small and the query a batch: two are received at a time, the others wait their turn."""
    with live.client() as client:
        client.predict(live.kit.fresh.X[:1], private=True)
        monkeypatch.setattr("holdfast.http.body.MAX_REQUEST_BYTES", 1_000)
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda _: client.ask_private(live.kit.fresh.X[:1]).scores, range(4))
            assert all(np.abs(scores - live.kit.model.scores(live.kit.fresh.X[:1])) <= 2**-20 for scores in answers)
        query = client._private_line()._session.encrypt(live.kit.fresh.X[:1])
        headers = {"Content-Type": "application/octet-stream"}
        with live.http() as http:
            unannounced = http.post("/v2/models/tumour/private/infer", content=iter([query]), headers=headers)
    assert unannounced.status_code == 413


# Bad rows are refused before anything is sent.


@pytest.fixture
def asked(live: Any) -> Iterator[Client]:
    with live.client() as client:
        client.predict(live.kit.fresh.X[:1], private=True)
        before = len(read_audit(live.place.store, newest=100_000))
        yield client
        assert len(read_audit(live.place.store, newest=100_000)) == before


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9, -1e9])
def test_a_row_outside_the_schema_is_not_encrypted(live: Any, asked: Client, value: float) -> None:
    X = live.kit.fresh.X[:2].copy()
    X[1, 3] = value
    with pytest.raises(DataError, match="mean area"):
        asked.predict(X, private=True)


def test_rows_of_another_width_or_none_are_not_encrypted(live: Any, asked: Client) -> None:
    for X in (live.kit.fresh.X[:2, :29], np.zeros((0, 30)), np.array([["a"] * 30])):
        with pytest.raises(DataError):
            asked.predict(X, private=True)


# Pictures.

PIXELS = SchemaInputs(
    Schema(
        features=tuple(Feature(name=f"pixel {i}", kind="real", low=0, high=1) for i in range(12)),
        target="kind",
        classes=("a", "b"),
    )
).pixels


def test_pictures_become_rows_in_the_range_of_the_features(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 23
    Image.fromarray(grey).save(tmp_path / "b.png")
    Image.fromarray(255 - grey).save(tmp_path / "a.png")
    np.savez(tmp_path / "many.npz", np.stack([255 - grey, grey]))
    np.savez(tmp_path / "floats.npz", np.stack([255 - grey, grey]) / 255)
    row = grey.ravel() / 255
    assert np.allclose(read_images(tmp_path / "b.png", PIXELS), [row])
    for several in (tmp_path, tmp_path / "many.npz", tmp_path / "floats.npz"):
        assert np.allclose(read_images(several, PIXELS), [1 - row, row])
    assert np.allclose(PIXELS.rows(grey[None]), [row])


def test_colours_come_channel_by_channel(tmp_path: Path) -> None:
    colours = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20
    Image.fromarray(colours).save(tmp_path / "c.png")
    assert np.allclose(read_images(tmp_path / "c.png", PIXELS)[0], colours.transpose(2, 0, 1).ravel() / 255)


def test_what_is_no_picture_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.npz").write_text("no archive")
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(tmp_path / "large.png")
    whole = (tmp_path / "large.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "two.npz", np.zeros((1, 12)), np.ones(3))
    np.savez(tmp_path / "texts.npz", np.array(["a"] * 12))
    np.savez(tmp_path / "objects.npz", np.array([{}] * 12, dtype=object))
    (tmp_path / "empty").mkdir()
    for name in (
        "text.png",
        "text.npz",
        "half.png",
        "two.npz",
        "texts.npz",
        "objects.npz",
        "gone.png",
        "gone.npz",
        "empty",
    ):
        with pytest.raises(InputError, match="expected"):
            read_images(tmp_path / name, PIXELS)
    with pytest.raises(DataError, match="expected pictures of 12 values"):
        read_images(tmp_path / "large.png", PIXELS)
    monkeypatch.setattr("holdfast.http.images.MAX_PIXELS", 24)
    with pytest.raises(InputError, match="at most 24 pixels"):
        read_images(tmp_path / "large.png", PIXELS)


def test_an_archive_that_unpacks_to_anything_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(10**6))
    monkeypatch.setattr("holdfast.http.images.MAX_TABLE_BYTES", 10**5)
    with pytest.raises(InputError, match="larger ones"):
        read_images(tmp_path / "bomb.npz", PIXELS)
