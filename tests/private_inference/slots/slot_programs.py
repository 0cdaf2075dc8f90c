"""Random programs of the shapes that models have, and rows for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holdfast.private_inference.program import Affine, NetworkProgram, TreeProgram


def tree_program(leaves: int, bits: int, depth: int, *, outputs: int = 1, seed: int = 0) -> TreeProgram:
    """Leaves with up to `depth` conditions on bits."""
    rng = np.random.default_rng(seed)
    selection, offset = np.zeros((leaves, bits), dtype=np.int64), np.zeros(leaves, dtype=np.int64)
    for leaf in range(leaves):
        chosen = rng.choice(bits, int(rng.integers(1, depth + 1)), replace=False)
        wanted = rng.integers(0, 2, len(chosen))
        selection[leaf, chosen] = 1 - 2 * wanted
        offset[leaf] = wanted.sum()
    values = rng.integers(-1000, 1000, (outputs, leaves))
    intercept = rng.integers(-99, 99, outputs)
    return TreeProgram(
        selection=selection, offset=offset, depth=depth, values=values, intercept=intercept, scale=1024.0
    )


def bit_rows(program: TreeProgram, rows: int, *, seed: int = 1) -> NDArray[np.float64]:
    """Rows of bits, each of which reaches a leaf of its own at least."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (rows, program.selection.shape[1])).astype(np.float64)
    for row, leaf in zip(bits, rng.integers(0, len(program.selection), rows), strict=True):
        row[program.selection[leaf] == 1] = 0
        row[program.selection[leaf] == -1] = 1
    return bits


def network_program(
    sizes: Sequence[int], *, seed: int = 0, rows: int = 64
) -> tuple[NetworkProgram, NDArray[np.float64]]:
    """A network, and rows within its bounds."""
    rng = np.random.default_rng(seed)
    layers = tuple(
        Affine(weights=rng.normal(0, 1 / np.sqrt(a), (b, a)), bias=rng.normal(0, 0.1, b))
        for a, b in itertools.pairwise(sizes)
    )
    return _bounded(layers, rng.uniform(0, 1, (rows, sizes[0])), None)


def convolution_program(*, seed: int = 0, rows: int = 16) -> tuple[NetworkProgram, NDArray[np.float64]]:
    """Two channels of 3 x 3 windows with stride 2 over 9 x 9 pixels, gathered; then 8 lanes; then 3 scores."""
    rng = np.random.default_rng(seed)
    places = [(i, j) for i in range(4) for j in range(4)]
    gathered = [[(2 * i + tap // 3) * 9 + 2 * j + tap % 3 for i, j in places] for tap in range(9)]
    layers = (
        Affine(weights=rng.normal(0, 0.3, (2, 9)), bias=rng.normal(0, 0.1, 32), block=16),
        Affine(weights=rng.normal(0, 0.2, (8, 32)), bias=rng.normal(0, 0.1, 8)),
        Affine(weights=rng.normal(0, 0.3, (3, 8)), bias=rng.normal(0, 0.1, 3)),
    )
    return _bounded(layers, rng.uniform(0, 1, (rows, 81)), np.array(gathered).reshape(-1))


def _bounded(
    layers: tuple[Affine, ...], X: NDArray[np.float64], input_map: NDArray[np.int64] | None
) -> tuple[NetworkProgram, NDArray[np.float64]]:
    program = NetworkProgram(layers=layers, bounds=(1.0,) * len(layers), input_map=input_map)
    x, bounds = program.gather(X), []
    for i, layer in enumerate(layers):
        x = layer.clear(np.square(x) if i else x)
        bounds.append(1.25 * float(np.abs(x).max()))
    return NetworkProgram(layers=layers, bounds=tuple(bounds), input_map=input_map), X
