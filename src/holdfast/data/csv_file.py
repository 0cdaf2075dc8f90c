"""CSV files: comma-separated UTF-8 text with a header, plain or gzipped."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from holdfast import limits
from holdfast.data.table_bounds import check_cells, check_names, first_line, too_large
from holdfast.errors import DataError

MISSING: Final = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "?")
"""The fields of a CSV file that mean "no value"."""

_BLOCK_BYTES: Final = 4 * 2**20
_HEADER_BYTES: Final = 4 * _BLOCK_BYTES
"""Bytes in which the header is looked for; as many columns of the longest names as are read fit twice."""


def read_csv(path: Path, *, texts: Collection[str] = ()) -> pa.Table:
    """The table of a CSV file, as numbers and texts; the columns named in `texts` as texts in any case.

    Raises:
        InputError: it is larger than the bounds.
        DataError: it breaks the format; the sentence says where.
        OSError: the operating system refuses to read it.
    """
    data = _unzip(path) if path.name.lower().endswith(".gz") else path.read_bytes()
    _check_text(data, path)
    names = _header(data[:_HEADER_BYTES], path)
    check_cells(sum(map(data.count, (b",", b"\n", b"\r"))), path)  # every field ends in one of them
    options: dict[str, Any] = {
        "read_options": pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
        "parse_options": pa.csv.ParseOptions(newlines_in_values=True),
    }
    table = _parse(data, path, column_types={}, **options)
    if as_text := _kept_as_text(table.schema, names, texts):
        table = _parse(data, path, column_types=as_text, **options)
    if table.num_rows == 0:
        raise DataError(f"expected rows below the header of {path}, found none")
    _check_quotes(data, table, path)
    return _trimmed(table).rename_columns(names)


def _kept_as_text(schema: pa.Schema, names: Sequence[str], texts: Collection[str]) -> dict[str, Any]:
    """The columns, as the file calls them, that are read again as the texts that they are: dates, and `texts`."""
    fields = zip(schema, names, strict=True)
    return {field.name: pa.string() for field, name in fields if pa.types.is_temporal(field.type) or name in texts}


def _trimmed(table: pa.Table) -> pa.Table:
    """The table without the blanks that some writers put after a comma: " <=50K" and "<=50K" are one class."""
    for position, column in enumerate(table.columns):
        if pa.types.is_string(column.type):
            table = table.set_column(position, table.field(position), pc.utf8_trim_whitespace(column))
    return table


def _parse(data: bytes, path: Path, *, column_types: dict[str, Any], **options: Any) -> pa.Table:
    ragged: list[Any] = []

    def remember(row: Any) -> str:
        ragged.append(row)
        return "error"

    options["parse_options"].invalid_row_handler = remember
    convert = pa.csv.ConvertOptions(
        column_types=column_types,
        null_values=[*MISSING, *(f" {spelling}" for spelling in MISSING)],
        strings_can_be_null=True,
        true_values=[],
        false_values=[],
    )
    try:
        return pa.csv.read_csv(io.BytesIO(data), convert_options=convert, **options)
    except pa.ArrowInvalid as error:
        if ragged:
            row = ragged[0]
            raise DataError(
                f"row {row.number} of {path} has {row.actual_columns} fields, the header has {row.expected_columns} "
                "(the header is row 1)",
                hint="mend the row; a text with a comma in it needs double quotes around it",
            ) from None
        if "straddl" in str(error):
            raise DataError(
                f"a row of {path} has more than {_BLOCK_BYTES} bytes", hint="look for a double quote that is not closed"
            ) from None
        raise DataError(f"expected a CSV table, {path} is none: {first_line(error)}") from None


def _unzip(path: Path) -> bytes:
    """The content of a gzipped file, read no further than the bound: a small file can unpack to anything."""
    unpacked = io.BytesIO()
    try:
        with gzip.open(path) as file:
            while unpacked.tell() <= limits.MAX_TABLE_BYTES and (part := file.read(_BLOCK_BYTES)):
                unpacked.write(part)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"expected a gzipped table, {path} is damaged or cut off: {first_line(error)}") from None
    if unpacked.tell() > limits.MAX_TABLE_BYTES:
        raise too_large(path)
    if not unpacked.tell():
        raise DataError(f"expected a table, {path} is empty")
    return unpacked.getvalue()


def _check_text(data: bytes, path: Path) -> None:
    """Refuse bytes that are not UTF-8 text, and say where."""
    hint = "save the file as UTF-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"expected UTF-8 text, {path} is UTF-16", hint=hint)
    if (offset := data.find(b"\0")) >= 0:
        raise DataError(f"expected text, {path} has a NUL byte at byte {offset}", hint=hint)
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _BLOCK_BYTES):
        pending = len(decoder.getstate()[0])
        end = start + _BLOCK_BYTES
        try:
            decoder.decode(data[start:end], final=end >= len(data))
        except UnicodeDecodeError as error:
            offset = start - pending + error.start
            raise DataError(f"expected UTF-8 text, {path} has another encoding at byte {offset}", hint=hint) from None


def _header(data: bytes, path: Path) -> list[str]:
    text = data.decode("utf-8-sig", errors="ignore")  # all of it is UTF-8, but for a character that is cut in two
    lines = csv.reader(io.StringIO(text, newline=""))
    try:
        names = next((row for row in lines if row), [])
    except csv.Error as error:
        raise DataError(f"expected column names in the first row of {path}, got none: {error}") from None
    if len(names) == 1 and (other := next((mark for mark in ";\t|" if mark in names[0]), None)):
        raise DataError(
            f"expected commas between the columns of {path}, the first row has {other!r}",
            hint="save the table with commas",
        )
    return check_names(names, path)


def _check_quotes(data: bytes, table: pa.Table, path: Path) -> None:
    """Refuse a file that ends inside a quoted field: the rows after the quote would silently be one text."""
    if data.count(b'"') % 2 == 0:
        return
    last = table.slice(table.num_rows - 1).to_pylist()[0]
    if any(isinstance(value, str) and "\n" in value for value in last.values()):
        raise DataError(f"{path} ends inside a quoted field", hint="look for a double quote that is not closed")
