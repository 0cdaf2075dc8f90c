"""A sealed bundle: only its recipient opens it, and only as it was sealed."""

from __future__ import annotations

import threading
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.custody import (
    RecipientKey,
    SigningKey,
    open_sealed,
    open_to,
    seal,
    verify_bundle,
    write_bundle,
)
from holdfast.custody._container import pack
from holdfast.custody.seal import _HEADER_BYTES, _encrypt
from holdfast.errors import HoldfastError, InputError, IntegrityError, SystemFault, UsageError
from holdfast.stream import CHUNK_BYTES, TAG_BYTES


@pytest.fixture
def sealed(bundle, recipient_key, tmp_path):
    path = tmp_path / "tumour.holdfast"
    seal(bundle[0], path, recipient=recipient_key.public)
    return path


@pytest.fixture(scope="module")
def long(tmp_path_factory, card, files, signing_key, recipient_key):
    """A sealed bundle of five chunks, the last of them short."""
    folder = tmp_path_factory.mktemp("long")
    texts = {"notes.txt": b"x" * (4 * CHUNK_BYTES)}
    seal(
        write_bundle(folder / "b", card=card, files=files | texts, signing_key=signing_key),
        folder / "b.holdfast",
        recipient=recipient_key.public,
    )
    return (folder / "b.holdfast").read_bytes()


def refused(path, data, recipient_key, signing_key):
    path.write_bytes(data)
    with pytest.raises(IntegrityError) as caught:
        open_sealed(path, key=recipient_key, signer=signing_key.public)
    assert "\n" not in str(caught.value)


def test_a_sealed_bundle_comes_back_as_it_was(bundle, sealed, recipient_key, signing_key, tmp_path):
    assert open_sealed(sealed, key=recipient_key, signer=signing_key.public) == bundle[0]
    open_to(sealed, tmp_path / "out", key=recipient_key, signer=signing_key.public)
    assert verify_bundle(tmp_path / "out", signer=signing_key.public) == bundle[0]


def test_nothing_of_the_bundle_can_be_read_in_the_sealed_file(bundle, sealed):
    data = sealed.read_bytes()[_HEADER_BYTES:]
    for name, content in bundle[0].all_files().items():
        assert name.encode() not in data
        assert not any(content[at : at + 8] in data for at in range(len(content) - 8))


def test_sealing_twice_gives_two_files_that_share_no_ciphertext(bundle, sealed, recipient_key, tmp_path):
    seal(bundle[0], tmp_path / "again", recipient=recipient_key.public)
    one, two = sealed.read_bytes(), (tmp_path / "again").read_bytes()
    address = len(b"holdfast-sealed-1\n") + 16
    assert one[:address] == two[:address]
    assert not {one[at : at + 16] for at in range(address, len(one), 16)} & {
        two[at : at + 16] for at in range(address, len(two), 16)
    }


def test_every_flipped_byte_is_refused(sealed, recipient_key, signing_key):
    good = sealed.read_bytes()
    for at in range(len(good)):
        changed = bytearray(good)
        changed[at] ^= 1 << at % 8
        refused(sealed, changed, recipient_key, signing_key)


def test_every_truncation_is_refused(sealed, recipient_key, signing_key):
    good = sealed.read_bytes()
    for length in range(len(good)):
        refused(sealed, good[:length], recipient_key, signing_key)


def test_appended_bytes_are_refused(sealed, recipient_key, signing_key):
    good = sealed.read_bytes()
    for more in (b"\0", b"\n", bytes(16), bytes(CHUNK_BYTES), good, good[_HEADER_BYTES:]):
        refused(sealed, good + more, recipient_key, signing_key)


@settings(max_examples=60)
@given(at=st.integers(0, 4 * CHUNK_BYTES + 1_000), mask=st.integers(1, 255))
def test_a_flipped_byte_of_a_long_file_is_refused(at, mask, long, recipient_key, signing_key, tmp_path_factory):
    changed = bytearray(long)
    changed[at] ^= mask
    refused(tmp_path_factory.getbasetemp() / "flipped", changed, recipient_key, signing_key)


def test_a_long_file_cut_at_or_beside_any_chunk_border_is_refused(long, tmp_path, recipient_key, signing_key):
    borders = range(_HEADER_BYTES, len(long), CHUNK_BYTES + TAG_BYTES)
    assert len(borders) == 5
    for border in borders:
        for length in (border - 1, border, border + 1, border + TAG_BYTES):
            refused(tmp_path / "cut", long[:length], recipient_key, signing_key)


def test_chunks_that_are_swapped_dropped_or_repeated_are_refused(long, tmp_path, recipient_key, signing_key):
    size = CHUNK_BYTES + TAG_BYTES
    header = long[:_HEADER_BYTES]
    chunks = [long[at : at + size] for at in range(_HEADER_BYTES, len(long), size)]
    for order in ([1, 0, 2, 3, 4], [0, 2, 3, 4], [1, 2, 3, 4], [0, 1, 2, 4], [0, 0, 1, 2, 3, 4], [0, 1, 2, 3], [4], []):
        refused(tmp_path / "order", header + b"".join(chunks[i] for i in order), recipient_key, signing_key)


def test_a_payload_does_not_serve_under_another_header(bundle, sealed, tmp_path, recipient_key, signing_key):
    seal(bundle[0], tmp_path / "again", recipient=recipient_key.public)
    one, two = sealed.read_bytes(), (tmp_path / "again").read_bytes()
    refused(sealed, one[:_HEADER_BYTES] + two[_HEADER_BYTES:], recipient_key, signing_key)


def test_another_key_does_not_open_it_and_readdressing_does_not_help(sealed, recipient_key, signing_key):
    thief = RecipientKey.generate()
    with pytest.raises(IntegrityError, match=f"expected a bundle sealed to {thief.id}.*sealed to {recipient_key.id}"):
        open_sealed(sealed, key=thief, signer=signing_key.public)
    good = sealed.read_bytes()
    start = len(b"holdfast-sealed-1\n")
    readdressed = good[:start] + thief.public.fingerprint + good[start + 16 :]
    refused(sealed, readdressed, thief, signing_key)


def test_another_signer_is_refused(sealed, recipient_key):
    with pytest.raises(IntegrityError, match="expected a bundle signed by"):
        open_sealed(sealed, key=recipient_key, signer=SigningKey.generate().public)


def test_whoever_only_knows_the_public_keys_cannot_make_one(bundle, tmp_path, recipient_key, signing_key):
    """Anybody can seal to a public key; what is inside still needs the signer."""
    hostile = bundle[0].all_files()
    for change in (
        {"readme.md": b"mine"},
        {"more.txt": b""},
        {"../escape.txt": b""},
        {"signature.json": b"{}"},
        {"manifest.json": b"{}"},
    ):
        sealed = _encrypt(pack(hostile | change), recipient_key.public)
        refused(tmp_path / "hostile", sealed, recipient_key, signing_key)
    for missing in hostile:
        rest = {name: data for name, data in hostile.items() if name != missing}
        refused(tmp_path / "hostile", _encrypt(pack(rest), recipient_key.public), recipient_key, signing_key)
    for container in (b"", b"hello", pack({}), pack(hostile) + b"\0", pack(hostile)[:-1]):
        refused(tmp_path / "hostile", _encrypt(container, recipient_key.public), recipient_key, signing_key)


def test_a_recipient_can_pass_it_on_and_the_signature_still_holds(sealed, recipient_key, signing_key, tmp_path):
    """Known and documented: the signature says who made the bundle, not for whom."""
    third = RecipientKey.generate()
    opened = open_sealed(sealed, key=recipient_key, signer=signing_key.public)
    seal(opened, tmp_path / "forwarded", recipient=third.public)
    assert open_sealed(tmp_path / "forwarded", key=third, signer=signing_key.public) == opened


def test_what_is_refused_writes_nothing(sealed, recipient_key, signing_key, tmp_path):
    good = sealed.read_bytes()
    sealed.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(IntegrityError):
        open_to(sealed, tmp_path / "out", key=recipient_key, signer=signing_key.public)
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_file_is_the_callers_to_mend(tmp_path, recipient_key, signing_key):
    with pytest.raises(InputError, match=r"expected a sealed bundle at .* found no file there"):
        open_sealed(tmp_path / "none", key=recipient_key, signer=signing_key.public)


def test_opening_onto_something_else_is_refused_and_loses_nothing(sealed, recipient_key, signing_key, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="expected a bundle or nothing at"):
        open_to(sealed, tmp_path / "out", key=recipient_key, signer=signing_key.public)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_a_full_disk_half_way_leaves_the_old_file(bundle, sealed, recipient_key, small_disk):
    before = sealed.read_bytes()
    with pytest.raises(SystemFault, match=r"^cannot write .*file too large"), small_disk(len(before) // 2):
        seal(bundle[0], sealed, recipient=recipient_key.public)
    assert sealed.read_bytes() == before
    assert sorted(path.name for path in sealed.parent.iterdir()) == ["tumour", "tumour.holdfast"]


def test_a_read_only_folder_is_the_machines_to_mend(bundle, public_folder, recipient_key, read_only):
    with pytest.raises(SystemFault, match="permission is denied"), read_only(public_folder):
        seal(bundle[0], public_folder / "b.holdfast", recipient=recipient_key.public)
    assert list(public_folder.iterdir()) == []


def test_a_reader_during_replacement_always_sees_a_whole_bundle(sealed, make_card, files, recipient_key, signing_key):
    versions = [
        write_bundle(
            sealed.parent / version,
            card=make_card(version=version),
            files=files | {"readme.md": version.encode()},
            signing_key=signing_key,
        )
        for version in ("4", "5")
    ]
    seal(versions[0], sealed, recipient=recipient_key.public)
    seen: list[tuple[str, bytes]] = []
    broken: list[HoldfastError] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                found = open_sealed(sealed, key=recipient_key, signer=signing_key.public)
            except HoldfastError as error:
                broken.append(error)
                return
            seen.append((found.version, found.files["readme.md"]))

    reader = threading.Thread(target=read)
    reader.start()
    turn = 0
    while turn < 60 or not seen:
        seal(versions[turn % 2], sealed, recipient=recipient_key.public)
        turn += 1
        if broken:
            break
    stop.set()
    reader.join()
    assert not broken, broken
    assert set(seen) <= {("4", b"4"), ("5", b"5")}


def test_no_key_is_in_the_traceback_of_a_refusal_even_with_its_variables(sealed, recipient_key, signing_key):
    good = sealed.read_bytes()
    sealed.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(IntegrityError) as caught:
        open_sealed(sealed, key=recipient_key, signer=signing_key.public)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    address = len(b"holdfast-sealed-1\n") + 16
    file_key = recipient_key.decrypt(good[address:_HEADER_BYTES], info=good[:address])
    assert recipient_key.id in shown
    for secret in (file_key, recipient_key._key.private_bytes_raw()):
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
