"""Randomness: a keyed stream cipher, and the distributions drawn from it.

Secret randomness is the AES-256-CTR key stream under a key that the operating system made. Public uniform polynomials
are the key stream under a hash of a public seed, so that two parties expand the same one from 32 bytes and nobody
chooses its value.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from holdfast.he.kernels import Residues
from holdfast.he.parameters import ERROR_BOUND

SEED_BYTES: Final = 32
"""Bytes of a seed; as many as the key of the cipher."""

_DOMAIN: Final = b"holdfast uniform polynomial 2\0"


class KeyStream:
    """The AES-256-CTR key stream of one key, from counter zero. The key is used for nothing else."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(AES256(key), CTR(bytes(16))).encryptor()

    @classmethod
    def fresh(cls) -> KeyStream:
        """A stream that nobody can predict."""
        return cls(fresh_seed())

    def read(self, size: int) -> bytes:
        """The next `size` bytes."""
        return self._encryptor.update(bytes(size))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key stream is secret and cannot be pickled")


def fresh_seed() -> bytes:
    """A seed from the operating system."""
    return os.urandom(SEED_BYTES)


def ternary(stream: KeyStream, size: int) -> NDArray[np.int64]:
    """Uniform on {-1, 0, 1}: a byte modulo 3, where 255 is rejected so that each value has 85 bytes."""
    kept = np.empty(0, dtype=np.uint8)
    while len(kept) < size:
        drawn = np.frombuffer(stream.read(size // 64 + size), dtype=np.uint8)
        kept = np.concatenate([kept, drawn[drawn < 255]])
    return (kept[:size] % 3).astype(np.int64) - 1


def error(stream: KeyStream, size: int) -> NDArray[np.int64]:
    """Centred binomial with parameter 21: the difference of the ones in two 21-bit words.

    Its standard deviation, sqrt(21 / 2) = 3.24, is not below the 3.19 of the security tables; the best known attacks
    depend on the width of the error and not on its shape (Alkim et al., "Post-quantum key exchange — a new hope", 2016,
    section 4), and it is bounded.
    """
    words = np.frombuffer(stream.read(8 * size), dtype="<u8")
    mask = np.uint64(2**ERROR_BOUND - 1)
    plus, minus = np.bitwise_count(words & mask), np.bitwise_count((words >> np.uint64(ERROR_BOUND)) & mask)
    difference: NDArray[np.int64] = np.subtract(plus, minus, dtype=np.int64)
    return difference


def flood(stream: KeyStream, size: int, *, bits: int) -> list[int]:
    """Uniform integers from [-2^bits, 2^bits)."""
    size_bytes = bits // 8 + 1
    numbers = (int.from_bytes(stream.read(size_bytes), "little") for _ in range(size))
    return [number % 2 ** (bits + 1) - 2**bits for number in numbers]


def uniform(primes: Sequence[int], degree: int, *, seed: bytes, purpose: bytes, index: int = 0) -> Residues:
    """The uniform polynomial `(primes, N)` of a public seed, as residues in [0, prime) in the NTT domain.

    The values for a prime are the first N words below it in the key stream under SHA-256(domain, purpose, seed, index,
    prime), read as little-endian 64-bit words of which only as many bits are kept as the prime has.
    """
    out = np.empty((len(primes), degree), dtype=np.uint64)
    for row, prime in zip(out, primes, strict=True):
        label = index.to_bytes(4, "little") + prime.to_bytes(8, "little")
        _fill_below(row, prime, KeyStream(hashlib.sha256(_DOMAIN + purpose + b"\0" + seed + label).digest()))
    return out


def _fill_below(row: NDArray[np.uint64], prime: int, stream: KeyStream) -> None:
    mask, filled = np.uint64(2 ** prime.bit_length() - 1), 0
    while filled < len(row):
        wanted = len(row) - filled
        words = np.frombuffer(stream.read(8 * (wanted + wanted // 64 + 1)), dtype="<u8") & mask
        kept = words[words < prime][:wanted]
        row[filled : filled + len(kept)] = kept
        filled += len(kept)
