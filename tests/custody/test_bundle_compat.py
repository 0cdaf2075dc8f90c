"""Bundles sealed by earlier versions stay readable, and docs/bundle-format.md is enough to read one.

tests/compat/bundle-1 was made once, when the format was, and is never made anew: `sample.holdfast` holds two chunks;
the recipient's key has the passphrase "not a secret".
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from holdfast.custody import RecipientKey, VerifyKey, open_sealed, seal

SAMPLE = Path(__file__).parents[1] / "compat" / "bundle-1"
DIGEST = "sha256:d8a295da610b2dfb12113a24c06c3d21d10ee44440e978eaec02c3d66697abbd"


@pytest.fixture(scope="module")
def key():
    return RecipientKey.load(SAMPLE / "recipient-key.pem", passphrase="not a secret")


@pytest.fixture(scope="module")
def opened(key):
    signer = VerifyKey.load(SAMPLE / "verify-key.pem")
    return open_sealed(SAMPLE / "sample.holdfast", key=key, signer=signer)


def test_the_first_format_stays_readable(opened):
    assert (opened.name, opened.version, opened.digest) == ("sample", "1", DIGEST)
    assert opened.card.intended_use == "to stay readable"
    assert opened.evidence()[0].subject == opened.model_digest
    assert opened.files["readme.md"] == b"x" * 70_000 + b"\n"


def hkdf_extract(salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), material, "sha256")


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    output = block = b""
    for number in range(1, length // 32 + 2):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        output += block
    return output[:length]


def hpke_open(private: X25519PrivateKey, sealed: bytes, info: bytes) -> bytes:
    """RFC 9180 by its own words: sections 4.1 (Decap), 5.1 (KeySchedule, base mode), 6.1 (single shot), empty aad."""

    def labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
        return hkdf_extract(salt, b"HPKE-v1" + suite + label + material)

    def labeled_expand(suite: bytes, secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        return hkdf_expand(secret, length.to_bytes(2) + b"HPKE-v1" + suite + label + context, length)

    kem, suite = b"KEM" + (0x20).to_bytes(2), b"HPKE" + bytes.fromhex("0020 0001 0002")
    encapsulated, ciphertext = sealed[:32], sealed[32:]
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    context = encapsulated + private.public_key().public_bytes_raw()
    secret = labeled_expand(kem, labeled_extract(kem, b"", b"eae_prk", shared), b"shared_secret", context, 32)
    schedule = (
        b"\0" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(suite, b"", b"info_hash", info)
    )
    secret = labeled_extract(suite, secret, b"secret", b"")
    key = labeled_expand(suite, secret, b"key", schedule, 32)
    return AESGCM(key).decrypt(labeled_expand(suite, secret, b"base_nonce", schedule, 12), ciphertext, b"")


def read_by_the_book(sealed: bytes, private: X25519PrivateKey, signer: Ed25519PublicKey) -> dict[str, bytes]:
    """A second reader, written from docs/bundle-format.md alone."""
    assert sealed.startswith(b"holdfast-sealed-1\n")
    assert sealed[18:34] == hashlib.sha256(private.public_key().public_bytes_raw()).digest()[:16]
    cipher = AESGCM(hpke_open(private, sealed[34:114], info=sealed[:34]))
    chunks = [sealed[at : at + 65_552] for at in range(114, len(sealed), 65_552)]
    container = b"".join(
        cipher.decrypt(number.to_bytes(11) + bytes([number == len(chunks) - 1]), chunk, sealed[:114])
        for number, chunk in enumerate(chunks)
    )
    assert container.startswith(b"holdfast-files-1\n")
    files, rest = {}, container[17:]
    while rest:
        name, rest = rest[2 : 2 + int.from_bytes(rest[:2])], rest[2 + int.from_bytes(rest[:2]) :]
        files[name.decode()], rest = rest[8 : 8 + int.from_bytes(rest[:8])], rest[8 + int.from_bytes(rest[:8]) :]
    signature = json.loads(files["signature.json"])
    signer.verify(bytes.fromhex(signature["signature"]), b"holdfast\0holdfast-bundle-1\0" + files["manifest.json"])
    listed = json.loads(files["manifest.json"])["files"]
    assert {"manifest.json", "signature.json", *listed} == set(files)
    for name, entry in listed.items():
        assert entry == {
            "size": len(files[name]),
            "digest": "sha256:" + hashlib.sha256(files[name]).hexdigest(),
        }
    return files


@pytest.mark.parametrize("made", ["then", "now"])
def test_the_document_is_enough_to_read_a_sealed_bundle(made, key, opened, tmp_path):
    path = SAMPLE / "sample.holdfast"
    if made == "now":
        path = tmp_path / "now.holdfast"
        seal(opened, path, recipient=key.public)
    private = load_pem_private_key((SAMPLE / "recipient-key.pem").read_bytes(), b"not a secret")
    signer = load_pem_public_key((SAMPLE / "verify-key.pem").read_bytes())
    assert read_by_the_book(path.read_bytes(), private, signer) == opened.all_files()
