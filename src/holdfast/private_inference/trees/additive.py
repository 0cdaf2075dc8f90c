"""Additive models: a sum of terms, each a table over the cells of one feature or several; they are linear programs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError, WireError
from holdfast.models.links import Link
from holdfast.models.trees.ensemble import Ensemble
from holdfast.private_inference.program import LinearProgram
from holdfast.private_inference.trees.encoding import MAX_WIDTH, BinEncoding, Block


@dataclass(frozen=True, eq=False, kw_only=True)
class Term:
    """One term.

    Args:
        block: its features and their cells, one-hot.
        scores: (cells, outputs) what each cell adds.
    """

    block: Block = field(repr=False)
    scores: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse scores that do not fit the cells."""
        if self.block.coding != "one-hot" or self.scores.ndim != 2 or len(self.scores) != self.block.n_cells:
            raise WireError(f"expected a score for each of {self.block.n_cells} cells, got {self.scores.shape}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Additive:
    """An explainable boosting machine, or boosting with trees of one split.

    Args:
        n_features: values of a row.
        terms: at least one.
        intercept: (outputs,).
        link: from scores to predictions.
        classes: names of the classes in order; none for regression.
    """

    n_features: int
    terms: tuple[Term, ...] = field(repr=False)
    intercept: NDArray[np.float64] = field(repr=False)
    link: Link
    classes: tuple[str, ...]

    def scores(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, outputs) of rows (rows, features) in float64, before the link.

        Raises:
            DataError: a value is missing, outside its range, or of a category that the model does not know.
        """
        total = np.tile(self.intercept, (len(X), 1))
        for term in self.terms:
            total += term.scores[term.block.cells(X)]
        return total

    def compile(self) -> tuple[BinEncoding, LinearProgram]:
        """One-hot bins and the linear program over them.

        Raises:
            UnsupportedError: there are too many cells.
        """
        width = sum(term.block.n_cells for term in self.terms)
        if width > MAX_WIDTH:
            raise UnsupportedError(
                f"the terms have {width} cells in all, and at most {MAX_WIDTH} are compiled",
                hint="train with smaller bins for pairs (max_interaction_bins=8), fewer of them (interactions=5), or"
                " max_bins=256",
            )
        encoding = BinEncoding(
            n_features=self.n_features, blocks=tuple(term.block for term in self.terms), width=max(1, width)
        )
        weights = np.concatenate([np.zeros((0, len(self.intercept))), *(term.scores for term in self.terms)])
        if not len(weights):
            weights = np.zeros((1, len(self.intercept)))
        return encoding, LinearProgram(weights=np.ascontiguousarray(weights.T), intercept=self.intercept)


def sum_of_stumps(ensemble: Ensemble, bins: BinEncoding) -> Additive:
    """An ensemble whose trees split at most once, as one table for each feature over the cells of its bins."""
    tables = [np.zeros((block.n_cells, ensemble.n_outputs)) for block in bins.blocks]
    intercept = ensemble.base.copy()
    for tree in ensemble.trees:
        if not tree.rules:
            intercept += tree.leaves[0]
            continue
        rule, (left, right) = tree.rules[0], ~tree.children[0]
        goes = rule.goes_left(bins.blocks[rule.feature].bins[0].values)
        tables[rule.feature] += np.where(goes[:, None], tree.leaves[left], tree.leaves[right])
    terms = (
        Term(block=Block(features=block.features, bins=block.bins, coding="one-hot"), scores=table)
        for block, table in zip(bins.blocks, tables, strict=True)
    )
    return Additive(
        n_features=ensemble.n_features,
        terms=tuple(terms),
        intercept=intercept,
        link=ensemble.link,
        classes=ensemble.classes,
    )
