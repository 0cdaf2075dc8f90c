"""A sealed bundle: the whole bundle in one file that only its recipient can open.

    marker         "holdfast-sealed-1" and a line feed
    recipient      the fingerprint of the recipient's key, 16 bytes
    wrapped key    a fresh file key of 32 bytes under HPKE (RFC 9180, base mode), 80 bytes; info = all before it
    payload        the container of all files, in chunks under the file key; associated data = all before it

First signed, then encrypted. What that gives: nobody but the recipient reads it; whoever changes, cuts, extends or
re-addresses the file is noticed; inside is exactly what the signer signed. What it does not give: the signature says
who made the bundle and not for whom, so a recipient can open it and seal it again to somebody else, who cannot tell
("surreptitious forwarding", Davis 2001). That is on purpose: a bundle is passed on without its signing key, from
training to serving, and to an auditor. Neither does a sealed file say who sealed it, nor hide its length or its
recipient.

Opening takes the memory of the bundle about three times.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from holdfast.custody._container import pack, unpack
from holdfast.custody.bundle import Bundle, save_bundle
from holdfast.custody.keys import FINGERPRINT_BYTES, KEY_BYTES, WRAP_OVERHEAD_BYTES, Recipient, RecipientKey, VerifyKey
from holdfast.custody.manifest import MANIFEST, SIGNATURE
from holdfast.custody.verify import check_files, check_manifest
from holdfast.errors import IntegrityError, WireError
from holdfast.files import read_bytes, write_atomic
from holdfast.limits import MAX_SEALED_BYTES
from holdfast.stream import decrypt_stream, encrypt_stream

_MARKER: Final = b"holdfast-sealed-1\n"
_ADDRESS_BYTES: Final = len(_MARKER) + FINGERPRINT_BYTES
_HEADER_BYTES: Final = _ADDRESS_BYTES + KEY_BYTES + WRAP_OVERHEAD_BYTES


def seal(bundle: Bundle, path: str | Path, *, recipient: Recipient) -> None:
    """Write a bundle as one file that only `recipient` can open, whole or not at all.

    Raises:
        SystemFault: the disk refuses; what was at `path` is left as it was.
    """
    write_atomic(Path(path), _encrypt(pack(bundle.all_files()), recipient))


def open_sealed(path: str | Path, *, key: RecipientKey, signer: VerifyKey) -> Bundle:
    """Decrypt a sealed bundle and verify it like `verify_bundle`, in memory; nothing is written.

    Raises:
        IntegrityError: a bit was changed, a byte cut off or added, it is sealed to another key, or `signer` did not
            sign it.
        InputError: there is no file at this path, or it is larger than a sealed bundle can be.
        SystemFault: the operating system refuses to read it.
    """
    path = Path(path)
    files = _decrypt(read_bytes(path, max_bytes=MAX_SEALED_BYTES, what="a sealed bundle"), path, key)
    manifest_bytes, signature = files.pop(MANIFEST, b""), files.pop(SIGNATURE, b"")
    manifest = check_manifest(manifest_bytes, signature, signer=signer)
    check_files(manifest, files)
    return Bundle(manifest=manifest, signature=signature, signer=signer, files=files)


def open_to(path: str | Path, folder: str | Path, *, key: RecipientKey, signer: VerifyKey) -> Bundle:
    """Open a sealed bundle and, once all of it is verified, write it as a folder.

    Raises:
        HoldfastError: as `open_sealed`, then as `save_bundle`.
    """
    bundle = open_sealed(path, key=key, signer=signer)
    save_bundle(bundle, folder)
    return bundle


def _encrypt(container: bytes, recipient: Recipient) -> bytes:
    file_key = os.urandom(KEY_BYTES)
    address = _MARKER + recipient.fingerprint
    header = address + recipient.encrypt(file_key, info=address)
    return header + encrypt_stream(container, key=file_key, associated=header)


def _decrypt(sealed: bytes, path: Path, key: RecipientKey) -> dict[str, bytes]:
    """The files in a sealed bundle; not verified yet, for anybody can seal to a public key."""
    address, header = sealed[:_ADDRESS_BYTES], sealed[:_HEADER_BYTES]
    if not address.startswith(_MARKER) or len(header) < _HEADER_BYTES:
        raise IntegrityError(f"expected a sealed bundle (holdfast-sealed-1) at {path}, got something else")
    fingerprint = address[len(_MARKER) :]
    if fingerprint != key.public.fingerprint:
        raise IntegrityError(f"expected a bundle sealed to {key.id}, {path} is sealed to x25519:{fingerprint.hex()}")
    try:
        container = decrypt_stream(
            sealed[_HEADER_BYTES:], key=key.decrypt(header[_ADDRESS_BYTES:], info=address), associated=header
        )
        return unpack(container)
    except (IntegrityError, WireError):
        raise IntegrityError(f"{path} was changed after it was sealed") from None
