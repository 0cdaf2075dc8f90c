"""Small rows, random trees, and the attack that tries every place of a tree ensemble."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from holdfast.hardening.trees.classifier import RobustTreeClassifier
from holdfast.hardening.trees.tree import RobustTree


def two_blobs(rows: int, columns: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rows of two classes that differ a little in each column, and much in the last."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    y[:2] = 0, 1
    shift = np.append(np.full(columns - 1, 0.5), 2.0)
    return rng.standard_normal((rows, columns)) + y[:, None] * shift, y


def scores_at_all_places(
    model: RobustTreeClassifier, x: npt.NDArray[np.float64], down: float, up: float
) -> npt.NDArray[np.float64]:
    """The scores at one point in each cell of the grid of cuts that meets the box around a row: all there are."""
    places = []
    for column, value in enumerate(x):
        low, high = np.float32(value - down), np.float32(value + up)
        cuts = np.unique([cut for tree in model.trees_ for cut in _cuts(tree, column)])
        inside = cuts[(cuts >= low) & (cuts < high)]
        places.append([low, *np.nextafter(inside.astype(np.float32), np.float32(np.inf))])
    return model.decision_function(np.array(list(product(*places)), dtype=np.float64))


def _cuts(tree: RobustTree, column: int) -> list[np.float32]:
    return list(tree.cut[tree.column == column])
