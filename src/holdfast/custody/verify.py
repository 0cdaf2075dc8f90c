"""Every check on a bundle. Bytes in, verdict out: no disk, no network.

A bundle is verified in six steps, tagged where they are done. The first that fails ends it with an `IntegrityError`.

    1  signature.json names the signer who is expected and holds that signer's signature of manifest.json
    2  manifest.json is canonical, of the format `holdfast-bundle-1`, with names and sizes within their bounds
    3  the files are those of the manifest: none is missing, none is there besides
    4  each file has the size and the SHA-256 that the manifest gives it
    5  each file's content is the format of its ending
    6  card.json is a card, of the same name, version and time as the manifest

Nothing is parsed before its signature or digest is right, but for signature.json, which has one fixed shape.

What the caller still owes: to know the signer's key, from somewhere else than the bundle; to want this name and this
version (an older bundle, once signed, stays well signed); to judge the evidence by a policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from holdfast.custody._formats import check_format
from holdfast.custody._json import parse_canonical, parse_json
from holdfast.custody.card import ModelCard
from holdfast.custody.keys import SigningKey, VerifyKey
from holdfast.custody.manifest import CARD, FORMAT, Manifest
from holdfast.errors import IntegrityError, WireError
from holdfast.evidence import canonical_json, digest_bytes
from holdfast.limits import MAX_SIGNATURE_BYTES

SIGNATURE_FORMAT: Final = "holdfast-signature-1"

_SIGNATURE_HEX: Final = re.compile(r"[0-9a-f]{128}")


def sign_manifest(manifest: Manifest, *, signing_key: SigningKey) -> bytes:
    """The signature.json of a manifest."""
    signature = signing_key.sign(manifest.to_bytes(), purpose=FORMAT)
    return canonical_json({"format": SIGNATURE_FORMAT, "key": signing_key.id, "signature": signature.hex()})


def check_manifest(manifest: bytes, signature: bytes, *, signer: VerifyKey) -> Manifest:
    """Steps 1 and 2: the manifest, once it is certain that `signer` signed these very bytes.

    Raises:
        IntegrityError: a step fails.
    """
    try:
        _check_signature(manifest, signature, signer)  # step 1
        return Manifest.from_bytes(manifest)  # step 2
    except WireError as error:
        raise IntegrityError(str(error)) from None


def check_files(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Steps 3 to 6: these files are the ones that the manifest lists, and what they say they are.

    Raises:
        IntegrityError: a step fails.
    """
    _check_names(manifest, files)  # step 3
    for name, entry in manifest.files.items():  # step 4
        if len(files[name]) != entry.size or digest_bytes(files[name]) != entry.digest:
            raise IntegrityError(f"{name} was changed after the bundle was signed")
    try:
        check_contents(manifest, files)
    except WireError as error:
        raise IntegrityError(str(error)) from None


def check_contents(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Steps 5 and 6 alone, which a bundle has to pass before it is signed, too.

    Raises:
        WireError: a step fails.
    """
    for name, data in files.items():  # step 5
        check_format(name, data)
    card = ModelCard.from_json(parse_json(files[CARD], what="the card"))  # step 6
    for what in ("name", "version", "created"):
        said, listed = getattr(card, what), getattr(manifest, what)
        if said != listed:
            raise WireError(f"expected a card with the manifest's {what} {listed!r}, got {said!r:.100}")


def _check_signature(manifest: bytes, signature: bytes, signer: VerifyKey) -> None:
    if len(signature) > MAX_SIGNATURE_BYTES:
        raise WireError(f"expected a signature file of at most {MAX_SIGNATURE_BYTES} bytes, got {len(signature)}")
    match parse_canonical(signature, what="the signature file"):
        case {"format": str(found), "key": str(key), "signature": str(value), **rest} if not rest:
            if found != SIGNATURE_FORMAT or not _SIGNATURE_HEX.fullmatch(value):
                raise WireError(f"expected a signature in the format {SIGNATURE_FORMAT}, got another")
            if key != signer.id:
                raise IntegrityError(f"expected a bundle signed by {signer.id}, got one signed by {key!r:.100}")
            signer.verify(bytes.fromhex(value), manifest, purpose=FORMAT)
        case _:
            raise WireError("expected a signature file with format, key and signature, got another shape")


def _check_names(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    for name in manifest.files:
        if name not in files:
            raise IntegrityError(f"{name} is missing from the bundle")
    for name in files:
        if name not in manifest.files:
            raise IntegrityError(f"{name!r:.100} is in the bundle, and its manifest does not list it")
