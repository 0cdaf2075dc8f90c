"""Small files that would unpack to more than the machine has, read in a process that may take little memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOM = 1_200 * 2**20
"""Bytes of memory that the process may take beside what it takes to start."""

READ = f"""
import resource, sys
from holdfast.data import read_table
from holdfast.errors import HoldfastError
own = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (own + {ROOM}, own + {ROOM}))
try:
    read_table(sys.argv[1])
except HoldfastError as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""


def refusal(path: Path) -> str:
    """What reading a file in little memory says."""
    assert path.stat().st_size < 10 * 2**20, "not a small file"
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 1, done.stdout
    return done.stdout


def repeated(word: bytes, rows: int, kind: pa.DataType) -> pa.Table:
    """Rows that are all one word, which the file keeps once."""
    indices = pa.array(np.zeros(rows, np.int32))
    return pa.table({"a": pa.DictionaryArray.from_arrays(indices, pa.array([word], kind))})


def long_words(path: Path) -> None:
    pq.write_table(repeated(b"x" * 99_000, 100_000, pa.string()), path, compression="zstd")


def one_huge_word(path: Path) -> None:
    pq.write_table(repeated(b"x" * 50_000_000, 4_096, pa.string()), path, compression="zstd")


def one_huge_word_without_the_type(path: Path) -> None:
    """As another writer would leave it: nothing but Parquet's own types."""
    pq.write_table(repeated(b"x" * 50_000_000, 4_096, pa.string()), path, compression="zstd", store_schema=False)


def huge_binaries(path: Path) -> None:
    pq.write_table(repeated(b"x" * 50_000_000, 4_096, pa.binary()), path, compression="zstd", store_schema=False)


def empty_cells(path: Path) -> None:
    pq.write_table(pa.table({f"c{i}": pa.nulls(10_000_000) for i in range(60)}), path, compression="zstd")


def commas(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(b"," * 1_000_000)


BOMBS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "long words": ("a.parquet", long_words, "InputError: expected a table of at most"),
    "one huge word": ("a.parquet", one_huge_word, "DataError: column 'a' has a field of 50000000 bytes"),
    "no stored schema": (
        "a.parquet",
        one_huge_word_without_the_type,
        "DataError: column 'a' has a field of 50000000 bytes",
    ),
    "binaries": ("a.parquet", huge_binaries, "DataError: column 'a' holds binary"),
    "nothing, often": ("a.parquet", empty_cells, "InputError: expected a table of at most"),
    "commas": ("a.csv.gz", commas, "DataError: expected 1 to 10000 columns"),
}


@pytest.mark.parametrize(("name", "make", "sentence"), BOMBS.values(), ids=list(BOMBS))
def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before_it_does(
    tmp_path: Path, name: str, make: Callable[[Path], None], sentence: str
) -> None:
    make(tmp_path / name)
    assert sentence in refusal(tmp_path / name)
