"""The end of an encrypted Parquet file, where it says how it is encrypted and under which key.

    … pages …
    FileCryptoMetaData    Thrift, compact protocol: the algorithm and the key metadata
    footer                encrypted
    length                4 bytes, little-endian, of the two above
    "PARE"

(Apache Parquet Modular Encryption, https://github.com/apache/parquet-format/blob/master/Encryption.md, section 5.)

None of FileCryptoMetaData is authenticated. An attacker may set the algorithm to AES_GCM_CTR_V1, and a reader that
obeys takes pages without a check: so nothing but AES_GCM_V1 is read here. The key metadata holds the data key wrapped,
so a changed one does not open; and as it is bound to nothing else, it can be exchanged when the master key is.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final

from holdfast.data.protect.keys import WrappedKey
from holdfast.errors import IntegrityError

MAGIC: Final = b"PARE"
"""How an encrypted Parquet file begins and ends; a clear one, or one with a clear footer, has PAR1."""

_LENGTH_BYTES: Final = 4
_MAX_METADATA_BYTES: Final = 64 * 1024
"""Bytes of the key metadata; ours has about 400."""
_MAX_VARINT_BYTES: Final = 3

# Thrift's compact protocol: a field is one byte, the step from the last field's number and the type, then its value.
_STRUCT_1, _BINARY_1, _BINARY_2_AFTER_1, _BINARY_2_FIRST, _FALSE_3 = 0x1C, 0x18, 0x18, 0x28, 0x12
_STOP: Final = 0x00

_MATERIAL: Final = {"keyMaterialType": "PKMT1", "internalStorage": True, "isFooterKey": True, "doubleWrapping": False}
"""What the key material says of itself when one data key, wrapped once and kept in the file, serves all columns."""


@dataclass(frozen=True, kw_only=True)
class ParquetTail:
    """Where the end of an encrypted file starts, and what it says.

    Args:
        start: bytes before FileCryptoMetaData.
        algorithm: the bytes of the algorithm with its nonce prefix, as they stand.
        material: the key material, JSON as its writer left it.
        footer: the encrypted footer.
    """

    start: int
    algorithm: bytes
    material: dict[str, Any]
    footer: bytes

    @property
    def wrapped(self) -> WrappedKey:
        """The data key of the file."""
        wrapped = base64.b64decode(self.material["wrappedDEK"], validate=True)
        return WrappedKey(key_id=self.material["masterKeyID"], wrapped=wrapped)

    def with_key(self, key: WrappedKey) -> bytes:
        """The end of the same file with its data key wrapped anew."""
        wrapped = base64.b64encode(key.wrapped).decode()
        material = {**self.material, "masterKeyID": key.key_id, "wrappedDEK": wrapped}
        metadata = json.dumps(material, separators=(",", ":")).encode()
        crypto = bytes([_STRUCT_1]) + self.algorithm + bytes([_BINARY_2_AFTER_1]) + _varint(len(metadata))
        end = crypto + metadata + bytes([_STOP]) + self.footer
        return end + len(end).to_bytes(_LENGTH_BYTES, "little") + MAGIC


def read_tail(data: bytes, *, offset: int = 0) -> ParquetTail:
    """Read the end of a file, which stands at `offset`; the bytes may begin anywhere before it.

    Raises:
        IntegrityError: it is not an encrypted Parquet file, or not one with all of it under AES-GCM and one data key.
    """
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    if not data.endswith(MAGIC) or start < 0:
        raise IntegrityError("expected an encrypted Parquet file, got one that ends otherwise")
    cursor = _Cursor(data[start:-8])
    try:
        return _parse(cursor, offset + start)
    except (IndexError, ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise IntegrityError(
            "expected a Parquet file that is encrypted as a whole by AES-GCM under one data key, got another form",
            hint="encrypt the table again with: holdfast protect encrypt TABLE",
        ) from None


class _Cursor:
    """Bytes that are read from the front; what is not as expected is a ValueError, what is not there an IndexError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def skip(self, *expected: int) -> None:
        for byte in expected:
            if self.data[self.at] != byte:
                raise ValueError("another field")
            self.at += 1

    def sees(self, byte: int) -> bool:
        return self.data[self.at] == byte

    def binary(self) -> bytes:
        length = shift = 0
        for _ in range(_MAX_VARINT_BYTES):
            byte = self.data[self.at]
            self.at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if length > min(_MAX_METADATA_BYTES, len(self.data) - self.at):
            raise ValueError("too long")
        self.at += length
        return self.data[self.at - length : self.at]


def _parse(cursor: _Cursor, start: int) -> ParquetTail:
    cursor.skip(_STRUCT_1)
    begin = cursor.at
    cursor.skip(_STRUCT_1)  # AES_GCM_V1; AES_GCM_CTR_V1 would be field 2
    if cursor.sees(_BINARY_1):  # aad_prefix, which other writers may keep in the file
        cursor.skip(_BINARY_1)
        cursor.binary()
        cursor.skip(_BINARY_1)
    else:
        cursor.skip(_BINARY_2_FIRST)
    cursor.binary()  # aad_file_unique
    if cursor.sees(_FALSE_3):  # supply_aad_prefix
        cursor.skip(_FALSE_3)
    cursor.skip(_STOP, _STOP)
    algorithm = cursor.data[begin : cursor.at]
    cursor.skip(_BINARY_2_AFTER_1)
    material = json.loads(cursor.binary())
    cursor.skip(_STOP)
    if {name: material[name] for name in _MATERIAL} != _MATERIAL:
        raise ValueError("another kind of key material")
    tail = ParquetTail(start=start, algorithm=algorithm, material=material, footer=cursor.data[cursor.at :])
    if not isinstance(tail.wrapped.key_id, str):
        raise TypeError("no master key")
    return tail


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
