"""The two layers of a sealed file, each on its own: what is not exactly what was written is refused."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.custody._container import pack, unpack
from holdfast.errors import IntegrityError, WireError
from holdfast.stream import CHUNK_BYTES, TAG_BYTES, decrypt_stream, encrypt_stream

KEY = bytes(range(32))
files = st.dictionaries(st.text(max_size=20), st.binary(max_size=50), max_size=5)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_stream_comes_back_as_it_was_and_has_the_stated_size(size):
    plaintext = os.urandom(size)
    ciphertext = encrypt_stream(plaintext, key=KEY, associated=b"header")
    assert decrypt_stream(ciphertext, key=KEY, associated=b"header") == plaintext
    assert len(ciphertext) == size + TAG_BYTES * max(1, -(-size // CHUNK_BYTES))


def test_a_stream_under_another_key_or_header_is_refused():
    ciphertext = encrypt_stream(b"text", key=KEY, associated=b"header")
    for key, associated in ((bytes(32), b"header"), (KEY, b"headex"), (KEY, b"")):
        with pytest.raises(IntegrityError, match="changed"):
            decrypt_stream(ciphertext, key=key, associated=associated)


@given(st.binary(max_size=100))
def test_random_bytes_are_no_stream(data):
    with pytest.raises(IntegrityError):
        decrypt_stream(data, key=KEY, associated=b"")


def test_a_stream_cut_at_a_border_does_not_pass_for_a_shorter_one():
    ciphertext = encrypt_stream(bytes(2 * CHUNK_BYTES), key=KEY, associated=b"")
    with pytest.raises(IntegrityError):
        decrypt_stream(ciphertext[: CHUNK_BYTES + TAG_BYTES], key=KEY, associated=b"")


@given(files)
def test_a_container_comes_back_as_it_was(contents):
    assert unpack(pack(contents)) == contents


@given(files)
def test_the_same_files_give_the_same_container_in_any_order(contents):
    assert pack(dict(reversed(contents.items()))) == pack(contents)


@given(st.binary(max_size=200))
def test_what_unpacks_is_what_pack_writes(data):
    """One container for one set of files: no byte in it is free."""
    container = b"holdfast-files-1\n" + data
    try:
        contents = unpack(container)
    except WireError:
        return
    assert pack(contents) == container


@given(files.filter(bool))
def test_a_container_cut_anywhere_is_never_taken_for_the_whole(contents):
    whole = pack(contents)
    for end in range(len(whole)):
        try:
            assert unpack(whole[:end]) != contents
        except WireError:
            continue


def entry(name: bytes, data: bytes) -> bytes:
    return len(name).to_bytes(2) + name + len(data).to_bytes(8) + data


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (entry(b"b", b"") + entry(b"a", b""), "ascending"),
        (entry(b"a", b"") + entry(b"a", b""), "ascending"),
        (entry(b"\xff", b""), "UTF-8"),
        (b"\x00", "cut off"),
        (b"\x00\x05abc", "cut off"),
        (b"\x00\x01a" + (2**63).to_bytes(8), "cut off"),
        (b"".join(entry(b"%04d" % i, b"") for i in range(1_001)), "at most 1000 files"),
    ],
)
def test_a_container_that_is_not_in_its_one_form_is_refused(body, why):
    with pytest.raises(WireError, match=why):
        unpack(b"holdfast-files-1\n" + body)


@pytest.mark.parametrize("data", [b"", b"holdfast-files-2\n", b"PK\x03\x04"])
def test_what_is_not_a_container_is_refused(data):
    with pytest.raises(WireError, match="expected a container of files"):
        unpack(data)
