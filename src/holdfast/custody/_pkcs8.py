"""A private key as PEM, encrypted under a passphrase that is expensive to guess.

`cryptography` writes encrypted PKCS #8 with PBKDF2 at 2,048 iterations, which a graphics card runs through hundreds
of thousands of times a second. It reads stronger settings, so the same standard file is written here with scrypt:
PBES2 (RFC 8018, section 6.2) with scrypt (RFC 7914, section 7) and AES-256-CBC.

The encryption hides the key; it does not authenticate the file. Whoever can change the file can make it unreadable,
or turn it into another key that nobody trusts.
"""

from __future__ import annotations

import base64
import os
import textwrap
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

_COST: Final = 2**17
"""scrypt's N with r = 8, p = 1: 128 MiB and about half a second a guess (OWASP Password Storage Cheat Sheet)."""
_BLOCK_SIZE: Final = 8
_KEY_BYTES: Final = 32

_INTEGER, _OCTET_STRING, _SEQUENCE = 0x02, 0x04, 0x30
_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT: Final = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42


def encrypted_pem(pkcs8: bytes, *, passphrase: bytes) -> bytes:
    """The PEM file ("ENCRYPTED PRIVATE KEY") of a PKCS #8 key in DER, of at most 200 bytes."""
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
    """One DER value of at most 65,535 bytes (X.690, section 8.1.3)."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    if size < 0x100:
        return bytes([tag, 0x81, size]) + content
    return bytes([tag, 0x82, size >> 8, size & 0xFF]) + content


def _der_integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))
