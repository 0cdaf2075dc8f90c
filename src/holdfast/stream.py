"""One secret of any length under one key: chunks that cannot be changed, reordered, dropped or added.

The STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár (CRYPTO 2015, section 7): AES-256-GCM over chunks of
one size, the nonce being the chunk's number (11 bytes, big-endian) and one byte that is 1 in the last chunk alone. The
associated data goes with every chunk. A key is used for one stream only, which is why the numbers start at zero.

A chunk can be decrypted by itself, so a long stream is read where it is needed: see `StreamReader`. Chunks of 64 KiB
are for streams that are read as a whole; one that is read here and there takes smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    return b"".join(encrypt_parts([plaintext], key=key, associated=associated))


def encrypt_parts(
    parts: Iterable[bytes | memoryview], *, key: bytes, associated: bytes, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[bytes]:
    """The encrypted chunks of these parts taken together, under a key that was never used before."""
    cipher = AESGCM(key)
    for number, (chunk, last) in enumerate(_chunks(parts, chunk_bytes)):
        yield cipher.encrypt(_nonce(number, last=last), chunk, associated)


def decrypt_stream(ciphertext: bytes, *, key: bytes, associated: bytes) -> bytes:
    """The inverse of `encrypt_stream`.

    Raises:
        IntegrityError: a byte was changed, cut off or added, or a chunk is not where it was.
    """
    whole = memoryview(ciphertext)

    def read(start: int, stop: int) -> memoryview:
        return whole[start:stop]

    reader = StreamReader(read, size=len(ciphertext), key=key, associated=associated)
    return b"".join(reader.chunk(number) for number in range(reader.chunks))


def encrypted_size(size: int, *, chunk_bytes: int = CHUNK_BYTES) -> int:
    """The bytes of the stream of so many bytes."""
    return size + TAG_BYTES * max(1, -(-size // chunk_bytes))


class StreamReader:
    """A stream that is decrypted where it is read, and holds one clear chunk at most beside what it gives.

    A reader that never reads the last chunk does not see that the end is missing: read it once, or know the size.

    Args:
        read: gives the bytes of the ciphertext from a start to a stop.
        size: bytes of the ciphertext.
        key: 32 bytes.
        associated: what was associated when it was encrypted.
        chunk_bytes: that it was encrypted in.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes | memoryview],
        *,
        size: int,
        key: bytes,
        associated: bytes,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._cipher = AESGCM(key)
        self._read = read
        self._size = size
        self._associated = associated
        self._chunk_bytes = chunk_bytes
        self._latest: tuple[int, bytes] = (-1, b"")

    def __repr__(self) -> str:
        return f"StreamReader({self.chunks} chunks, key not shown)"

    @property
    def chunks(self) -> int:
        """How many chunks there are; one at least."""
        return max(1, -(-self._size // (self._chunk_bytes + TAG_BYTES)))

    def chunk(self, number: int) -> bytes:
        """One chunk in the clear.

        Raises:
            IntegrityError: a byte was changed, cut off or added, or the chunk is not where it was.
        """
        latest, clear = self._latest
        if latest != number:
            step = self._chunk_bytes + TAG_BYTES
            start, stop = number * step, min((number + 1) * step, self._size)
            nonce = _nonce(number, last=number == self.chunks - 1)
            try:
                clear = self._cipher.decrypt(nonce, self._read(start, stop), self._associated)
            except InvalidTag:
                raise IntegrityError("expected encrypted chunks as they were written, got changed ones") from None
            self._latest = (number, clear)
        return clear

    def between(self, start: int, stop: int) -> Iterator[memoryview]:
        """The clear bytes from `start` to `stop`, in as many pieces as there are chunks that hold them.

        Raises:
            IntegrityError: as `chunk`.
        """
        while start < stop:
            number, offset = divmod(start, self._chunk_bytes)
            piece = memoryview(self.chunk(number))[offset : offset + stop - start]
            yield piece
            start += len(piece)


def _chunks(parts: Iterable[bytes | memoryview], size: int) -> Iterator[tuple[bytes, bool]]:
    """The parts as chunks, and whether each is the last; one empty chunk where there is nothing."""
    held = bytearray()
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), size):
            held += view[start : start + size]
            if len(held) > size:  # only then is it known that this chunk is not the last
                yield bytes(held[:size]), False
                del held[:size]
    yield bytes(held), True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
