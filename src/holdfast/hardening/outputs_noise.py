"""Noise for answers that asking again does not wear off: drawn by a secret key from the answer itself.

Fresh noise is averaged away by asking twice, noise that is keyed by the row by asking about rows near it. Here the
clean log-probabilities fall into cells twice as wide as the noise, and the key decides one answer for each cell. All
rows of a cell get that answer: near-duplicates are told nothing new, and differences between them, which would give
away the gradient, are 0. What remains is where cells meet, as with rounding.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from scipy.special import ndtri, softmax

from holdfast.data import Labels, Matrix

KEY_BYTES: Final = 32
_CELL_WIDTHS: Final = 2.0
"""Cells in units of the noise: to get an answer with other noise, a row has to move its scores by more than that."""
_LEAST_PROBABILITY: Final = 1e-9
_WORDS: Final = 8
"""64-bit numbers of one hash."""


def keyed_noise(P: Matrix, winner: Labels, *, noise: float, key: bytes) -> Matrix:
    """(rows, classes) probabilities with noise of this standard deviation on their logarithms.

    Args:
        P: (rows, classes) clean probabilities.
        winner: (rows,) the class that must stay the most probable one.
        noise: above 0, in nats.
        key: 32 bytes.
    """
    logs = np.log(np.maximum(P, _LEAST_PROBABILITY))
    cells = np.rint((logs - logs.mean(axis=1, keepdims=True)) / (_CELL_WIDTHS * noise)).astype("<i8")
    kinds, which = np.unique(cells, axis=0, return_inverse=True)
    draws = np.array([_normals(cell.tobytes(), len(cell), key) for cell in kinds]).reshape(kinds.shape)
    scores = (_CELL_WIDTHS * noise * kinds + noise * draws)[which.ravel()]
    rows, best = np.arange(len(P)), scores.argmax(axis=1)
    scores[rows, best], scores[rows, winner] = scores[rows, winner], scores[rows, best]
    return np.asarray(softmax(scores, axis=1), dtype=np.float64)


def _normals(cell: bytes, count: int, key: bytes) -> Matrix:
    """(count,) standard normal numbers that the key makes of a cell."""
    blocks = range(-(-count // _WORDS))
    stream = b"".join(hashlib.blake2b(cell, key=key, salt=block.to_bytes(16, "little")).digest() for block in blocks)
    words = np.frombuffer(stream, dtype="<u8")[:count] >> np.uint64(12)
    return np.asarray(ndtri((words + 0.5) * 2.0**-52), dtype=np.float64)
