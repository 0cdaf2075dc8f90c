"""Four keys: who signs and who checks (Ed25519), who may open and for whom to seal (X25519).

    SigningKey    private   signs a bundle                 PEM "PRIVATE KEY", or "ENCRYPTED PRIVATE KEY"
    VerifyKey     public    checks who signed it           PEM "PUBLIC KEY"
    RecipientKey  private   opens a sealed bundle          PEM "PRIVATE KEY", or "ENCRYPTED PRIVATE KEY"
    Recipient     public    whom a bundle is sealed to     PEM "PUBLIC KEY"

Key files are standard PEM (PKCS #8 and SubjectPublicKeyInfo, RFC 8410): the label tells private from public and the
algorithm inside tells signing from opening, so no key is ever taken for another. A private key has mode 0600 and,
with a passphrase, is encrypted (see `_pem`). No key file is ever overwritten.

Private keys are handles: they show their id and nothing else, and refuse to be pickled or copied.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, NoReturn, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from holdfast.custody._pem import load_key, save_private, save_public
from holdfast.errors import InputError, IntegrityError, UsageError

KEY_BYTES: Final = 32
FINGERPRINT_BYTES: Final = 16
WRAP_OVERHEAD_BYTES: Final = 48
"""Bytes that `Recipient.encrypt` adds: the encapsulated key (32) and the tag (16)."""

_HPKE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
"""RFC 9180 base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM."""


@dataclass(frozen=True, repr=False)
class _PublicKey:
    """What both public keys can do; `raw` is the 32 bytes of RFC 7748 or RFC 8032."""

    raw: bytes

    _kind: ClassVar[type[Ed25519PublicKey | X25519PublicKey]]
    _prefix: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse what is not 32 bytes."""
        if len(self.raw) != KEY_BYTES:
            raise InputError(f"expected a public key of {KEY_BYTES} bytes, got {len(self.raw)}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id})"

    @property
    def fingerprint(self) -> bytes:
        """The first 16 bytes of the SHA-256 of the key."""
        return hashlib.sha256(self.raw).digest()[:FINGERPRINT_BYTES]

    @property
    def id(self) -> str:
        """The fingerprint for people and logs: the algorithm and 32 hexadecimal digits."""
        return f"{self._prefix}:{self.fingerprint.hex()}"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a key that `save` wrote.

        Raises:
            InputError: no file there, or not this kind of key.
            SystemFault: the operating system refuses to read it.
        """
        return cls(load_key(Path(path), cls._kind).public_bytes_raw())

    def save(self, path: str | Path) -> None:
        """Write the key as PEM; `load` is its inverse.

        Raises:
            UsageError: there is a file already.
            SystemFault: the operating system refuses to write it.
        """
        save_public(self._kind.from_public_bytes(self.raw), Path(path))


class VerifyKey(_PublicKey):
    """The public half of a `SigningKey`. Whoever has it can check a signature, and nobody can make one with it."""

    _kind = Ed25519PublicKey
    _prefix = "ed25519"

    def verify(self, signature: bytes, message: bytes, *, purpose: str) -> None:
        """Check a signature made by `SigningKey.sign` for the same purpose.

        Raises:
            IntegrityError: the message, the purpose or the key is not the one that was signed.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, _separated(message, purpose))
        except InvalidSignature:
            raise IntegrityError(f"expected a signature by {self.id} for {purpose}, got one that is not") from None


class Recipient(_PublicKey):
    """The public half of a `RecipientKey`: whom to seal a bundle to."""

    _kind = X25519PublicKey
    _prefix = "x25519"

    def __post_init__(self) -> None:
        """Refuse the points of small order: everybody knows what is encrypted to them (RFC 7748, section 6.1)."""
        super().__post_init__()
        try:
            X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(self.raw))
        except ValueError:
            raise InputError("expected a public recipient (X25519), got a point that hides nothing") from None

    def encrypt(self, secret: bytes, *, info: bytes) -> bytes:
        """Encrypt a short secret so that only the recipient reads it, and only with the same `info`."""
        return _HPKE.encrypt(secret, X25519PublicKey.from_public_bytes(self.raw), info=info)


class _PrivateKey(ABC):
    """What both private keys can do, and what none does."""

    __slots__ = ("_key",)

    _kind: ClassVar[type[Ed25519PrivateKey | X25519PrivateKey]]

    def __init__(self, key: Ed25519PrivateKey | X25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id}, secret not shown)"

    def __reduce__(self) -> NoReturn:
        raise UsageError(f"a {type(self).__name__} does not leave its process; save it with a passphrase instead")

    @classmethod
    def generate(cls) -> Self:
        """A new key from the operating system's randomness."""
        return cls(cls._kind.generate())

    @classmethod
    def load(cls, path: str | Path, *, passphrase: str | None = None) -> Self:
        """Read a key that `save` wrote.

        Raises:
            InputError: no file there, not this kind of key, or a passphrase for a key that has none.
            CredentialError: the passphrase is missing or wrong.
            SystemFault: the operating system refuses to read it.
        """
        return cls(load_key(Path(path), cls._kind, passphrase=passphrase))

    def save(self, path: str | Path, *, passphrase: str | None = None) -> None:
        """Write the key as PEM for the owner only, encrypted if there is a passphrase; `load` is its inverse.

        Raises:
            UsageError: there is a file already, or the passphrase is empty or too long.
            SystemFault: the operating system refuses to write it.
        """
        save_private(self._key, Path(path), passphrase=passphrase)

    @property
    def id(self) -> str:
        """The id of the public half."""
        return self.public.id

    @property
    @abstractmethod
    def public(self) -> _PublicKey:
        """The half that may be given away."""


class SigningKey(_PrivateKey):
    """Signs bundles (Ed25519, RFC 8032). Who holds it can say "this model is ours"."""

    __slots__ = ()

    _kind = Ed25519PrivateKey
    _key: Ed25519PrivateKey

    @property
    def public(self) -> VerifyKey:
        """The half that checks."""
        return VerifyKey(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes, *, purpose: str) -> bytes:
        """Sign a message for one purpose; a signature for one purpose is worth nothing for another."""
        return self._key.sign(_separated(message, purpose))


class RecipientKey(_PrivateKey):
    """Opens what was sealed to its `Recipient` (X25519, RFC 7748)."""

    __slots__ = ()

    _kind = X25519PrivateKey
    _key: X25519PrivateKey

    @property
    def public(self) -> Recipient:
        """The half that seals."""
        return Recipient(self._key.public_key().public_bytes_raw())

    def decrypt(self, encrypted: bytes, *, info: bytes) -> bytes:
        """The inverse of `Recipient.encrypt`.

        Raises:
            IntegrityError: the bytes were changed, or are not for this key and this `info`.
        """
        try:
            return _HPKE.decrypt(encrypted, self._key, info=info)
        except InvalidTag:
            raise IntegrityError(f"expected a secret encrypted to {self.id}, got one that is not") from None


def _separated(message: bytes, purpose: str) -> bytes:
    """What is really signed: product and purpose come first, so that no signature serves two ends."""
    return f"holdfast\0{purpose}\0".encode() + message
