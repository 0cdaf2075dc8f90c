"""What every peer's script does: read the case, time something, say what it saw. Needs NumPy alone."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Figures = dict[str, Any]


def median_ms(run: Callable[[], object], *, repeats: int) -> float:
    """The median time of one call in milliseconds, after one that does not count; of a single one, that one."""
    times = []
    if repeats > 1:
        run()
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def peak_memory() -> int | None:
    """The most memory that this process ever held, in bytes; None where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def same_class(scores: NDArray[Any], expected: NDArray[Any]) -> float:
    """The share of rows whose class is the clear model's; scores (rows, outputs), one output means two classes."""
    return float(np.mean(classes(scores) == classes(expected)))


def classes(scores: NDArray[Any]) -> NDArray[Any]:
    """The predicted class of each row of scores (rows, outputs)."""
    return np.asarray(scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1))


def main(cases: dict[str, Callable[[Arrays], Figures]]) -> None:
    """Run the case that the command line names, and print what it gave."""
    name, path = sys.argv[1:]
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    print(json.dumps(cases[name](arrays)), flush=True)
