"""A client's keys for private inference, kept from one run to the next: encrypted under a passphrase, one file a plan.

    "HFCK", version 1, salt (16 bytes), nonce (12 bytes), AES-256-GCM of JSON

The JSON holds the session's secret, of 32 bytes, and the digests of the key sets that a service has of it. AES's key
is made of the passphrase by scrypt (N = 2^17, r = 8, p = 1: OWASP Password Storage Cheat Sheet); salt and nonce are new
with every writing. The file's header and its plan are authenticated too, so no file is taken for another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from holdfast.errors import CredentialError, InputError, UsageError
from holdfast.evidence import canonical_json
from holdfast.files import read_bytes, write_atomic
from holdfast.limits import MAX_KEY_BYTES, MAX_PASSPHRASE_BYTES
from holdfast.private_inference import PrivateSession, PublicPlan

_MAGIC: Final = b"HFCK\x01"
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_COST: Final = 2**17


@dataclass(frozen=True, kw_only=True)
class KeySafe:
    """Where a client keeps its keys, and what they are encrypted with.

    Args:
        folder: made when it is first needed; only its owner may read it.
        passphrase: of at least one character.

    Raises:
        UsageError: the passphrase is empty or too long.
    """

    folder: Path
    passphrase: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a passphrase that protects nothing."""
        if not 1 <= len(self.passphrase.encode()) <= MAX_PASSPHRASE_BYTES:
            raise UsageError(f"expected a passphrase of 1 to {MAX_PASSPHRASE_BYTES} bytes")

    def open(self, plan: PublicPlan) -> tuple[PrivateSession, dict[str, str]]:
        """The session of a plan, and by layout the digests of the keys uploaded in it; a new one where none is kept.

        Raises:
            CredentialError: the file does not open with this passphrase, or was changed.
            InputError: it is not a file of client keys.
            SystemFault: the operating system refuses to read it.
        """
        path = self._path(plan)
        if not path.exists():
            return PrivateSession(plan), {}
        kept = self._opened(read_bytes(path, max_bytes=MAX_KEY_BYTES, what="a file of client keys"), path, plan)
        digests: dict[str, str] = kept["key_digests"]
        return PrivateSession(plan, secret=bytes.fromhex(kept["secret"]), key_digests=digests), digests

    def keep(self, session: PrivateSession, *, key_digests: Mapping[str, str]) -> None:
        """Write the session's secret, and the digests of the key sets that were uploaded, by layout.

        Raises:
            SystemFault: the operating system refuses.
        """
        told = {"secret": session.secret_bytes().hex(), "key_digests": dict(key_digests)}
        salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
        header = _MAGIC + salt + nonce
        about = header + session.plan.digest.encode()
        sealed = AESGCM(self._key(salt)).encrypt(nonce, canonical_json(told), about)
        path = self._path(session.plan)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, header + sealed, private=True)

    def _path(self, plan: PublicPlan) -> Path:
        return self.folder / f"{plan.digest.removeprefix('sha256:')[:32]}.keys"

    def _opened(self, data: bytes, path: Path, plan: PublicPlan) -> dict[str, Any]:
        start = len(_MAGIC) + _SALT_BYTES + _NONCE_BYTES
        if not data.startswith(_MAGIC) or len(data) <= start:
            raise InputError(f"expected a file of client keys at {path}, got something else", hint="move it away")
        header = data[:start]
        salt, nonce = header[len(_MAGIC) : -_NONCE_BYTES], header[-_NONCE_BYTES:]
        try:
            told = AESGCM(self._key(salt)).decrypt(nonce, data[start:], header + plan.digest.encode())
        except InvalidTag:
            raise CredentialError(
                f"the client keys at {path} do not open: another passphrase, or the file was changed",
                hint="set the passphrase that they were kept with, or move the file away and new keys are made",
            ) from None
        kept: dict[str, Any] = json.loads(told)
        return kept

    def _key(self, salt: bytes) -> bytes:
        return Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(self.passphrase.encode())
