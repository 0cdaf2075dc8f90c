"""The six steps on bytes alone: each is attacked, with no disk in the way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.custody import FileEntry, Manifest, SigningKey, check_files, check_manifest
from holdfast.custody._formats import MAX_BYTES
from holdfast.custody.verify import sign_manifest
from holdfast.errors import IntegrityError, WireError
from holdfast.evidence import canonical_json, digest_bytes

DIGEST = digest_bytes(b"")
NEEDED = {"model.onnx": FileEntry(0, DIGEST), "card.json": FileEntry(0, DIGEST)}


def manifest_of(**changes: object) -> Manifest:
    fields = {"name": "m", "version": "1", "created": "2025-01-31T12:00:00Z", "files": NEEDED}
    return Manifest(**(fields | changes))  # type: ignore[arg-type]


def signed_by(key: SigningKey, manifest: bytes) -> bytes:
    """A signature.json of any bytes, as a signer who means harm could make it."""
    signature = key.sign(manifest, purpose="holdfast-bundle-1")
    return canonical_json({"format": "holdfast-signature-1", "key": key.id, "signature": signature.hex()})


@pytest.fixture
def whole(files, card):
    return {**files, "card.json": canonical_json(card.to_json())}


@pytest.fixture
def manifest(whole, card):
    return Manifest.of(whole, name=card.name, version=card.version, created=card.created)


segments = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
names = st.builds(
    lambda folders, stem, ending: "/".join([*folders, f"{stem}.{ending}"]),
    st.lists(segments, max_size=2),
    segments,
    st.sampled_from(sorted(MAX_BYTES)),
).filter(lambda name: name not in ("manifest.json", "signature.json"))
labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", fullmatch=True)


@given(
    st.dictionaries(names, st.builds(FileEntry, st.integers(0, 2**20), st.just(DIGEST)), max_size=20), labels, labels
)
def test_a_manifest_comes_back_as_it_was(files, name, version):
    manifest = manifest_of(files=files | NEEDED, name=name, version=version)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_a_good_bundle_passes(manifest, whole, signing_key):
    signature = sign_manifest(manifest, signing_key=signing_key)
    assert check_manifest(manifest.to_bytes(), signature, signer=signing_key.public) == manifest
    check_files(manifest, whole)


@pytest.mark.parametrize("part", ["manifest", "signature"])
def test_every_flipped_bit_of_manifest_and_signature_is_refused(part, manifest, signing_key):
    parts = {"manifest": manifest.to_bytes(), "signature": sign_manifest(manifest, signing_key=signing_key)}
    for at in range(len(parts[part])):
        for bit in range(8):
            changed = bytearray(parts[part])
            changed[at] ^= 1 << bit
            with pytest.raises(IntegrityError):
                check_manifest(
                    **{"manifest": parts["manifest"], "signature": parts["signature"]} | {part: bytes(changed)},
                    signer=signing_key.public,
                )


@pytest.mark.parametrize("part", ["manifest", "signature"])
def test_every_truncation_and_extension_of_manifest_and_signature_is_refused(part, manifest, signing_key):
    parts = {"manifest": manifest.to_bytes(), "signature": sign_manifest(manifest, signing_key=signing_key)}
    good = parts[part]
    for changed in (*(good[:end] for end in range(len(good))), good + b" ", good + b"\n", b" " + good, good + good):
        with pytest.raises(IntegrityError):
            check_manifest(**parts | {part: changed}, signer=signing_key.public)


def test_another_signer_is_refused_even_under_the_expected_ones_id(manifest, signing_key):
    thief = SigningKey.generate()
    stolen = sign_manifest(manifest, signing_key=thief)
    with pytest.raises(IntegrityError, match=f"signed by {signing_key.id}, got one signed by '{thief.id}'"):
        check_manifest(manifest.to_bytes(), stolen, signer=signing_key.public)
    forged = stolen.replace(thief.id.encode(), signing_key.id.encode())
    with pytest.raises(IntegrityError, match="expected a signature by"):
        check_manifest(manifest.to_bytes(), forged, signer=signing_key.public)


def test_a_signature_does_not_serve_another_manifest(manifest, signing_key):
    other = manifest_of()
    with pytest.raises(IntegrityError, match="expected a signature by"):
        check_manifest(other.to_bytes(), sign_manifest(manifest, signing_key=signing_key), signer=signing_key.public)


def test_a_signature_for_another_purpose_is_refused(manifest, signing_key):
    signature = signing_key.sign(manifest.to_bytes(), purpose="holdfast-audit-1")
    document = {"format": "holdfast-signature-1", "key": signing_key.id, "signature": signature.hex()}
    with pytest.raises(IntegrityError, match="expected a signature by"):
        check_manifest(manifest.to_bytes(), canonical_json(document), signer=signing_key.public)


def test_the_second_form_of_an_ed25519_signature_is_refused(manifest, signing_key):
    order = 2**252 + 27742317777372353535851937790883648493
    signature = signing_key.sign(manifest.to_bytes(), purpose="holdfast-bundle-1")
    scalar = int.from_bytes(signature[32:], "little") + order
    second = signature[:32] + scalar.to_bytes(32, "little")
    document = {"format": "holdfast-signature-1", "key": signing_key.id, "signature": second.hex()}
    with pytest.raises(IntegrityError):
        check_manifest(manifest.to_bytes(), canonical_json(document), signer=signing_key.public)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"[" * 1_000,
        b"x" * 2_000,
        canonical_json({"format": "holdfast-signature-2", "key": "", "signature": "0" * 128}),
        canonical_json({"format": "holdfast-signature-1", "key": "", "signature": "0" * 127}),
        canonical_json({"format": "holdfast-signature-1", "key": "", "signature": "0" * 128, "more": 1}),
        canonical_json({"format": "holdfast-signature-1", "key": 1, "signature": "0" * 128}),
        b'{"format":"holdfast-signature-1","key":"\\ud800","signature":""}',
    ],
)
def test_what_is_not_a_signature_file_is_refused(signature, manifest, signing_key):
    with pytest.raises(IntegrityError):
        check_manifest(manifest.to_bytes(), signature, signer=signing_key.public)


BAD_NAMES = [
    "../x.json",
    "evidence/../../x.json",
    "./x.json",
    "/etc/x.json",
    "evidence//x.json",
    "evidence\\x.json",
    "c:x.json",
    "x\0.json",
    "x.json\n",
    " x.json",
    "x .json",
    "",
    ".json",
    ".hidden.json",
    "evidence/",
    "evidence",
    "a.b/x.json",
    "a/b/c/x.json",
    "X.json",
    "x.JSON",
    "cafe\u0301.json",
    "caf\u00e9.json",
    "\u202ex.json",
    "a" * 250 + ".json",
    "model.pkl",
    "model.pt",
    "run.py",
    "run.sh",
    "archive.zip",
    "x.json.exe",
    "manifest.json",
    "signature.json",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_leave_the_bundle_or_be_read_two_ways_is_refused(name, signing_key):
    with pytest.raises(WireError, match=r"^expected (the plain name of a file|a file that ends in)"):
        manifest_of(files=NEEDED | {name: FileEntry(0, DIGEST)})
    hostile = (
        manifest_of()
        .to_bytes()
        .replace(
            b'"files":{',
            b'"files":{' + json.dumps(name).encode() + b":" + canonical_json({"digest": DIGEST, "size": 0}) + b",",
        )
    )
    with pytest.raises(IntegrityError):
        check_manifest(hostile, signed_by(signing_key, hostile), signer=signing_key.public)


@pytest.mark.parametrize("label", ["", ".", "..", "a/b", "a b", "-a", "a\n", "é", "x" * 201, 3, None])
@pytest.mark.parametrize("what", ["name", "version"])
def test_a_name_or_version_that_is_more_than_a_label_is_refused(what, label):
    with pytest.raises(WireError, match=f"^expected a {what} of at most 200 letters"):
        manifest_of(**{what: label})


@pytest.mark.parametrize(
    "created",
    ["", "2025", "2025-01-31", "2025-02-30T12:00:00Z", "2025-01-31T12:00:00+00:00", "2025-01-31T25:00:00Z", 5],
)
def test_a_time_that_is_not_one_is_refused(created):
    with pytest.raises(WireError, match="expected a time in UTC"):
        manifest_of(created=created)


@pytest.mark.parametrize(
    "entry",
    [
        FileEntry(-1, DIGEST),
        FileEntry(2**20 + 1, DIGEST),
        FileEntry(True, DIGEST),
        FileEntry(0, "sha256:"),
        FileEntry(0, DIGEST.upper()),
        FileEntry(0, DIGEST + "\n"),
        FileEntry(0, "md5:" + "0" * 32),
    ],
)
def test_an_entry_with_an_impossible_size_or_digest_is_refused(entry):
    with pytest.raises(WireError, match=r"x\.txt"):
        manifest_of(files=NEEDED | {"x.txt": entry})


def test_a_bundle_without_a_model_or_a_card_or_with_too_much_is_refused():
    for needed in NEEDED:
        with pytest.raises(WireError, match=f"expected {needed} in the bundle"):
            manifest_of(files={name: entry for name, entry in NEEDED.items() if name != needed})
    with pytest.raises(WireError, match="at most 998 files"):
        manifest_of(files=NEEDED | {f"{i}.txt": FileEntry(0, DIGEST) for i in range(997)})
    with pytest.raises(WireError, match="larger one"):
        manifest_of(files=NEEDED | {f"{i}.onnx": FileEntry(2**30, DIGEST) for i in range(3)})


HOSTILE = {
    "key twice": lambda good: good.replace(b'"name":"m"', b'"name":"m","name":"n"'),
    "file twice": lambda good: good.replace(
        b'"model.onnx":', b'"model.onnx":{"digest":"' + DIGEST.encode() + b'","size":1},"model.onnx":'
    ),
    "spaces": lambda good: good.replace(b":", b": "),
    "other order": lambda good: json.dumps(dict(reversed(json.loads(good).items())), separators=(",", ":")).encode(),
    "escapes": lambda good: good.replace(b'"m"', b'"\\u006d"'),
    "later format": lambda good: good.replace(b"holdfast-bundle-1", b"holdfast-bundle-2"),
    "no format": lambda good: good.replace(b'"format":"holdfast-bundle-1",', b""),
    "more fields": lambda good: good.replace(b'"name"', b'"more":1,"name"'),
    "float size": lambda good: good.replace(b'"size":0', b'"size":0.0'),
    "more in an entry": lambda good: good.replace(b'"size":0', b'"size":0,"when":1'),
    "files a list": lambda good: canonical_json(json.loads(good) | {"files": []}),
    "an array": lambda good: b"[]",
    "too long": lambda good: good + b" " * 2**20,
    "not json": lambda good: b"\x80\x04K\x01.",
    "surrogate": lambda good: good.replace(b'"m"', b'"\\ud800"'),
    "deep": lambda good: b"[" * 100_000,
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_manifest_that_could_be_read_two_ways_is_refused_even_well_signed(attack, signing_key):
    good = manifest_of().to_bytes()
    hostile = HOSTILE[attack](good)
    assert hostile != good
    with pytest.raises(IntegrityError):
        check_manifest(hostile, signed_by(signing_key, hostile), signer=signing_key.public)


def test_a_missing_an_extra_and_a_renamed_file_are_refused(manifest, whole):
    for name in whole:
        rest = {other: data for other, data in whole.items() if other != name}
        with pytest.raises(IntegrityError, match=f"{name} is missing"):
            check_files(manifest, rest)
        with pytest.raises(IntegrityError, match="is missing"):
            check_files(manifest, rest | {"other.txt": whole[name]})
    with pytest.raises(IntegrityError, match=r"'more\.txt' is in the bundle, and its manifest does not list it"):
        check_files(manifest, whole | {"more.txt": b""})


def test_every_flipped_bit_of_every_file_is_refused(manifest, whole):
    for name, data in whole.items():
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 1 << at % 8
            with pytest.raises(IntegrityError, match=f"{name} was changed"):
                check_files(manifest, whole | {name: bytes(changed)})


def test_two_files_that_changed_places_are_refused(manifest, whole):
    swapped = whole | {"private/plan.json": whole["card.json"], "card.json": whole["private/plan.json"]}
    with pytest.raises(IntegrityError, match="was changed"):
        check_files(manifest, swapped)


@pytest.mark.parametrize("name", ["model.onnx", "private/plan.json", "readme.md"])
def test_a_pickle_is_refused_even_when_it_is_well_signed(name, whole, card):
    hostile = whole | {name: b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01."}
    manifest = Manifest.of(hostile, name=card.name, version=card.version, created=card.created)
    with pytest.raises(IntegrityError, match="it is a pickle"):
        check_files(manifest, hostile)


def test_a_card_of_another_model_or_none_at_all_is_refused_even_when_well_signed(whole, make_card):
    cards = [make_card(name="n"), make_card(version="4"), make_card(created="2025-01-31T12:00:01Z")]
    for document in (*(card.to_json() for card in cards), {}, [], {"format": "holdfast-card-2"}):
        hostile = whole | {"card.json": canonical_json(document)}
        manifest = Manifest.of(hostile, name="tumour", version="3", created="2025-01-31T12:00:00Z")
        with pytest.raises(IntegrityError, match="expected a card"):
            check_files(manifest, hostile)
