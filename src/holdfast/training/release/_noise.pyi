"""The native kernels of the noise, built from native/; `holdfast.training.release.noise` says what they promise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def add_gaussians(
    words: NDArray[np.uint64],
    spares: int,
    slots: NDArray[np.uint64],
    thresholds: NDArray[np.uint64],
    out: NDArray[np.int64],
) -> list[int]: ...
def add_rounded(total: NDArray[np.int64], values: NDArray[Any], per_unit: float, largest: float) -> None: ...
def scaled(total: NDArray[np.int64], unit: float, out: NDArray[Any]) -> None: ...
def use_avx512(wanted: bool) -> bool: ...
