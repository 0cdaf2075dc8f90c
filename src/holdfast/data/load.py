"""Tables from files: CSV (plain or gzipped) and Parquet, within bounds, refused in one sentence when broken.

Reading executes nothing that the file contains: there is no pickle, no Python object and no extension type in either
format. What counts as missing is the same for every CSV file: an empty field, and the words in
`holdfast.data.csv_file.MISSING`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from holdfast import limits
from holdfast.arguments import check_kind
from holdfast.data.csv_file import read_csv
from holdfast.data.dataset import Dataset, from_frame
from holdfast.data.parquet_file import read_parquet
from holdfast.data.protect.keys import ProjectKey
from holdfast.data.protect.tables import is_encrypted, open_table
from holdfast.data.schema import Schema
from holdfast.data.table_bounds import too_large, too_long
from holdfast.errors import CredentialError, DataError, InputError, UsageError
from holdfast.files import system_fault


def load(source: Path | str | pd.DataFrame, schema: Schema, *, key: ProjectKey | None = None) -> Dataset:
    """A checked data set from a CSV file, a Parquet file or a DataFrame.

    Columns that the schema does not name are left out. With a key, the file has to be encrypted; see `read_table`.

    Raises:
        UsageError: an argument of another kind.
        InputError: there is no such file, or it is larger than the bounds in `holdfast.limits`.
        DataError: the file is malformed, or a value is not what the schema says.
        CredentialError, IntegrityError: as `read_table`.
        SystemFault: the operating system refuses to read it.
    """
    check_kind("schema", schema, Schema, example="Schema.from_json(json.load(file))")
    frame = source if isinstance(source, pd.DataFrame) else read_table(source, key=key)
    return from_frame(frame, schema)


def read_table(path: Path | str, *, key: ProjectKey | None = None, texts: Collection[str] = ()) -> pd.DataFrame:
    """A table as it stands in a `.csv`, `.csv.gz` or `.parquet` file.

    Numbers become numeric columns, everything else text; dates stay the text that they are. Blank column names
    become `column 1`, `column 2`, … by position. Blanks around a text in a CSV file are no part of it. No value in
    the result is infinite.

    Args:
        path: of the file.
        key: where the table is encrypted, as `holdfast.data.protect.write_table` writes it. It is decrypted in memory;
            one in the clear is refused, as somebody may have put it there.
        texts: columns of a CSV file that stay the text that they are, also where they look like numbers.

    Raises:
        UsageError: what should be a path is none.
        InputError: there is no such file, or it is larger than the bounds in `holdfast.limits`.
        DataError: the file is empty, ragged, cut off, not UTF-8, or breaks its format in another way.
        CredentialError: it is encrypted, and the key is missing or another one.
        IntegrityError: there is a key and the table is not encrypted, of another project, or was changed.
        SystemFault: the operating system refuses to read it.
    """
    if not isinstance(path, str | Path):
        raise UsageError(
            f"expected the path of a table, got a value of type {type(path).__name__}",
            hint="a table in memory is a DataFrame: load(pd.DataFrame(...), schema)",
        )
    path = Path(path)
    name = path.name.lower()
    if not name.endswith((".csv", ".csv.gz", ".parquet")):
        raise DataError(f"expected a .csv, .csv.gz or .parquet file, got {path.name!r}")
    if path.is_dir():
        raise InputError(f"expected a table at {path}, found a folder")
    if not path.is_file():
        raise InputError(f"expected a table at {path}, found no file there")
    try:
        if path.stat().st_size > limits.MAX_TABLE_BYTES:
            raise too_large(path)
        if path.stat().st_size == 0:
            raise DataError(f"expected a table, {path} is empty")
        if key is not None:
            table = read_parquet(path, opened=open_table(path, key=key))
        elif is_encrypted(path):
            raise CredentialError(
                f"{path} is encrypted, and no key was given",
                hint='name it: --key data.key; in holdfast.toml key = "file:data.key"; in Python find_key("data.key")',
            )
        else:
            table = read_parquet(path) if name.endswith(".parquet") else read_csv(path, texts=texts)
    except OSError as error:
        raise system_fault(error, f"read {path}") from None
    return _to_frame(table, path)


def _to_frame(table: pa.Table, path: Path) -> pd.DataFrame:
    if table.num_rows > limits.MAX_ROWS:
        raise InputError(f"expected at most {limits.MAX_ROWS} rows, {path} has {table.num_rows}")
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type):
            longest = pc.max(pc.utf8_length(column)).as_py() or 0
            if longest > limits.MAX_FIELD_CHARS:
                raise too_long(name, f"{longest} characters")
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    for name in frame.columns[frame.dtypes == np.float64]:
        if (infinite := np.isinf(frame[name].to_numpy())).any():
            row = int(np.argmax(infinite))
            raise DataError(f"column {name!r} is infinite in row {row}, expected a finite number")
    return frame
