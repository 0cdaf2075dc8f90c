import numpy as np
from numpy.typing import NDArray

def has(path: str) -> bool: ...
def weighted_product(
    path: str,
    g: NDArray[np.float32],
    a: NDArray[np.float32],
    weights: NDArray[np.float32],
    out: NDArray[np.float32],
    threads: int,
) -> None: ...
