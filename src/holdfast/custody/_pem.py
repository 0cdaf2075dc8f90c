"""Key files: standard PEM in, standard PEM out, one kind of key never taken for another.

A private key may be encrypted. `cryptography` writes encrypted PKCS #8 with PBKDF2 at 2,048 iterations, a
three-hundredth of what the OWASP Password Storage Cheat Sheet asks for. It reads stronger settings, so the same
standard file is written here with scrypt: PBES2 (RFC 8018, section 6.2), scrypt (RFC 7914, section 7), AES-256-CBC.

The encryption hides the key; it does not authenticate the file. Whoever can change the file can make it unreadable,
or turn it into another key that nobody trusts.
"""

from __future__ import annotations

import base64
import os
import re
import textwrap
from pathlib import Path
from typing import Final, TypeVar

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from holdfast.errors import CredentialError, InputError, UsageError
from holdfast.files import read_bytes, write_atomic
from holdfast.limits import MAX_KEY_BYTES, MAX_PASSPHRASE_BYTES

PrivateKey = Ed25519PrivateKey | X25519PrivateKey
PublicKey = Ed25519PublicKey | X25519PublicKey
_Key = TypeVar("_Key", bound=PrivateKey | PublicKey)

_NAMES: Final = {
    Ed25519PrivateKey: "a private signing key (Ed25519)",
    Ed25519PublicKey: "a public verify key (Ed25519)",
    X25519PrivateKey: "a private recipient key (X25519)",
    X25519PublicKey: "a public recipient (X25519)",
}
_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_PUBLIC, _PRIVATE, _ENCRYPTED = b"PUBLIC KEY", b"PRIVATE KEY", b"ENCRYPTED PRIVATE KEY"

_COST: Final = 2**17
"""scrypt's N with r = 8, p = 1: 128 MiB and about half a second a guess (OWASP Password Storage Cheat Sheet)."""
_BLOCK_SIZE: Final = 8
_KEY_BYTES: Final = 32

_INTEGER, _OCTET_STRING, _SEQUENCE = 0x02, 0x04, 0x30
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT: Final = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42


def load_key(path: Path, kind: type[_Key], *, passphrase: str | None = None) -> _Key:
    """Read the one key of a PEM file.

    Raises:
        InputError: no file there, not this kind of key, or a passphrase for a key that has none.
        CredentialError: the passphrase is missing or wrong.
        SystemFault: the operating system refuses to read it.
    """
    wanted = _NAMES[kind]
    data = read_bytes(path, max_bytes=MAX_KEY_BYTES, what=wanted)
    labels = _LABEL.findall(data)
    if len(labels) != 1:
        raise InputError(f"expected {wanted} in {path}, got a file that is not one PEM key")
    if kind in (Ed25519PublicKey, X25519PublicKey):
        key = _parse_public(data) if labels == [_PUBLIC] else None
    else:
        key = _parse_private(data, labels[0], path, passphrase) if labels[0] in (_PRIVATE, _ENCRYPTED) else None
    if not isinstance(key, kind):
        got = next((name for other, name in _NAMES.items() if isinstance(key, other)), f"a {labels[0].decode()} block")
        raise InputError(f"expected {wanted} in {path}, got {got}")
    return key


def save_public(key: PublicKey, path: Path) -> None:
    """Write a public key."""
    _write_new(path, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), private=False)


def save_private(key: PrivateKey, path: Path, *, passphrase: str | None) -> None:
    """Write a private key for its owner only, encrypted if there is a passphrase."""
    if passphrase is None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    else:
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        pem = _encrypted_pem(der, passphrase=_passphrase_bytes(passphrase))
    _write_new(path, pem, private=True)


def _write_new(path: Path, pem: bytes, *, private: bool) -> None:
    if path.exists() or path.is_symlink():
        raise UsageError(
            f"expected no file at {path}, found one; a key file is never overwritten", hint="choose another name"
        )
    write_atomic(path, pem, private=private)


def _parse_public(data: bytes) -> object:
    try:
        return load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        return None


def _parse_private(data: bytes, label: bytes, path: Path, passphrase: str | None) -> object:
    if label == _PRIVATE and passphrase is not None:
        raise InputError(f"expected an encrypted key in {path}, got one without a passphrase")
    if label == _ENCRYPTED and passphrase is None:
        raise CredentialError(f"the key in {path} is encrypted, and no passphrase was given")
    secret = None if passphrase is None else _passphrase_bytes(passphrase)
    try:
        return load_pem_private_key(data, secret)
    except (ValueError, UnsupportedAlgorithm, InternalError):
        if secret is None:
            return None
        raise CredentialError(f"the passphrase does not open the key in {path}, or the file is damaged") from None


def _passphrase_bytes(passphrase: str) -> bytes:
    data = passphrase.encode()
    if not 1 <= len(data) <= MAX_PASSPHRASE_BYTES:
        raise UsageError(f"expected a passphrase of 1 to {MAX_PASSPHRASE_BYTES} bytes, got {len(data)}")
    return data


def _encrypted_pem(pkcs8: bytes, *, passphrase: bytes) -> bytes:
    """The PEM file ("ENCRYPTED PRIVATE KEY") of a PKCS #8 key in DER; one of ours has 48 bytes."""
    salt, iv = os.urandom(16), os.urandom(16)
    key = Scrypt(salt=salt, length=_KEY_BYTES, n=_COST, r=_BLOCK_SIZE, p=1).derive(passphrase)
    padder, encryptor = PKCS7(AES256.block_size).padder(), Cipher(AES256(key), CBC(iv)).encryptor()
    padded = padder.update(pkcs8) + padder.finalize()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    scrypt_settings = _der(
        _SEQUENCE, _der(_OCTET_STRING, salt), *map(_der_integer, (_COST, _BLOCK_SIZE, 1, _KEY_BYTES))
    )
    key_derivation = _der(_SEQUENCE, _SCRYPT, scrypt_settings)
    cipher = _der(_SEQUENCE, _AES_256_CBC, _der(_OCTET_STRING, iv))
    scheme = _der(_SEQUENCE, _PBES2, _der(_SEQUENCE, key_derivation, cipher))
    body = base64.b64encode(_der(_SEQUENCE, scheme, _der(_OCTET_STRING, ciphertext))).decode()
    lines = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", *textwrap.wrap(body, 64), "-----END ENCRYPTED PRIVATE KEY-----"]
    return ("\n".join(lines) + "\n").encode()


def _der(tag: int, *parts: bytes) -> bytes:
    """One DER value of at most 255 bytes (X.690, section 8.1.3)."""
    content = b"".join(parts)
    size = len(content)
    return bytes([tag, size] if size < 0x80 else [tag, 0x81, size]) + content


def _der_integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))
