"""Parquet files: refused before they unpack to more than the bounds, because a small file can unpack to anything.

A file may lie about its size. So columns are read one at a time, and texts as the file keeps them, each word once:
their lengths are known before they are written out row by row. What is unpacked unseen is one page, which the format
keeps below 2 GiB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast import limits
from holdfast.data.protect.tables import OpenedTable
from holdfast.data.table_bounds import CELL_BYTES, check_cells, check_names, first_line, too_large, too_long
from holdfast.errors import DataError, InputError, IntegrityError

_BATCH_ROWS: Final = 4_096
"""Rows that are written out at once: as many texts of the longest stay below the 2 GiB of an array of texts."""
_UTF8_BYTES: Final = 4
"""Bytes of the longest character."""
_DECIMAL_BYTES: Final = 32
"""Bytes of the largest decimal."""


def read_parquet(path: Path, *, opened: OpenedTable | None = None) -> pa.Table:
    """The table of a Parquet file, as numbers, booleans and texts.

    Args:
        path: of the file.
        opened: the same file in memory with what decrypts it, where it is encrypted.

    Raises:
        InputError: it is larger, or unpacks to more, than the bounds.
        DataError: it is damaged, or a column holds something else.
        IntegrityError: it was changed after it was encrypted.
        OSError: the operating system refuses to read it.
    """
    source, decryption = opened or (path, None)
    try:
        metadata = pq.read_metadata(source, decryption_properties=decryption)
        _check_claims(metadata, path)
        names = check_names(metadata.schema.to_arrow_schema().names, path)
        texts = [column.path for column in metadata.schema if column.physical_type == "BYTE_ARRAY"]
        with pq.ParquetFile(source, metadata=metadata, read_dictionary=texts, decryption_properties=decryption) as file:
            _check_kinds(file)
            columns, size = [], 0
            for name in file.schema_arrow.names:
                column = _column(file, name, room=limits.MAX_TABLE_BYTES - size, path=path)
                columns.append(column)
                size += _bytes(column)
        return pa.table(columns, names=names)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:  # UnicodeDecodeError: of a column's name
        if isinstance(error, OSError) and error.errno:
            raise
        if opened:
            raise IntegrityError(f"{path} was changed after it was encrypted") from None
        raise DataError(f"expected a Parquet table, {path} is damaged or cut off: {first_line(error)}") from None


def _check_claims(metadata: Any, path: Path) -> None:
    """Refuse a file that says itself that it is too large."""
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    rows = sum(max(group.num_rows, 0) for group in groups)
    if rows == 0:
        raise DataError(f"expected a table with rows, {path} has none")
    if sum(max(group.total_byte_size, 0) for group in groups) > limits.MAX_TABLE_BYTES:
        raise too_large(path)
    if rows > limits.MAX_ROWS:
        raise InputError(f"expected at most {limits.MAX_ROWS} rows, {path} has {rows}")
    check_cells(rows * metadata.num_columns, path)


def _check_kinds(file: Any) -> None:
    """Refuse what is neither number, truth value nor text, before any of it is read."""
    known = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_temporal,
        pa.types.is_decimal,
        pa.types.is_string,
        pa.types.is_null,
    )
    for position, field in enumerate(file.schema_arrow):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not any(is_known(kind) for is_known in known):
            raise DataError(f"column {field.name!r} holds {kind}, expected numbers, true and false, or text")
        stored = file.metadata.schema.column(position)  # all columns before it are flat, so the positions agree
        if pa.types.is_decimal(kind) and (stored.physical_type == "BYTE_ARRAY" or stored.length > _DECIMAL_BYTES):
            raise DataError(
                f"column {field.name!r} holds decimals of any length, expected at most {_DECIMAL_BYTES} bytes"
            )


def _column(file: Any, name: str, *, room: int, path: Path) -> pa.ChunkedArray:
    """A column as numbers, booleans or text, of at most `room` bytes."""
    parts: list[Any] = []
    for group in range(file.num_row_groups):
        for chunk in file.read_row_group(group, columns=[name], use_threads=False).column(name).chunks:
            room -= _unpacked_bytes(chunk, name)
            if room < 0:
                raise too_large(path)
            parts += (_plain(chunk.slice(start, _BATCH_ROWS)) for start in range(0, len(chunk), _BATCH_ROWS))
    if not parts:
        raise DataError(f"expected a Parquet table, {path} is damaged or cut off: column {name!r} has no rows")
    return pa.chunked_array(parts)


def _unpacked_bytes(chunk: Any, name: str) -> int:
    """The bytes of a chunk once each of its rows is written out."""
    if not pa.types.is_dictionary(chunk.type):
        return _bytes(chunk)
    lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
    longest = pc.max(lengths).as_py() or 0
    if longest > _UTF8_BYTES * limits.MAX_FIELD_CHARS:
        raise too_long(name, f"{longest} bytes")
    return CELL_BYTES * len(chunk) + int(pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0)


def _bytes(values: Any) -> int:
    return max(int(values.nbytes), CELL_BYTES * len(values))


def _plain(values: Any) -> Any:
    """A part of a column as numbers, booleans or text."""
    if pa.types.is_decimal(values.type) or pa.types.is_floating(values.type):
        return values.cast(pa.float64())
    if pa.types.is_temporal(values.type) or pa.types.is_dictionary(values.type):
        values = values.cast(pa.string())
        values.validate(full=True)  # the format does not see to it that a text is UTF-8
    return values
