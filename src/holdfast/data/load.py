"""Tables from files: CSV (plain or gzipped) and Parquet, within bounds, refused in one sentence when broken.

Reading executes nothing that the file contains: there is no pickle, no Python object and no extension type in either
format. What counts as missing is the same for every CSV file: an empty field, and the words in
`holdfast.data.csv_file.MISSING`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from holdfast import limits
from holdfast.data.csv_file import read_csv
from holdfast.data.dataset import Dataset, from_frame
from holdfast.data.parquet_file import read_parquet
from holdfast.data.schema import Schema
from holdfast.data.table_bounds import too_large, too_long
from holdfast.errors import DataError, InputError
from holdfast.files import system_fault


def load(source: Path | str | pd.DataFrame, schema: Schema) -> Dataset:
    """A checked data set from a CSV file, a Parquet file or a DataFrame.

    Columns that the schema does not name are left out.

    Raises:
        InputError: there is no such file, or it is larger than the bounds in `holdfast.limits`.
        DataError: the file is malformed, or a value is not what the schema says.
        SystemFault: the operating system refuses to read it.
    """
    frame = source if isinstance(source, pd.DataFrame) else read_table(source)
    return from_frame(frame, schema)


def read_table(path: Path | str) -> pd.DataFrame:
    """A table as it stands in a `.csv`, `.csv.gz` or `.parquet` file.

    Numbers become numeric columns, everything else text; dates stay the text that they are. Blank column names
    become `column 1`, `column 2`, … by position. Blanks around a text in a CSV file are no part of it. No value in
    the result is infinite.

    Raises:
        InputError: there is no such file, or it is larger than the bounds in `holdfast.limits`.
        DataError: the file is empty, ragged, cut off, not UTF-8, or breaks its format in another way.
        SystemFault: the operating system refuses to read it.
    """
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
        table = read_parquet(path) if name.endswith(".parquet") else read_csv(path)
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
