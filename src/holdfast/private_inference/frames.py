"""The frame of every message, and a reader that checks before it uses. docs/wire-format.md has the whole format.

    header    "HFPI", version 2, kind, layout, 0
    fields    by kind, little-endian
    checksum  SHA-256 of all before it

The checksum finds accidents, and serves as a message's digest. It is no authentication: whoever changes a message can
compute it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import WireError
from holdfast.he import Residues, pack_bits, unpack_bits

VERSION: Final = 2
MANIFEST, KEY_PART, QUERY, ANSWER = 1, 2, 3, 4
HEADER_BYTES: Final = 8
DIGEST_BYTES: Final = 32
LAYOUTS: Final = ("row", "batch")
"""The layout's place here is its number in the header."""

_MAGIC: Final = b"HFPI"
_OCTET: Final = 8
_NAMES: Final = {MANIFEST: "key manifest", KEY_PART: "part of a key set", QUERY: "query", ANSWER: "answer"}


def seal(kind: int, layout: str, fields: Sequence[bytes]) -> bytes:
    """A message of some fields."""
    data = b"".join([_MAGIC, bytes([VERSION, kind, LAYOUTS.index(layout), 0]), *fields])
    return data + hashlib.sha256(data).digest()


def checksum(message: bytes) -> str:
    """The checksum that ends a message, as `sha256:…`; other messages name it by that."""
    return "sha256:" + message[-DIGEST_BYTES:].hex()


def raw(digest: str) -> bytes:
    """The bytes of a digest `sha256:…`."""
    return bytes.fromhex(digest.removeprefix("sha256:"))


def widths(primes: Sequence[int]) -> tuple[int, ...]:
    """Bits that a residue of each prime takes."""
    return tuple(prime.bit_length() for prime in primes)


def packed_bytes(primes: Sequence[int], degree: int) -> int:
    """Bytes of a residue of each prime for every coefficient; the degree is a multiple of 8."""
    return sum(widths(primes)) * degree // 8


def packed(residues: Residues, primes: Sequence[int]) -> bytes:
    """Residues (…, primes, degree) with the bits that each prime needs, lowest bit first."""
    return pack_bits(residues, widths(primes))


def words_bytes(width: int, size: int) -> int:
    """Bytes of `size` integers of `width` bits each, filled with zeros to a multiple of eight integers."""
    return width * -(-size // _OCTET)


def packed_words(words: NDArray[np.uint64], width: int) -> bytes:
    """Integers of `width` bits each."""
    filled = np.zeros((1, -(-len(words) // _OCTET) * _OCTET), dtype=np.uint64)
    filled[0, : len(words)] = words
    return pack_bits(filled, (width,))


class Reader:
    """Reads one message from front to back, with each check before the bytes are used."""

    def __init__(self, data: bytes, kind: int) -> None:
        self._data, self._name, self._at = data, _NAMES[kind], HEADER_BYTES
        if len(data) < HEADER_BYTES + DIGEST_BYTES or data[:4] != _MAGIC:
            raise WireError(f"expected a {self._name} of private inference, got {len(data)} bytes of something else")
        if data[4] != VERSION:
            raise WireError(
                f"expected a {self._name} in version {VERSION} of the wire format, got version {data[4]}",
                hint="use the same version of Holdfast on both sides, and seal the model again",
            )
        if data[5] != kind:
            raise WireError(f"expected a {self._name}, got a {_NAMES.get(data[5], 'message of an unknown kind')}")
        if data[6] >= len(LAYOUTS) or data[7] != 0:
            raise WireError(f"expected a {self._name} in a known layout, got {data[6]}, {data[7]}")
        self.layout = LAYOUTS[data[6]]

    def expect_size(self, size: int) -> None:
        """Refuse a message of another size."""
        if len(self._data) != size:
            raise WireError(f"expected a {self._name} of {size} bytes, got {len(self._data)}")

    def verify_checksum(self) -> None:
        """Refuse a message that was damaged."""
        if hashlib.sha256(memoryview(self._data)[:-DIGEST_BYTES]).digest() != self._data[-DIGEST_BYTES:]:
            raise WireError(f"the {self._name} was damaged on its way: its checksum does not match")

    def take(self, size: int) -> bytes:
        """The next bytes; the checksum at the end is never among them."""
        piece = self._data[self._at : self._at + size]
        if len(piece) < size or self._at + size > len(self._data) - DIGEST_BYTES:
            raise WireError(f"the {self._name} is cut off")
        self._at += size
        return piece

    def digest(self) -> str:
        """The next 32 bytes as `sha256:…`."""
        return "sha256:" + self.take(DIGEST_BYTES).hex()

    def number(self) -> int:
        """The next 4 bytes."""
        return int.from_bytes(self.take(4), "little")

    def residues(self, primes: Sequence[int], degree: int, *, count: int = 1) -> Residues:
        """The next residues (count, primes, degree), each below its prime."""
        data = self.take(count * packed_bytes(primes, degree))
        residues = unpack_bits(data, widths(primes), (count, len(primes), degree))
        if (residues >= np.array(primes, dtype=np.uint64)[:, None]).any():
            raise WireError(f"the {self._name} holds a residue that is not below its prime")
        return residues

    def words(self, width: int, size: int) -> NDArray[np.uint64]:
        """The next `size` integers of `width` bits each; what fills up to a multiple of eight is zero."""
        filled = -(-size // _OCTET) * _OCTET
        words: NDArray[np.uint64] = unpack_bits(self.take(words_bytes(width, size)), (width,), (1, filled))[0]
        if words[size:].any():
            raise WireError(f"the {self._name} has bits set where there is filling")
        return words[:size]
