"""A stream is one secret however it is cut into parts, is read where it is needed, and hides no change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import IntegrityError
from holdfast.stream import CHUNK_BYTES, TAG_BYTES, StreamReader, encrypt_parts, encrypt_stream, encrypted_size

KEY = bytes(range(32))
SMALL = 16


def sealed(parts: list[bytes], *, chunk_bytes: int = SMALL) -> bytes:
    return b"".join(encrypt_parts(parts, key=KEY, associated=b"header", chunk_bytes=chunk_bytes))


def reader(data: bytes, *, chunk_bytes: int = SMALL) -> StreamReader:
    return StreamReader(
        lambda start, stop: data[start:stop],
        size=len(data),
        key=KEY,
        associated=b"header",
        chunk_bytes=chunk_bytes,
    )


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_parts_are_encrypted_as_the_whole_would_be_and_have_the_stated_size(parts: list[bytes]) -> None:
    data = sealed(parts)
    assert data == sealed([b"".join(parts)])
    assert len(data) == encrypted_size(len(b"".join(parts)), chunk_bytes=SMALL)
    assert encrypt_stream(b"".join(parts), key=KEY, associated=b"") == b"".join(
        encrypt_parts(parts, key=KEY, associated=b"")
    )


@given(plaintext=st.binary(max_size=200), ends=st.tuples(st.integers(0, 200), st.integers(0, 200)))
def test_any_stretch_reads_as_that_of_the_plaintext(plaintext: bytes, ends: tuple[int, int]) -> None:
    start, stop = (min(end, len(plaintext)) for end in sorted(ends))
    stream = reader(sealed([plaintext]))
    assert b"".join(stream.between(start, stop)) == plaintext[start:stop]
    assert b"".join(stream.between(0, len(plaintext))) == plaintext


@settings(max_examples=50)
@given(plaintext=st.binary(min_size=1, max_size=100), data=st.data())
def test_a_flipped_bit_is_seen_in_its_chunk(plaintext: bytes, data: st.DataObject) -> None:
    forged = bytearray(sealed([plaintext]))
    bit = data.draw(st.integers(0, 8 * len(forged) - 1))
    forged[bit // 8] ^= 1 << bit % 8
    stream = reader(bytes(forged))
    with pytest.raises(IntegrityError, match="got changed ones"):
        stream.chunk(bit // 8 // (SMALL + TAG_BYTES))


def test_a_stream_in_chunks_of_one_size_is_none_in_another() -> None:
    data = sealed([bytes(100)])
    with pytest.raises(IntegrityError):
        reader(data, chunk_bytes=2 * SMALL).chunk(0)


def test_the_last_chunk_tells_that_the_end_is_missing() -> None:
    data = sealed([bytes(3 * SMALL)])
    cut = reader(data[: 2 * (SMALL + TAG_BYTES)])
    assert cut.chunk(0) == bytes(SMALL)
    with pytest.raises(IntegrityError):
        cut.chunk(cut.chunks - 1)


def test_neither_key_nor_text_is_shown() -> None:
    stream = reader(sealed([b"a secret"]), chunk_bytes=CHUNK_BYTES)
    assert "secret" not in repr(stream)
    assert KEY.hex() not in repr(stream)
