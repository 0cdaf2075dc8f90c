"""The three messages of private inference as bytes: key, query, answer. One encoding per value; docs/wire-format.md.

    header    "HFPI", version 1, kind, parameter set 1, 0
    fields    by kind, little-endian
    checksum  SHA-256 of all before it

The checksum finds accidents. It is no authentication: whoever changes a message can compute it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import WireError
from holdfast.he import ANSWER_PRIMES, EXACT_8192, SEED_BYTES, Answer
from holdfast.private_inference.layout import Layout

VERSION: Final = 1
KEY, QUERY, ANSWER = 1, 2, 3

_MAGIC: Final = b"HFPI"
_PARAMETER_SET: Final = 1
_HEADER_BYTES: Final = 8
_DIGEST_BYTES: Final = 32
_RESIDUE_BYTES: Final = 4
_BODY_BYTES: Final = len(EXACT_8192.primes) * EXACT_8192.degree * _RESIDUE_BYTES
_NAMES: Final = {KEY: "public key", QUERY: "query", ANSWER: "answer"}
_QUERY_FIXED_BYTES: Final = _HEADER_BYTES + 2 * _DIGEST_BYTES + 4 + SEED_BYTES + _DIGEST_BYTES


@dataclass(frozen=True, eq=False, kw_only=True)
class KeyMessage:
    """A public key: the seed of its uniform half, and its body."""

    seed: bytes
    body: NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class QueryHeader:
    """What a query says of itself before its ciphertexts are looked at. Digests are `sha256:…`."""

    plan_digest: str
    key_digest: str
    n_rows: int


@dataclass(frozen=True, eq=False, kw_only=True)
class QueryMessage:
    """A query: its header, the seed of its ciphertexts' uniform halves, and their bodies."""

    header: QueryHeader
    seed: bytes
    bodies: tuple[NDArray[np.int64], ...] = field(repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class AnswerMessage:
    """An answer: the query's header, the query's checksum, and for each ciphertext an answer for each part."""

    header: QueryHeader
    query_checksum: str
    answers: tuple[Answer, ...] = field(repr=False)


def encode_key(message: KeyMessage) -> bytes:
    """A public key as bytes."""
    return _sealed(KEY, [message.seed, _packed(message.body)])


def decode_key(data: bytes) -> KeyMessage:
    """The inverse of `encode_key`.

    Raises:
        WireError: the bytes are not exactly one public key.
    """
    reader = _Reader(data, KEY)
    reader.expect_size(_HEADER_BYTES + SEED_BYTES + _BODY_BYTES + _DIGEST_BYTES)
    reader.verify_checksum()
    return KeyMessage(seed=reader.take(SEED_BYTES), body=reader.body())


def encode_query(message: QueryMessage) -> bytes:
    """A query as bytes."""
    return _sealed(QUERY, [*_header_fields(message.header), message.seed, *map(_packed, message.bodies)])


def checksum(query: bytes) -> str:
    """The checksum that ends a query, as `sha256:…`; answers name the query by it."""
    return "sha256:" + query[-_DIGEST_BYTES:].hex()


def decode_query_header(data: bytes) -> QueryHeader:
    """The header of a query; its ciphertexts and its checksum are not looked at.

    Raises:
        WireError: the bytes do not begin like a query.
    """
    return _Reader(data, QUERY).header()


def check_size(query: bytes, header: QueryHeader, layout: Layout) -> None:
    """Refuse a query whose number of rows is out of bounds, or is not what its size bears out.

    Raises:
        WireError: it is so.
    """
    if not 1 <= header.n_rows <= layout.max_rows:
        raise WireError(f"expected a query of 1 to {layout.max_rows} rows, got {header.n_rows}")
    size = _QUERY_FIXED_BYTES + layout.n_ciphertexts(header.n_rows) * _BODY_BYTES
    if len(query) != size:
        raise WireError(f"expected a query of {size} bytes for {header.n_rows} rows, got {len(query)}")


def decode_query(data: bytes, layout: Layout) -> QueryMessage:
    """The inverse of `encode_query`, for the model of a layout.

    Raises:
        WireError: the bytes are not exactly one query of one to `max_rows` rows.
    """
    reader = _Reader(data, QUERY)
    header = reader.header()
    check_size(data, header, layout)
    reader.verify_checksum()
    seed = reader.take(SEED_BYTES)
    return QueryMessage(
        header=header, seed=seed, bodies=tuple(reader.body() for _ in range(layout.n_ciphertexts(header.n_rows)))
    )


def encode_answer(message: AnswerMessage) -> bytes:
    """An answer as bytes."""
    fields = [*_header_fields(message.header), _raw(message.query_checksum)]
    for answer in message.answers:
        fields += [_packed(answer.revealed), _packed(answer.second)]
    return _sealed(ANSWER, fields)


def decode_answer_query_checksum(data: bytes) -> str:
    """The checksum of the query that an answer is to; the rest of it is not looked at.

    Raises:
        WireError: the bytes do not begin like an answer.
    """
    reader = _Reader(data, ANSWER)
    reader.header()
    return reader.digest()


def decode_answer(data: bytes, layout: Layout, *, n_rows: int) -> AnswerMessage:
    """The inverse of `encode_answer`, for the layout and the rows of the query that it answers.

    Raises:
        WireError: the bytes are not exactly one answer to that many rows.
    """
    reader = _Reader(data, ANSWER)
    sizes = outputs(layout, n_rows=n_rows)
    residues = ANSWER_PRIMES * (sum(sizes) + len(sizes) * EXACT_8192.degree)
    reader.expect_size(_HEADER_BYTES + 4 * _DIGEST_BYTES + 4 + residues * _RESIDUE_BYTES)
    reader.verify_checksum()
    header, query_checksum = reader.header(), reader.digest()
    if header.n_rows != n_rows:
        raise WireError(f"expected an answer to {n_rows} rows, got one to {header.n_rows}")
    answers = tuple(
        Answer(
            revealed=reader.residues(ANSWER_PRIMES, size),
            second=reader.residues(ANSWER_PRIMES, EXACT_8192.degree),
        )
        for size in sizes
    )
    return AnswerMessage(header=header, query_checksum=query_checksum, answers=answers)


def outputs(layout: Layout, *, n_rows: int) -> list[int]:
    """Revealed coefficients of each answer, in the order of the wire: by ciphertext, then by part."""
    rows = [layout.rows_of(i, n_rows=n_rows) for i in range(layout.n_ciphertexts(n_rows))]
    scores = [layout.scores_of(part) for part in range(layout.n_parts)]
    return [(row.stop - row.start) * (score.stop - score.start) for row in rows for score in scores]


class _Reader:
    """Reads one message from front to back, with each check before the bytes are used."""

    def __init__(self, data: bytes, kind: int) -> None:
        self._data, self._name, self._at = data, _NAMES[kind], _HEADER_BYTES
        if len(data) < _HEADER_BYTES + _DIGEST_BYTES or data[:4] != _MAGIC:
            raise WireError(f"expected a {self._name} of private inference, got {len(data)} bytes of something else")
        if data[4] != VERSION:
            raise WireError(f"expected a {self._name} in version {VERSION} of the wire format, got version {data[4]}")
        if data[5] != kind:
            raise WireError(f"expected a {self._name}, got a {_NAMES.get(data[5], 'message of an unknown kind')}")
        if data[6] != _PARAMETER_SET or data[7] != 0:
            raise WireError(f"expected a {self._name} under parameter set {_PARAMETER_SET}, got {data[6]}, {data[7]}")

    def expect_size(self, size: int) -> None:
        if len(self._data) != size:
            raise WireError(f"expected a {self._name} of {size} bytes, got {len(self._data)}")

    def verify_checksum(self) -> None:
        if hashlib.sha256(memoryview(self._data)[:-_DIGEST_BYTES]).digest() != self._data[-_DIGEST_BYTES:]:
            raise WireError(f"the {self._name} was damaged on its way: its checksum does not match")

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise WireError(f"the {self._name} is cut off")
        self._at += size
        return piece

    def digest(self) -> str:
        return "sha256:" + self.take(_DIGEST_BYTES).hex()

    def header(self) -> QueryHeader:
        plan_digest, key_digest = self.digest(), self.digest()
        n_rows = int.from_bytes(self.take(4), "little")
        return QueryHeader(plan_digest=plan_digest, key_digest=key_digest, n_rows=n_rows)

    def body(self) -> NDArray[np.int64]:
        return self.residues(len(EXACT_8192.primes), EXACT_8192.degree)

    def residues(self, n_primes: int, size: int) -> NDArray[np.int64]:
        words = np.frombuffer(self.take(n_primes * size * _RESIDUE_BYTES), dtype="<u4").reshape(n_primes, size)
        if (words >= np.array(EXACT_8192.primes[:n_primes], dtype=np.uint32)[:, None]).any():
            raise WireError(f"the {self._name} holds a residue that is not below its prime")
        return words.astype(np.int64)


def _sealed(kind: int, parts: Sequence[bytes]) -> bytes:
    data = b"".join([_MAGIC, bytes([VERSION, kind, _PARAMETER_SET, 0]), *parts])
    return data + hashlib.sha256(data).digest()


def _header_fields(header: QueryHeader) -> list[bytes]:
    return [_raw(header.plan_digest), _raw(header.key_digest), header.n_rows.to_bytes(4, "little")]


def _raw(digest: str) -> bytes:
    return bytes.fromhex(digest.removeprefix("sha256:"))


def _packed(residues: NDArray[np.int64]) -> bytes:
    return residues.astype("<u4").tobytes()
