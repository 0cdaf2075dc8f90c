"""One secret of any length under one key: chunks that cannot be changed, reordered, dropped or added.

The STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár (CRYPTO 2015, section 7): AES-256-GCM over chunks of
64 KiB, the nonce being the chunk's number (11 bytes, big-endian) and one byte that is 1 in the last chunk alone. The
associated data goes with every chunk. A key is used for one stream only, which is why the numbers start at zero.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.errors import IntegrityError

CHUNK_BYTES: Final = 64 * 1024
"""Bytes of plaintext in every chunk but the last, which has fewer or as many."""
TAG_BYTES: Final = 16
"""Bytes that encryption adds to each chunk."""


def encrypt_stream(plaintext: bytes, *, key: bytes, associated: bytes) -> bytes:
    """Encrypt under a key of 32 bytes that was never used before and never will be again."""
    cipher = AESGCM(key)
    chunks = _split(plaintext, CHUNK_BYTES)
    last = len(chunks) - 1
    return b"".join(cipher.encrypt(_nonce(i, last=i == last), chunk, associated) for i, chunk in enumerate(chunks))


def decrypt_stream(ciphertext: bytes, *, key: bytes, associated: bytes) -> bytes:
    """The inverse of `encrypt_stream`.

    Raises:
        IntegrityError: a byte was changed, cut off or added, or a chunk is not where it was.
    """
    cipher = AESGCM(key)
    chunks = _split(ciphertext, CHUNK_BYTES + TAG_BYTES)
    last = len(chunks) - 1
    try:
        return b"".join(cipher.decrypt(_nonce(i, last=i == last), chunk, associated) for i, chunk in enumerate(chunks))
    except InvalidTag:
        raise IntegrityError("expected encrypted chunks as they were written, got changed ones") from None


def _split(data: bytes, size: int) -> list[memoryview]:
    """The data in chunks; one empty chunk where there is none."""
    view = memoryview(data)
    return [view[start : start + size] for start in range(0, max(len(data), 1), size)]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
