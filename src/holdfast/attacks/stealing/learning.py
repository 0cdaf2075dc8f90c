"""Learning a copy from rows all over the schema, and from those that the copy so far is least sure of; for any model.

Uncertainty sampling (Lewis and Gale 1994), as adaptive retraining has it for stealing models (Tramèr et al. 2016,
section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from holdfast.attacks.stealing.asking import BATCH_ROWS, Asking
from holdfast.attacks.stealing.surrogates import linear_copy, logistic_copy, network_copy, tree_copy
from holdfast.attacks.synthetic import levelled_rows
from holdfast.attacks.tables.feasible import ranges, repair
from holdfast.data import Matrix, Schema
from holdfast.models import Encoding, Model

Copies = list[tuple[str, Model]]

_FITS: Final[Mapping[str, Callable[..., Model]]] = MappingProxyType(
    {
        "linear equations": linear_copy,
        "logistic regression": logistic_copy,
        "boosted trees": tree_copy,
        "perceptron": network_copy,
    }
)
_GIVEN_BACK: Final = 1e-7
_CANDIDATES: Final = 10
"""Rows to choose from for each one asked."""
_SEEDS: Final = 2**31
EQUATIONS: Final = ("linear equations",)
LEARNERS: Final = ("logistic regression", "boosted trees", "perceptron")


class Learning:
    """Asks everywhere, then where the copy so far does not know, and fits copies to the answers.

    Args:
        fits: which copies to make, by name; of `EQUATIONS` and `LEARNERS`.
    """

    def __init__(self, fits: Sequence[str] = (*EQUATIONS, *LEARNERS)) -> None:
        self._fits = tuple(fits)

    def ask(self, asking: Asking, rng: np.random.Generator) -> None:
        """Half of the queries (and one for each unknown) from the schema, the others where the last fit is unsure."""
        # rows between others add no equation that these do not hold, so there must be one for each unknown first
        queries = asking.answered + asking.left
        first = min(queries, max(queries // 2, Encoding(asking.schema).width + 1))
        while asking.left:
            if asking.answered < first:
                rows = levelled_rows(asking.schema, min(BATCH_ROWS, first - asking.answered), rng)
            else:
                copy = _FITS[self._fits[-1]](asking.schema, asking.X, asking.P, seed=int(rng.integers(_SEEDS)))
                rows = _unsure_rows(copy, asking, min(BATCH_ROWS, asking.left), rng)
            asking.ask(rows)

    def copies(self, schema: Schema, X: Matrix, P: Matrix, seed: int) -> Copies:
        """The copies that these answers allow, the simplest first; one that gives all answers back is the last."""
        made: Copies = []
        told = len(X) > Encoding(schema).width + 1  # fewer answers are given back by any equations
        for name in self._fits:
            copy = _FITS[name](schema, X, P, seed=seed)
            made.append((name, copy))
            if told and np.abs(copy.predict_proba(X) - P).max() < _GIVEN_BACK:
                break
        return made


def _unsure_rows(copy: Model, asking: Asking, count: int, rng: np.random.Generator) -> Matrix:
    """Of rows from the schema and as many between the classes, those whose two best classes the copy holds closest."""
    half = _CANDIDATES * count // 2
    between = rows_between(asking.schema, asking.X, asking.P, half, rng)
    candidates = np.vstack([levelled_rows(asking.schema, half, rng), between])
    ranked = np.sort(copy.predict_proba(candidates), axis=1)
    return candidates[np.argsort(ranked[:, -1] - ranked[:, -2], kind="stable")[:count]]


def rows_between(schema: Schema, X: Matrix, P: Matrix, count: int, rng: np.random.Generator) -> Matrix:
    """Rows between pairs that were answered differently; rows like the first where all answers were one class."""
    labels = P.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return levelled_rows(schema, count, rng)
    first, second = opposite_pairs(labels, count, rng)
    share = rng.random((count, 1))
    mixed = X[first] + share * (X[second] - X[first])
    either = np.where(rng.random(mixed.shape) < share, X[second], X[first])
    is_category = np.array([feature.kind == "category" for feature in schema.features])
    mixed = np.where(is_category | np.isnan(mixed), either, mixed)
    return repair(mixed, ranges(schema, rows=count), schema)


def opposite_pairs(labels: Any, count: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """(count,) positions of rows, and of rows of other classes beside them; there must be two classes."""
    first = rng.integers(len(labels), size=count)
    second = first.copy()
    for label in np.unique(labels):
        mine = labels[first] == label
        second[mine] = rng.choice(np.flatnonzero(labels != label), size=int(mine.sum()))
    return first, second
