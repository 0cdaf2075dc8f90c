"""The disk under a bundle: what is not what was signed is refused, and no failure loses what was there."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import traceback
from pathlib import Path

import pytest

from holdfast.custody import SigningKey, save_bundle, verify_bundle, write_bundle
from holdfast.custody._folder import _move, read_member
from holdfast.errors import InputError, IntegrityError, SystemFault, UsageError, WireError
from holdfast.evidence import digest_bytes

NOBODY = 65534


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_comes_back_as_it_was(bundle, card, files, signing_key):
    written, folder = bundle
    back = verify_bundle(folder, signer=signing_key.public)
    assert back == written
    assert (back.name, back.version, back.card) == ("tumour", "3", card)
    assert {name: back.files[name] for name in files} == files
    assert back.model_bytes == files["model.onnx"]
    assert back.model_digest == digest_bytes(files["model.onnx"])
    assert [item.kind for item in back.evidence()] == ["utility"]
    assert back.evidence()[0].subject == back.model_digest


def test_the_digest_names_every_signed_byte(bundle, card, files, signing_key, tmp_path):
    one, _ = bundle
    same = write_bundle(tmp_path / "same", card=card, files=files, signing_key=SigningKey.generate())
    other = write_bundle(tmp_path / "other", card=card, files=files | {"readme.md": b""}, signing_key=signing_key)
    assert one.digest == same.digest
    assert one.digest != other.digest
    assert one.model_digest == other.model_digest


def test_only_the_owner_may_enter_a_bundle(bundle):
    _, folder = bundle
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "private" / "plan.json").stat().st_mode & 0o777 == 0o600


def test_nothing_is_left_beside_a_bundle(bundle, card, files, signing_key):
    _, folder = bundle
    write_bundle(folder, card=card, files=files, signing_key=signing_key)
    assert list(folder.parent.iterdir()) == [folder]


def test_a_flipped_bit_anywhere_on_the_disk_is_refused(bundle, signing_key):
    _, folder = bundle
    for name, data in everything_in(folder).items():
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 1 << at % 8
            (folder / name).write_bytes(changed)
            with pytest.raises(IntegrityError):
                verify_bundle(folder, signer=signing_key.public)
        (folder / name).write_bytes(data)
    assert verify_bundle(folder, signer=signing_key.public).name == "tumour"


def test_a_truncated_longer_or_missing_file_is_refused(bundle, signing_key):
    _, folder = bundle
    for name, data in everything_in(folder).items():
        for changed in (b"", data[:-1], data[: len(data) // 2], data + b"\n", data + data):
            (folder / name).write_bytes(changed)
            with pytest.raises(IntegrityError):
                verify_bundle(folder, signer=signing_key.public)
        (folder / name).unlink()
        with pytest.raises(IntegrityError, match=f"{name} is missing from the bundle"):
            verify_bundle(folder, signer=signing_key.public)
        (folder / name).write_bytes(data)


def test_a_missing_folder_in_the_bundle_is_refused(bundle, signing_key):
    _, folder = bundle
    shutil.rmtree(folder / "private")
    with pytest.raises(IntegrityError, match="the folder private is missing"):
        verify_bundle(folder, signer=signing_key.public)


@pytest.mark.parametrize("extra", ["extra.json", ".hidden", "evidence/02-more.json", "private/key.pem", "model.ONNX"])
def test_an_extra_file_is_refused(extra, bundle, signing_key):
    _, folder = bundle
    (folder / extra).write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="is in the bundle, and its manifest does not list it"):
        verify_bundle(folder, signer=signing_key.public)


@pytest.mark.parametrize("extra", ["empty", "evidence/empty"])
def test_an_extra_folder_is_refused(extra, bundle, signing_key):
    _, folder = bundle
    (folder / extra).mkdir()
    with pytest.raises(IntegrityError, match="does not list it"):
        verify_bundle(folder, signer=signing_key.public)


@pytest.mark.parametrize(
    "name", ["model.onnx", "manifest.json", "signature.json", "private", "evidence/01-utility.json"]
)
def test_a_link_is_refused_even_to_the_very_same_bytes(name, bundle, signing_key, tmp_path):
    _, folder = bundle
    (folder / name).rename(tmp_path / "moved")
    (folder / name).symlink_to(tmp_path / "moved")
    with pytest.raises(IntegrityError, match=r"is a link|not a plain file"):
        verify_bundle(folder, signer=signing_key.public)


def test_reading_a_file_never_follows_a_link(bundle):
    _, folder = bundle
    (folder / "link.json").symlink_to(folder / "card.json")
    with pytest.raises(IntegrityError, match="not a plain file"):
        read_member(folder, "link.json", max_bytes=10_000)


def as_folder(path: Path) -> None:
    path.mkdir()


def as_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has at most 107 bytes
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("make", [as_folder, os.mkfifo, as_socket], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_not_a_plain_file_is_refused_and_nobody_waits_for_it(make, name, bundle, signing_key):
    _, folder = bundle
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(IntegrityError, match=f"{name}.*(not a plain file|does not list it)"):
        verify_bundle(folder, signer=signing_key.public)


def test_another_signer_is_refused(bundle):
    _, folder = bundle
    with pytest.raises(IntegrityError, match="expected a bundle signed by ed25519:"):
        verify_bundle(folder, signer=SigningKey.generate().public)


def test_two_bundles_cannot_swap_signatures_or_files(bundle, make_card, files, signing_key, tmp_path):
    _, one = bundle
    two = tmp_path / "two"
    write_bundle(two, card=make_card(version="4"), files=files | {"readme.md": b"4"}, signing_key=signing_key)
    for name in ("signature.json", "manifest.json", "card.json", "readme.md"):
        good = (one / name).read_bytes()
        (one / name).write_bytes((two / name).read_bytes())
        with pytest.raises(IntegrityError):
            verify_bundle(one, signer=signing_key.public)
        (one / name).write_bytes(good)


def test_what_was_verified_stays_what_it_was_when_the_folder_changes(bundle, files, signing_key):
    _, folder = bundle
    verified = verify_bundle(folder, signer=signing_key.public)
    (folder / "model.onnx").write_bytes(b"something else")
    assert verified.model_bytes == files["model.onnx"]
    with pytest.raises(TypeError):
        verified.files["model.onnx"] = b"something else"


def test_a_bundle_does_not_print_what_is_in_it(bundle):
    written, _ = bundle
    assert "secret" not in f"{written} {written!r}"


def test_a_path_without_a_bundle_is_the_callers_to_mend(tmp_path, signing_key):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(InputError, match="found no folder there"):
            verify_bundle(path, signer=signing_key.public)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("model.pkl", b"\x80\x04K\x01.", "ends in"),
        ("../out.json", b"{}", "plain name"),
        ("a.json", b"\x80\x04K\x01.", "it is a pickle"),
        ("manifest.json", b"{}", "plain name"),
        ("notes.txt", b"x" * (2**20 + 1), "at most 1048576 bytes"),
    ],
)
def test_what_a_bundle_may_not_hold_is_refused_before_anything_is_written(
    name, data, why, tmp_path, card, files, signing_key
):
    with pytest.raises(WireError, match=why):
        write_bundle(tmp_path / "b", card=card, files=files | {name: data}, signing_key=signing_key)
    assert list(tmp_path.iterdir()) == []


def test_the_card_is_written_from_the_card_alone(tmp_path, card, files, signing_key):
    with pytest.raises(UsageError, match=r"expected files without card\.json"):
        write_bundle(tmp_path / "b", card=card, files=files | {"card.json": b"{}"}, signing_key=signing_key)


def test_evidence_that_is_none_is_refused_when_it_is_read(tmp_path, card, files, signing_key):
    odd = write_bundle(tmp_path / "b", card=card, files=files | {"evidence/02-x.json": b"{}"}, signing_key=signing_key)
    with pytest.raises(WireError, match="expected evidence in the format"):
        odd.evidence()


def test_a_bundle_replaces_a_bundle_and_an_empty_folder(bundle, make_card, files, signing_key, tmp_path):
    _, folder = bundle
    (tmp_path / "empty").mkdir()
    for place in (folder, tmp_path / "empty"):
        write_bundle(place, card=make_card(version="4"), files=files, signing_key=signing_key)
        assert verify_bundle(place, signer=signing_key.public).version == "4"


def a_folder_of_documents(place: Path) -> None:
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")


def a_bundle_with_notes(place: Path) -> None:
    (place / "private" / "notes.txt").write_text("mine")


def a_file(place: Path) -> None:
    place.write_text("mine")


def a_link(place: Path) -> None:
    place.symlink_to(place.parent)


def a_folder_with_a_false_manifest(place: Path) -> None:
    place.mkdir()
    (place / "manifest.json").write_text("{}")


@pytest.mark.parametrize(
    "occupy",
    [a_folder_of_documents, a_file, a_link, a_folder_with_a_false_manifest, a_bundle_with_notes],
    ids=lambda occupy: occupy.__name__,
)
def test_nothing_but_a_bundle_is_ever_replaced(occupy, bundle, card, files, signing_key, tmp_path):
    place = bundle[1] if occupy is a_bundle_with_notes else tmp_path / "place"
    occupy(place)
    before = everything_in(tmp_path)
    with pytest.raises(UsageError, match="expected a bundle or nothing at"):
        write_bundle(place, card=card, files=files, signing_key=signing_key)
    assert everything_in(tmp_path) == before


def test_a_full_disk_half_way_leaves_the_old_bundle(bundle, make_card, files, signing_key, small_disk):
    _, folder = bundle
    before = everything_in(folder.parent)
    large = files | {"zz.txt": b"x" * 50_000}
    with pytest.raises(SystemFault, match=r"^cannot write .*file too large"), small_disk(20_000):
        write_bundle(folder, card=make_card(version="4"), files=large, signing_key=signing_key)
    assert everything_in(folder.parent) == before
    assert verify_bundle(folder, signer=signing_key.public).version == "3"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_full_disk_half_way_leaves_no_new_bundle(tmp_path, card, files, signing_key, small_disk):
    with pytest.raises(SystemFault), small_disk(100):
        write_bundle(tmp_path / "b", card=card, files=files, signing_key=signing_key)
    assert list(tmp_path.iterdir()) == []


def test_a_move_that_fails_half_way_puts_the_old_folder_back(tmp_path):
    folder, old = tmp_path / "folder", tmp_path / "old"
    a_folder_of_documents(folder)
    with pytest.raises(FileNotFoundError):
        _move(tmp_path / "nothing", folder, old)
    assert everything_in(tmp_path) == {"folder/thesis.txt": b"years of work"}


def test_a_read_only_folder_is_the_machines_to_mend(public_folder, card, files, signing_key, read_only):
    with pytest.raises(SystemFault, match="permission is denied"), read_only(public_folder):
        write_bundle(public_folder / "b", card=card, files=files, signing_key=signing_key)
    assert list(public_folder.iterdir()) == []


def test_a_bundle_that_may_not_be_read_is_the_machines_to_mend(public_folder, card, files, signing_key, read_only):
    written = write_bundle(public_folder / "b", card=card, files=files, signing_key=signing_key)
    if os.geteuid() == 0:
        for path in (public_folder / "b", *(public_folder / "b").rglob("*")):
            os.chown(path, NOBODY, -1)
    for unreadable in (public_folder / "b" / "private", public_folder / "b" / "model.onnx", public_folder / "b"):
        unreadable.chmod(0)
        with pytest.raises(SystemFault, match="permission is denied"), read_only(public_folder):
            verify_bundle(public_folder / "b", signer=signing_key.public)
        unreadable.chmod(0o700)
    (public_folder / "b").chmod(0)
    for attempt in (
        lambda: verify_bundle(public_folder / "b" / "evidence", signer=signing_key.public),
        lambda: save_bundle(written, public_folder / "b" / "evidence"),
    ):
        with pytest.raises(SystemFault, match=r"cannot read .*permission is denied"), read_only(public_folder):
            attempt()
    (public_folder / "b").chmod(0o700)
    assert verify_bundle(public_folder / "b", signer=signing_key.public).name == "tumour"


def test_a_part_of_the_path_that_is_a_file_is_one_sentence(tmp_path, card, files, signing_key):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SystemFault, match=r"^cannot write"):
        write_bundle(tmp_path / "file" / "b", card=card, files=files, signing_key=signing_key)


def test_a_reader_during_replacement_sees_a_whole_bundle_or_none(bundle, make_card, files, signing_key):
    """Never a mixture: the readme of every bundle that verifies is the one of its version."""
    _, folder = bundle
    versions = [
        write_bundle(
            folder.parent / version,
            card=make_card(version=version),
            files=files | {"readme.md": version.encode()},
            signing_key=signing_key,
        )
        for version in ("4", "5")
    ]
    save_bundle(versions[0], folder)
    seen: list[tuple[str, bytes]] = []
    broken: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                found = verify_bundle(folder, signer=signing_key.public)
            except (InputError, IntegrityError):
                continue
            except BaseException as error:  # noqa: BLE001 - any other end of the reader is the finding
                broken.append(error)
                return
            seen.append((found.version, found.files["readme.md"]))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        save_bundle(versions[turn % 2], folder)
    stop.set()
    reader.join()
    assert not broken, traceback.format_exception(broken[0])
    assert set(seen) <= {("4", b"4"), ("5", b"5")}
    assert verify_bundle(folder, signer=signing_key.public).version == "5"
