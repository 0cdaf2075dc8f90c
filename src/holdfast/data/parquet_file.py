"""Parquet files: read in batches, so that a small file cannot unpack to more than the bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast import limits
from holdfast.data.table_bounds import check_names, first_line, too_large
from holdfast.errors import DataError, InputError

_BATCH_ROWS: Final = 4_096


def read_parquet(path: Path) -> pa.Table:
    """The table of a Parquet file, as numbers, booleans and texts.

    Raises:
        InputError: it is larger, or unpacks to more, than the bounds.
        DataError: it is damaged, or a column holds something else.
        OSError: the operating system refuses to read it.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_parquet_size(file.metadata, path)
            names = check_names(file.schema_arrow.names, path)
            batches, size = [], 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                size += batch.nbytes
                if size > limits.MAX_TABLE_BYTES:
                    raise too_large(path)
                batches.append(batch)
            table = pa.Table.from_batches(batches, schema=file.schema_arrow)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise DataError(f"expected a Parquet table, {path} is damaged or cut off: {first_line(error)}") from None
    return pa.table([_plain(table.column(i), name) for i, name in enumerate(names)], names=names)


def _check_parquet_size(metadata: Any, path: Path) -> None:
    if metadata.num_rows == 0:
        raise DataError(f"expected a table with rows, {path} has none")
    claimed = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if max(claimed, metadata.num_rows * metadata.num_columns) > limits.MAX_TABLE_BYTES:
        raise too_large(path)
    if metadata.num_rows > limits.MAX_ROWS:
        raise InputError(f"expected at most {limits.MAX_ROWS} rows, {path} has {metadata.num_rows}")


def _plain(column: Any, name: str) -> Any:
    """A Parquet column as numbers, booleans or text."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_temporal(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    known = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_null)
    if not any(is_known(kind) for is_known in known):
        raise DataError(f"column {name!r} holds {kind}, expected numbers, true and false, or text")
    return column
