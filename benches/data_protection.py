"""Encrypted data at rest beside the same data in the clear: time to write and to read, in one run.

Prints one JSON line for each figure: {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"}; the ratio is peer
over ours, so 1 means that encryption costs nothing. Ours and theirs take turns, and the median is told.

* a table of 100,000 rows and 30 columns, half of them numbers without pattern and half small whole numbers: Parquet by
  pyarrow in the clear, read by the same bounded reader;
* 60,000 pictures of 784 bytes: NumPy's own file, read whole, and in shuffled batches of 256 through a memory map;
* pseudonyms: 200,000 identifiers, all different, beside HMAC-SHA-256 of the standard library alone.

Everything is written to a temporary folder, so the disk takes part in both. Give a number of rounds for a shorter run.
"""

from __future__ import annotations

import hmac
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.data import read_table
from holdfast.data.protect import DataKey, ProjectKey, Pseudonyms, open_arrays, write_arrays, write_table
from holdfast.files import atomic_file

ROUNDS = 5
BATCH = 256
BATCHES = 100
IDENTIFIERS = 200_000

Work = Callable[[], object]


def milliseconds(work: Work) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def tell(case: str, ours: Work, peer: Work, *, peer_name: str, rounds: int) -> None:
    """Time two ways to do one thing, in turns after one round that is not counted, and print the medians."""
    ours(), peer()
    times = [(milliseconds(ours), milliseconds(peer)) for _ in range(rounds)]
    mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    line = {"bench": "data_protection", "case": case, "ours": round(mine, 2), "peer": round(theirs, 2)}
    print(json.dumps({**line, "peer_name": peer_name, "ratio": round(theirs / mine, 3), "unit": "ms"}), flush=True)


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    numbers = {f"n{column}": rng.normal(size=100_000) for column in range(15)}
    counts = {f"c{column}": rng.integers(0, 100, 100_000) for column in range(15)}
    return pd.DataFrame({**numbers, **counts})


def tables(folder: Path, key: ProjectKey, rounds: int) -> None:
    frame, encrypted, clear = table(), folder / "encrypted.parquet", folder / "clear.parquet"

    def write_clear() -> None:
        with atomic_file(clear) as file:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file)

    tell(
        "table-write",
        lambda: write_table(frame, encrypted, key=key),
        write_clear,
        peer_name="the same in the clear",
        rounds=rounds,
    )
    tell(
        "table-read",
        lambda: read_table(encrypted, key=key),
        lambda: read_table(clear),
        peer_name="the same in the clear",
        rounds=rounds,
    )


def arrays(folder: Path, key: ProjectKey, rounds: int) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (60_000, 28, 28), dtype=np.uint8)
    encrypted, clear = folder / "pictures.hfa", folder / "pictures.npy"

    def write_clear() -> None:
        with atomic_file(clear) as file:
            np.save(file, pictures)

    beside_numpy = partial(tell, peer_name="NumPy in the clear", rounds=rounds)
    beside_numpy("array-write", lambda: write_arrays(encrypted, {"pixels": pictures}, key=key), write_clear)
    batches = [rng.integers(0, len(pictures), BATCH) for _ in range(BATCHES)]
    mapped = np.load(clear, mmap_mode="r")
    with open_arrays(encrypted, key=key) as opened:
        pixels = opened["pixels"]
        beside_numpy("array-read", lambda: pixels[:], lambda: np.load(clear))
        beside_numpy(
            f"array-{BATCHES}-shuffled-batches-of-{BATCH}",
            lambda: [pixels[rows] for rows in batches],
            lambda: [mapped[rows] for rows in batches],
        )


def pseudonyms(key: ProjectKey, rounds: int) -> None:
    frame = pd.DataFrame({"id": np.arange(IDENTIFIERS)})
    names, secret = Pseudonyms(key), bytes(32)

    def bare() -> list[bytes]:
        return [hmac.digest(secret, b"%d" % number, "sha256") for number in range(IDENTIFIERS)]

    tell(
        f"pseudonyms-{IDENTIFIERS}",
        lambda: names.replace(frame, ["id"]),
        bare,
        peer_name="HMAC alone",
        rounds=rounds,
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    key = ProjectKey(service=DataKey.generate())
    with tempfile.TemporaryDirectory() as folder:
        tables(Path(folder), key, rounds)
        arrays(Path(folder), key, rounds)
    pseudonyms(key, min(rounds, 3))


if __name__ == "__main__":
    main()
