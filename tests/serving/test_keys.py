"""Clients' keys: checked part by part, shared by processes, bounded on the disk and in memory, never trusted."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from tests.serving.service_kit import POLICY, Kit, Place

from holdfast import limits
from holdfast.custody import Bundle
from holdfast.errors import WireError
from holdfast.private_inference import ClientKeys, Evaluator, KeySet, PrivateSession
from holdfast.serving import Service, UnknownKeyError
from holdfast.serving.key_files import KeyFiles
from holdfast.serving.keyring import KeyRing

DIGESTS = [f"sha256:{number:064x}" for number in range(9)]


@pytest.fixture
def ring(tmp_path: Path, kit: Kit) -> KeyRing:
    return KeyRing(KeyFiles(tmp_path / "keys"), evaluator=Evaluator(kit.plan))


def upload(ring: KeyRing, client: str, keys: KeySet) -> None:
    for index in ring.begin(client, keys.digest, keys.manifest):
        ring.put(client, keys.digest, index=index, part=keys.parts[index])


def new_keys(kit: Kit) -> KeySet:
    return PrivateSession(kit.plan.public).keys("row")


def test_a_key_set_that_is_uploaded_is_there_for_its_client_alone(ring: KeyRing, kit: Kit) -> None:
    keys = new_keys(kit)
    with pytest.raises(UnknownKeyError, match="expected the digest of keys that were uploaded"):
        ring.missing("a", keys.digest)
    assert ring.begin("a", keys.digest, keys.manifest) == tuple(range(len(keys.parts)))
    with pytest.raises(UnknownKeyError, match=r"expected all \d+ parts of the keys .*, 1 are not here"):
        ring.get("a", keys.digest)
    upload(ring, "a", keys)
    assert ring.missing("a", keys.digest) == ()
    assert ring.get("a", keys.digest).digest == keys.digest
    with pytest.raises(UnknownKeyError):
        ring.get("b", keys.digest)


def test_what_is_no_part_of_the_key_set_is_not_kept(ring: KeyRing, kit: Kit, tmp_path: Path) -> None:
    keys, others = new_keys(kit), new_keys(kit)
    with pytest.raises(WireError, match="got the manifest of"):
        ring.begin("a", DIGESTS[0], keys.manifest)
    assert not (tmp_path / "keys").exists()
    ring.begin("a", keys.digest, keys.manifest)
    for index, part in [(0, others.parts[0]), (0, keys.parts[0][:-1]), (1, keys.parts[0]), (0, b"")]:
        with pytest.raises(WireError):
            ring.put("a", keys.digest, index=index, part=part)
    with pytest.raises(UnknownKeyError):
        ring.put("a", others.digest, index=0, part=others.parts[0])
    assert ring.missing("a", keys.digest) == (0,)


@pytest.mark.parametrize("digest", ["", "sha256:0", "sha256:" + "G" * 64, "../../etc", "sha256:" + "0" * 63 + "/"])
def test_what_is_no_digest_is_refused(ring: KeyRing, digest: str) -> None:
    for act in (lambda: ring.missing("a", digest), lambda: ring.get("a", digest)):
        with pytest.raises(WireError, match="expected a digest of keys"):
            act()


def test_another_process_finds_the_keys_and_so_does_a_restart(tmp_path: Path, bundle: Bundle, kit: Kit) -> None:
    place = Place.open(tmp_path, bundle)
    folder = tmp_path / "keys"
    first, second = (
        Service(bundle, policy=POLICY, store=place.store, audit=place.audit, keys=folder) for _ in range(2)
    )
    client = first.authenticate(place.client())
    session = PrivateSession(kit.plan.public)
    keys = session.keys("row")
    for index in first.begin_keys(client, keys.manifest, digest=keys.digest):
        first.upload_key(client, keys.parts[index], digest=keys.digest, index=index)
    answer = second.private_infer(client, session.encrypt(kit.fresh.X[:1]))
    assert abs(session.decrypt(answer.data).scores - kit.model.scores(kit.fresh.X[:1])) <= 2**-20
    first.close()
    second.close()
    third = Service(bundle, policy=POLICY, store=place.store, audit=place.audit, keys=folder)
    assert third.missing_keys(client, digest=keys.digest) == ()
    third.close()
    place.close()


def test_keys_without_a_folder_end_with_the_service(tmp_path: Path, bundle: Bundle, kit: Kit) -> None:
    place = Place.open(tmp_path, bundle)
    client, keys = place.service.authenticate(place.client()), new_keys(kit)
    place.service.begin_keys(client, keys.manifest, digest=keys.digest)
    folder = place.service._desk.keys._files._folder  # type: ignore[union-attr]
    assert folder.exists()
    place.close()
    assert not folder.exists()


def test_keys_that_were_damaged_on_the_disk_are_asked_for_again(tmp_path: Path, kit: Kit) -> None:
    """Truncated, one bit flipped, or replaced by another client's: what is read back is checked like an upload."""
    evaluator = Evaluator(kit.plan)
    for damage in (
        lambda data: data[:-1],
        lambda data: bytes([data[0]]) + bytes([data[1] ^ 1]) + data[2:],
        lambda data: new_keys(kit).parts[0],
        lambda data: b"",
    ):
        keys, ring = new_keys(kit), KeyRing(KeyFiles(tmp_path / "keys"), evaluator=evaluator)
        upload(ring, "a", keys)
        (path,) = (tmp_path / "keys").glob(f"*/{keys.digest[7:]}/0")
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(UnknownKeyError, match="damaged on the disk"):
            ring.get("a", keys.digest)
        with pytest.raises(UnknownKeyError, match="expected the digest of keys that were uploaded"):
            ring.get("a", keys.digest)
        upload(ring, "a", keys)
        assert ring.get("a", keys.digest).digest == keys.digest


def test_only_the_owner_may_read_the_keys(tmp_path: Path, kit: Kit, ring: KeyRing) -> None:
    upload(ring, "a", new_keys(kit))
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "keys").glob("*/*/*"))


def used(folder: Path, client: str, digest: str, *, at: float) -> None:
    for path in (KeyFiles(folder)._place(client, digest)).iterdir():
        os.utime(path, (at, at))


def kept(folder: Path, client: str) -> set[str]:
    return {digest for digest in DIGESTS if KeyFiles(folder).manifest(client, digest) is not None}


def test_of_too_many_keys_of_a_client_the_one_used_longest_ago_goes(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path)
    for number in range(limits.MAX_KEYS_PER_CLIENT):
        files.begin("a", DIGESTS[number], b"manifest")
        used(tmp_path, "a", DIGESTS[number], at=1_000.0 + number)
    files.begin("b", DIGESTS[8], b"another client's")
    used(tmp_path, "b", DIGESTS[8], at=1.0)
    files.touch("a", DIGESTS[0])
    files.begin("a", DIGESTS[7], b"manifest")
    assert kept(tmp_path, "a") == {*DIGESTS[: limits.MAX_KEYS_PER_CLIENT], DIGESTS[7]} - {DIGESTS[1]}
    assert kept(tmp_path, "b") == {DIGESTS[8]}


def test_a_client_that_uploads_more_bytes_than_it_may_loses_its_own_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_KEY_BYTES_PER_CLIENT", 1_000)
    files = KeyFiles(tmp_path)
    files.begin("b", DIGESTS[0], b"x" * 900)
    for number in range(3):
        files.begin("a", DIGESTS[number], b"m")
        files.put("a", DIGESTS[number], index=0, part=b"x" * 600)
        used(tmp_path, "a", DIGESTS[number], at=float(number))
    assert kept(tmp_path, "a") == {DIGESTS[2]}
    assert kept(tmp_path, "b") == {DIGESTS[0]}


def test_all_keys_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KEY_STORE_BYTES", 2_000)
    files = KeyFiles(tmp_path)
    for number, client in enumerate("abcde"):
        files.begin(client, DIGESTS[0], b"x" * 900)
        used(tmp_path, client, DIGESTS[0], at=float(number))
    assert [client for client in "abcde" if kept(tmp_path, client)] == ["d", "e"]


class Weighed:
    """Key sets of a known weight, in place of real ones: the ring looks at nothing else."""

    def read_manifest(self, data: bytes) -> Any:
        return type("Manifest", (), {"digest": data.decode(), "parts": ()})()

    def load_keys(self, manifest: bytes, parts: Any) -> Any:
        return ClientKeys(
            digest=manifest.decode(),
            layout="row",
            memory_bytes=100,
            public=None,  # type: ignore[arg-type]
            evaluation=None,  # type: ignore[arg-type]
        )


def test_memory_holds_the_keys_used_last_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PREPARED_KEY_BYTES", 350)
    ring = KeyRing(KeyFiles(tmp_path), evaluator=Weighed())  # type: ignore[arg-type]
    for number in range(20):
        ring.begin(f"client {number}", DIGESTS[1], DIGESTS[1].encode())
        assert ring.get(f"client {number}", DIGESTS[1]).digest == DIGESTS[1]
        assert sum(keys.memory_bytes for keys in ring._ready.values()) <= 350
    assert [client for client, _ in ring._ready] == ["client 17", "client 18", "client 19"]
    assert ring.get("client 0", DIGESTS[1]).digest == DIGESTS[1]  # from the disk


def _write_many(folder: Path, client: str) -> None:
    files = KeyFiles(folder)
    for turn in range(15):
        digest = DIGESTS[turn % 3]
        files.begin(client, digest, client.encode() * 100)
        files.put(client, digest, index=0, part=client.encode() * 1_000)
        assert files.manifest(client, digest) in (client.encode() * 100, None)
        if turn % 5 == 4:
            files.drop(client, digest)


def test_processes_may_write_and_drop_at_the_same_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(tmp_path, name)) for name in ("a", "a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    for path in tmp_path.glob("*/*/manifest"):
        assert len(path.read_bytes()) == 100
