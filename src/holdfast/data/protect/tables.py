"""Tables at rest: Parquet files, encrypted as a whole, that other Parquet readers with the same key open too.

Parquet modular encryption as pyarrow writes it: every page, every header and the footer under AES-256-GCM with one data
key for the file, its place in the file authenticated with it; the data key wrapped by the key service, in the file's
key metadata. What is left to see: how long the file and its pages are, and under which master key and for which project
it was written.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

from holdfast import limits
from holdfast.data.protect.keys import KEY_BYTES, ProjectKey
from holdfast.data.protect.parquet_tail import MAGIC, read_tail
from holdfast.data.table_bounds import first_line
from holdfast.errors import DataError, IntegrityError, UsageError
from holdfast.evidence import digest_bytes
from holdfast.files import atomic_file, read_bytes


class OpenedTable(NamedTuple):
    """An encrypted file in memory, as it is on the disk, and what pyarrow decrypts it with."""

    source: pa.BufferReader
    decryption: Any


def write_table(frame: pd.DataFrame, path: str | Path, *, key: ProjectKey) -> None:
    """Write a table as an encrypted Parquet file, whole or not at all; nothing of it is on the disk in the clear.

    `holdfast.data.read_table` with the same key is the inverse.

    Raises:
        UsageError: the name does not end in .parquet, by which `read_table` knows such a file.
        DataError: there are no rows, or a column holds something else than numbers, truth values, texts and dates.
        CredentialError: the key service refuses.
        SystemFault: the disk or the key service cannot be reached.
    """
    if not str(path).lower().endswith(".parquet"):
        raise UsageError(f"expected a name that ends in .parquet, got {Path(path).name!r}")
    table = _plain(frame)
    with atomic_file(Path(path), private=True) as file:
        pq.write_table(table, file, encryption_properties=_encryption(key))


def _plain(frame: pd.DataFrame) -> pa.Table:
    """The table as Parquet keeps it, without what pandas notes about it; refused if it could not be read back."""
    if len(frame) == 0:
        raise DataError("expected a table with rows, got one without")
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    except (pa.ArrowException, ValueError) as error:  # ValueError: of two columns with one name
        raise DataError(f"expected one kind of value in each column, got: {first_line(error)}") from None
    for field in table.schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise DataError(f"column {field.name!r} holds {field.type}, expected numbers, true and false, or text")
    return table


def is_encrypted(path: Path) -> bool:
    """Whether a file begins as an encrypted Parquet file does.

    Raises:
        OSError: the operating system refuses to read it.
    """
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def open_table(path: Path, *, key: ProjectKey) -> OpenedTable:
    """Read an encrypted file into memory and unwrap its data key.

    It is read once: what is checked here is what is decrypted later, also if somebody exchanges the file meanwhile.

    Raises:
        IntegrityError: it is not encrypted, not in the form that `write_table` leaves, or of another project.
        CredentialError: it needs another master key, or the key service refuses.
        InputError: it is larger than the bound.
    """
    data = read_bytes(path, max_bytes=limits.MAX_TABLE_BYTES, what="a table")
    if not data.startswith(MAGIC):
        raise IntegrityError(
            f"expected an encrypted table at {path}, got one in the clear",
            hint="find out who put it there; if you did: holdfast protect encrypt TABLE",
        )
    data_key = key.unwrap(read_tail(data).wrapped, "table", path)
    return OpenedTable(pa.BufferReader(data), _decryption(data_key))


def digest_table(path: Path) -> str:
    """SHA-256 of a file that holds a table; of an encrypted one without its wrapped key, which rotation changes.

    So a table under another key is the same table, and no training on it is done, and paid for, again.

    Raises:
        IntegrityError: it begins as an encrypted table and is none.
        InputError: there is no such file, or it is larger than the bound.
        SystemFault: the operating system refuses to read it.
    """
    data = read_bytes(path, max_bytes=limits.MAX_TABLE_BYTES, what="a table")
    if not data.startswith(MAGIC):
        return digest_bytes(data)
    tail = read_tail(data)
    return digest_bytes(data[: tail.start] + tail.algorithm + tail.footer)


def _encryption(key: ProjectKey) -> Any:
    """What pyarrow encrypts a file with; it makes the data key, from OpenSSL's generator, and has it wrapped."""
    settings = pe.EncryptionConfiguration(
        footer_key=key.id("table"),
        uniform_encryption=True,
        encryption_algorithm="AES_GCM_V1",
        plaintext_footer=False,
        double_wrapping=False,
        internal_key_material=True,
        data_key_length_bits=8 * KEY_BYTES,
    )
    factory = pe.CryptoFactory(lambda _settings: _Wrapping(key))
    return factory.file_encryption_properties(pe.KmsConnectionConfig(), settings)


def _decryption(data_key: bytes) -> Any:
    """What pyarrow decrypts a file with whose data key is at hand."""
    factory = pe.CryptoFactory(lambda _settings: _Unwrapped(data_key))
    return factory.file_decryption_properties(pe.KmsConnectionConfig())


class _Wrapping(pe.KmsClient):  # type: ignore[misc]
    """What pyarrow asks to wrap the data key that it made."""

    def __init__(self, key: ProjectKey) -> None:
        super().__init__()
        self._key = key

    def wrap_key(self, key_bytes: bytes, _master_key_identifier: str) -> str:
        return base64.b64encode(self._key.wrap(key_bytes, "table").wrapped).decode()


class _Unwrapped(pe.KmsClient):  # type: ignore[misc]
    """What pyarrow asks for a data key, which was unwrapped before; so our own errors do not pass through it."""

    def __init__(self, data_key: bytes) -> None:
        super().__init__()
        self._data_key = data_key

    def unwrap_key(self, _wrapped_key: bytes, _master_key_identifier: str) -> bytes:
        return self._data_key
