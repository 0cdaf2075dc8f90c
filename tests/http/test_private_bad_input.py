"""What may come in place of keys and queries: each is refused in a sentence, nothing is kept, nothing stops.

Checksums are made to fit again, as whoever forges a message would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdfast.private_inference import KeySet, PrivateSession
from holdfast.private_inference.frames import DIGEST_BYTES, HEADER_BYTES, checksum

HEADERS = {"Content-Type": "application/octet-stream"}
BASE = "/v2/models/tumour/private"
DIGESTS = 2 * DIGEST_BYTES
QUERY_BODY = HEADER_BYTES + DIGESTS + 4 + 32
PART_BODY = HEADER_BYTES + DIGEST_BYTES + 4 + 32


def resealed(message: bytes) -> bytes:
    """A forged message with a checksum that fits."""
    return message[:-DIGEST_BYTES] + hashlib.sha256(message[:-DIGEST_BYTES]).digest()


def changed(message: bytes, at: int, new: bytes) -> bytes:
    return resealed(message[:at] + new + message[at + len(new) :])


@dataclass(frozen=True)
class Line:
    """A client with keys that are uploaded, and what the service holds because of it."""

    live: Any
    http: httpx.Client
    session: PrivateSession
    keys: KeySet

    def query(self) -> bytes:
        return self.session.encrypt(self.live.kit.fresh.X[:1])

    def ask(self, query: bytes) -> httpx.Response:
        return self.http.post(f"{BASE}/infer", content=query, headers=HEADERS)

    def put(self, place: str, data: bytes) -> httpx.Response:
        return self.http.put(f"{BASE}/keys/{place}", content=data, headers=HEADERS)

    def held(self) -> tuple[set[Any], set[Path]]:
        ring = self.live.place.service._desk.keys
        return set(ring._ready), {path for path in ring._files._folder.glob("*/*/*") if path.name != "lock"}


def sentence(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text[:200]
    told = answer.json()
    assert set(told) == {"error", "hint"}
    assert 10 < len(told["error"]) < 300
    assert "\n" not in told["error"]
    return str(told["error"])


@pytest.fixture(scope="module")
def uploaded(live: Any) -> Iterator[Line]:
    session = PrivateSession(live.kit.plan.public)
    with live.http(live.token(query_budget=1_000)) as http:
        line = Line(live, http, session, session.keys("row"))
        assert line.put(line.keys.digest, line.keys.manifest).json() == {"missing": list(range(len(line.keys.parts)))}
        for index, part in enumerate(line.keys.parts):
            assert line.put(f"{line.keys.digest}/{index}", part).status_code == 204
        yield line


@pytest.fixture
def line(uploaded: Line) -> Iterator[Line]:
    """Whatever a test sends: what is held stays the same, and the next query is answered."""
    assert uploaded.ask(uploaded.query()).status_code == 200
    before = uploaded.held()
    yield uploaded
    assert uploaded.held() == before
    assert uploaded.ask(uploaded.query()).status_code == 200


def test_keys_for_other_parameters_are_refused(line: Line) -> None:
    forged = changed(line.keys.manifest, HEADER_BYTES, b"\x00" * DIGEST_BYTES)
    assert "for the parameters of this plan" in sentence(line.put(checksum(forged), forged))
    part = changed(line.keys.parts[0], HEADER_BYTES, b"\x00" * DIGEST_BYTES)
    assert "part" in sentence(line.put(f"{line.keys.digest}/0", part))


@pytest.mark.parametrize(
    ("at", "new", "told"),
    [
        (0, b"EVIL", "something else"),
        (4, b"\x01", "version"),
        (4, b"\xff", "version"),
        (5, b"\x03", "expected a key manifest, got a query"),
        (6, b"\x01", "layout"),
        (6, b"\xff", "layout"),
        (7, b"\x01", "layout"),
        (HEADER_BYTES + DIGEST_BYTES, b"\x02", "parts"),
        (HEADER_BYTES + DIGEST_BYTES, b"\xff\xff\xff\xff", "parts"),
    ],
)
def test_a_forged_manifest_is_refused(line: Line, at: int, new: bytes, told: str) -> None:
    forged = changed(line.keys.manifest, at, new)
    assert told in sentence(line.put(checksum(forged), forged))


def test_keys_that_are_not_all_there_cannot_be_used_and_are_told_apart(line: Line) -> None:
    """Incomplete keys: the service says what is missing, and a query under them is not charged."""
    session = PrivateSession(line.live.kit.plan.public)
    token = line.live.token(query_budget=1)
    keys = session.keys("row")
    with line.live.http(token) as http:
        query = session.encrypt(line.live.kit.fresh.X[:1])
        unknown = http.post(f"{BASE}/infer", content=query, headers=HEADERS)
        assert (unknown.status_code, unknown.json()["hint"]) == (409, "upload the keys again")
        assert http.get(f"{BASE}/keys/{keys.digest}").status_code == 409
        http.put(f"{BASE}/keys/{keys.digest}", content=keys.manifest, headers=HEADERS)
        assert http.get(f"{BASE}/keys/{keys.digest}").json() == {"missing": [0]}
        incomplete = http.post(f"{BASE}/infer", content=query, headers=HEADERS)
        assert incomplete.status_code == 409
        assert "expected all 1 parts" in incomplete.json()["error"]
        assert http.put(f"{BASE}/keys/{keys.digest}/0", content=keys.parts[0], headers=HEADERS).status_code == 204
        assert http.post(f"{BASE}/infer", content=query, headers=HEADERS).status_code == 200
    _forget(line, keys.digest)


def test_a_part_with_a_residue_out_of_range_is_refused(line: Line) -> None:
    """Even under a manifest that names it: what cannot be a key is never kept."""
    part = changed(line.keys.parts[0], PART_BODY, b"\xff" * 100)
    manifest = changed(line.keys.manifest, HEADER_BYTES + DIGEST_BYTES + 4, part[-DIGEST_BYTES:])
    digest = checksum(manifest)
    assert line.put(digest, manifest).status_code == 200
    assert "not below its prime" in sentence(line.put(f"{digest}/0", part))
    assert line.http.get(f"{BASE}/keys/{digest}").json() == {"missing": [0]}
    _forget(line, digest)


def test_a_part_that_is_cut_off_or_in_another_place_is_refused(line: Line) -> None:
    part = line.keys.parts[0]
    for length in (0, 4, 7, 8, 39, 40, 43, 44, 75, 76, len(part) // 2, len(part) - 33, len(part) - 1):
        sentence(line.put(f"{line.keys.digest}/0", part[:length]))
    for index in (1, 99, 10**6):
        assert "part" in sentence(line.put(f"{line.keys.digest}/{index}", part))
    for place in ("-1", "x", "0x1", "1.5"):
        assert line.put(f"{line.keys.digest}/{place}", part).status_code in (404, 405)


def test_a_query_with_a_residue_out_of_range_is_refused(line: Line) -> None:
    query = line.query()
    for at in (QUERY_BODY, QUERY_BODY + 40_000, len(query) - DIGEST_BYTES - 100):
        assert "not below its prime" in sentence(line.ask(changed(query, at, b"\xff" * 64)))


def test_a_query_of_another_level_is_refused(line: Line) -> None:
    """One prime fewer, one more: ciphertexts of another level have another size."""
    query = line.query()
    ciphertext = len(query) - QUERY_BODY - DIGEST_BYTES
    primes = line.live.kit.plan.public.layout("row").query_level
    lower = query[: QUERY_BODY + ciphertext * (primes - 1) // primes] + query[-DIGEST_BYTES:]
    higher = query[:-DIGEST_BYTES] + bytes(ciphertext // primes) + query[-DIGEST_BYTES:]
    for forged in (resealed(lower), resealed(higher)):
        assert "expected a query of" in sentence(line.ask(forged))


def test_a_query_that_ends_in_any_field_is_refused(line: Line) -> None:
    query = line.query()
    ends = [
        0,
        3,
        4,
        5,
        6,
        7,
        8,
        39,
        40,
        71,
        72,
        75,
        76,
        107,
        108,
        109,
        len(query) // 2,
        len(query) - 33,
        len(query) - 1,
    ]
    for end in ends:
        sentence(line.ask(query[:end]))
        if end >= HEADER_BYTES:
            sentence(line.ask(resealed(query[:end] + bytes(DIGEST_BYTES))))
    sentence(line.ask(query + b"\0"))


@pytest.mark.parametrize("n_rows", [0, 10_000, 2**32 - 1])
def test_a_query_of_rows_that_it_does_not_hold_is_refused(line: Line, n_rows: int) -> None:
    forged = changed(line.query(), HEADER_BYTES + DIGESTS, n_rows.to_bytes(4, "little"))
    assert "rows" in sentence(line.ask(forged))


@pytest.mark.parametrize(
    ("at", "new"), [(4, b"\x01"), (5, b"\x01"), (5, b"\x04"), (6, b"\x01"), (6, b"\x09"), (7, b"\x01")]
)
def test_a_query_with_a_forged_header_is_refused(line: Line, at: int, new: bytes) -> None:
    sentence(line.ask(changed(line.query(), at, new)))


def _forget(line: Line, digest: str) -> None:
    """Take away what a test uploaded on purpose."""
    ring = line.live.place.service._desk.keys
    for place in [place for place in ring._ready if place[1] == digest]:
        del ring._ready[place]
    for folder in ring._files._folder.glob(f"*/{digest.removeprefix('sha256:')}"):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
