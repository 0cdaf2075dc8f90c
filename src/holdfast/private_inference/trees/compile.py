"""An ensemble as a program: every leaf a row of a selection matrix, every leaf's value an integer.

A leaf's path allows a set of cells for each feature on it. Whether a row's cell is in such a set is linear in the bits
of the thermometer, with coefficients of -1, 0 and 1, however many splits of the path were on that feature. So a leaf
has at most one mismatch for each feature on its path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError
from holdfast.models.links import Link, top_class
from holdfast.models.trees.ensemble import Ensemble, Tree
from holdfast.private_inference.program import LinearProgram, TreeProgram
from holdfast.private_inference.trees.additive import Additive, sum_of_stumps
from holdfast.private_inference.trees.encoding import BinEncoding
from holdfast.private_inference.trees.grids import choose_bins

Region: TypeAlias = Mapping[int, NDArray[np.bool_]]
"""The cells of each feature that lead to a leaf; a feature that is not there may be in any."""

MAX_SCORE: Final = 393_216
"""Scores in fixed point stay below it: half of the plaintext modulus 786,433 of trees."""
MAX_LEAVES: Final = 8_192
"""Leaves in all; as many as 16,384 slots hold beside their largest width."""
MAX_DEPTH: Final = 15
"""Different features on one path; the zero test multiplies four levels deep."""
_CHUNK: Final = 1_000
"""Rows that are compared at a time; their mismatches take 64 MiB."""


def compile_trees(
    model: Ensemble | Additive, *, X: NDArray[np.float64] | None = None
) -> tuple[BinEncoding, TreeProgram | LinearProgram]:
    """The public encoding and the secret program of a model.

    Args:
        model: additive models, and trees of one split, become a linear program; others a tree program.
        X: rows (rows, features) like those that the model learned from, for decoys that look like thresholds.

    Raises:
        UnsupportedError: too many leaves, thresholds or cells, or too many features on one path.
    """
    if isinstance(model, Additive):
        return model.compile()
    if model.depth <= 1:
        return sum_of_stumps(model, choose_bins(model, X)).compile()
    if model.n_leaves > MAX_LEAVES:
        raise UnsupportedError(
            f"the trees have {model.n_leaves} leaves, and at most {MAX_LEAVES} are compiled",
            hint="train fewer trees, or smaller ones (max_depth, max_leaf_nodes, num_leaves)",
        )
    encoding = choose_bins(model, X)
    return encoding, tree_program(model, encoding)


def tree_program(ensemble: Ensemble, encoding: BinEncoding) -> TreeProgram:
    """The program of an ensemble over the bits of an encoding that has its thresholds.

    Raises:
        UnsupportedError: too many different features on one path.
    """
    scale = _scale(ensemble)
    values: list[NDArray[np.float64]] = []
    paths: list[Region] = []
    constant = np.rint(ensemble.base * scale)
    for tree in ensemble.trees:
        found = dict(_paths(tree, encoding))
        shares = np.rint(tree.leaves * scale)
        # A row reaches one leaf of a tree, so one value may go to the intercept; its leaves then add nothing.
        usual = shares[_usual(shares, found)]
        constant += usual
        kept = [leaf for leaf in found if (shares[leaf] != usual).any()]
        values += [shares[leaf] - usual for leaf in kept]
        paths += [found[leaf] for leaf in kept]
    if not paths:  # a constant model: one leaf of no value
        values.append(np.zeros(ensemble.n_outputs))
        paths.append({})
    depth = max(1, *map(len, paths))
    if depth > MAX_DEPTH:
        raise UnsupportedError(
            f"a path asks {depth} different features, and at most {MAX_DEPTH} are compiled",
            hint=f"train with max_depth={MAX_DEPTH} or less",
        )
    selection, offset = _selection(paths, encoding)
    return TreeProgram(
        selection=selection,
        offset=offset,
        depth=depth,
        values=np.array(values, dtype=np.int64).T.copy(),
        intercept=constant.astype(np.int64),
        scale=scale,
    )


def _scale(ensemble: Ensemble) -> float:
    """The unit of the fixed point: the largest k/8·2^e, k in 8..15, for which no row's score reaches `MAX_SCORE`.

    Four bits of it say no more of the model than how large a score may be.
    """
    low, high = ensemble.base.copy(), ensemble.base.copy()
    for tree in ensemble.trees:
        low += tree.leaves.min(axis=0)
        high += tree.leaves.max(axis=0)
    largest = float(np.max(np.abs([low, high])))
    rounding = (len(ensemble.trees) + 1) / 2
    if largest == 0:
        return 1.0
    mantissa, exponent = np.frexp((MAX_SCORE - 1 - rounding) / largest)
    return float(np.ldexp(np.floor(mantissa * 16) / 16, exponent))


def _usual(shares: NDArray[np.float64], found: Mapping[int, Region]) -> int:
    """A leaf with the value that most leaves have; of several, with the longest path."""
    count = Counter(shares[leaf].tobytes() for leaf in found)
    return max(found, key=lambda leaf: (count[shares[leaf].tobytes()], len(found[leaf])))


def _paths(tree: Tree, encoding: BinEncoding) -> Iterator[tuple[int, Region]]:
    """The leaves that some row reaches, each with the cells that lead to it."""
    waiting: list[tuple[int, Region]] = [(0 if tree.rules else ~0, {})]
    while waiting:
        node, path = waiting.pop()
        if node < 0:
            yield ~node, {feature: cells for feature, cells in path.items() if not cells.all()}
            continue
        rule = tree.rules[node]
        left = rule.goes_left(encoding.blocks[rule.feature].bins[0].values)
        for child, goes in zip(tree.children[node], (left, ~left), strict=True):
            cells = path.get(rule.feature, True) & goes
            if cells.any():
                waiting.append((int(child), {**path, rule.feature: cells}))


def _selection(paths: list[Region], encoding: BinEncoding) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The matrix and the offset that count mismatches: one for each feature of a path whose cell is not allowed."""
    selection = np.zeros((len(paths), encoding.width), dtype=np.int64)
    offset = np.zeros(len(paths), dtype=np.int64)
    starts = encoding.starts
    for leaf, path in enumerate(paths):
        for feature, cells in path.items():
            block, start = encoding.blocks[feature], starts[feature]
            weights, constant = block.bins[0].linear(cells.astype(np.int64))
            selection[leaf, start : start + block.width] = -weights
            offset[leaf] += 1 - constant
    return selection, offset


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well a program in fixed point agrees with the model in float64, on some rows.

    Args:
        rows: how many.
        worst_error: the largest difference of a score.
        same_class: the share of rows with the same class; 1 for a regression.
    """

    rows: int
    worst_error: float
    same_class: float


def agreement(
    program: TreeProgram | LinearProgram,
    encoding: BinEncoding,
    model: Ensemble | Additive,
    X: NDArray[np.float64],
) -> Agreement:
    """Compare a program with the model that it was made of, on rows (rows, features), at least one."""
    worst, same = 0.0, 0
    for start in range(0, len(X), _CHUNK):
        rows = X[start : start + _CHUNK]
        clear, ours = model.scores(rows), program_scores(program, encoding.encode(rows))
        worst = max(worst, float(np.abs(clear - ours).max()))
        same += int((_classes(clear, model.link, model.classes) == _classes(ours, model.link, model.classes)).sum())
    return Agreement(rows=len(X), worst_error=worst, same_class=same / max(1, len(X)))


def program_scores(program: TreeProgram | LinearProgram, bits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (rows, outputs) of bits (rows, width), in the unit of the model."""
    if isinstance(program, LinearProgram):
        return program.clear(bits)
    return program.clear(bits.astype(np.int64)) / program.scale


def _classes(scores: NDArray[np.float64], link: Link, classes: tuple[str, ...]) -> NDArray[np.int64]:
    return top_class(scores, link, classes=len(classes)) if classes else np.zeros(len(scores), dtype=np.int64)
