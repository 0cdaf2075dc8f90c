"""In which order an attacker tries what there is: the answers show what the model may be."""

from __future__ import annotations

from typing import Final, Literal, Protocol

import numpy as np

from holdfast.attacks.stealing.asking import BATCH_ROWS, Asking
from holdfast.attacks.stealing.boundary import BoundarySearch
from holdfast.attacks.stealing.learning import EQUATIONS, LEARNERS, Copies, Learning
from holdfast.attacks.stealing.paths import PathFinding
from holdfast.attacks.synthetic import levelled_rows
from holdfast.data import Matrix, Schema
from holdfast.models import Encoding

Method = Literal["auto", "equations", "boundary", "paths", "learning"]

_SHARE: Final = 0.4
"""Of the queries that are left, for a method that may turn out not to fit."""
_LEAST_LEAVES: Final = 10
"""A search for paths that gets to fewer leaves only wastes queries."""
_LEAF_QUERIES: Final = 20
"""For the edges of a leaf, beside two for each feature."""


class Strategy(Protocol):
    """A way to ask and what it makes of the answers."""

    def ask(self, asking: Asking, rng: np.random.Generator) -> None:
        """Ask until it knows enough or the queries are spent.

        Raises:
            AccessError: the oracle stopped answering; what was found stays.
        """
        ...

    def copies(self, schema: Schema, X: Matrix, P: Matrix, seed: int) -> Copies:
        """Copies from the first answers, which are these."""
        ...


class Auto:
    """Looks at the first answers, and then takes the methods that fit them; the best copy of all counts.

    Answers that repeat come from the leaves of a tree, or were cut down to labels or round numbers: paths are looked
    for, if there are queries for a few leaves, and if they do not explain fresh rows, points on the boundary. What is
    left goes to learning.
    """

    def __init__(self) -> None:
        self._learning = Learning()
        self._strategies: list[Strategy] = [self._learning]

    def ask(self, asking: Asking, rng: np.random.Generator) -> None:
        """See the class."""
        queries = asking.left
        first = min(queries, BATCH_ROWS, max(2 * queries // 3, Encoding(asking.schema).width + 1))
        answers = asking.ask(levelled_rows(asking.schema, first, rng))
        if len(np.unique(answers, axis=0)) <= len(answers) / 2 and self._is_tree(asking, rng):
            return
        self._learning.ask(asking, rng)

    def _is_tree(self, asking: Asking, rng: np.random.Generator) -> bool:
        """Whether paths explain fresh rows; if not, the boundary has been searched."""
        paths, boundary = PathFinding(_SHARE), BoundarySearch(_SHARE)
        self._strategies = [paths, boundary, self._learning]
        if _SHARE * asking.left >= _LEAST_LEAVES * (2 * len(asking.schema.features) + _LEAF_QUERIES):
            paths.ask(asking, rng)
        if not paths.complete:
            boundary.ask(asking, rng)
        return paths.complete

    def copies(self, schema: Schema, X: Matrix, P: Matrix, seed: int) -> Copies:
        """Those of all methods taken."""
        return [copy for strategy in self._strategies for copy in strategy.copies(schema, X, P, seed)]


def strategy_of(method: Method) -> Strategy:
    """The strategy of a method, fresh."""
    if method == "equations":
        return Learning(EQUATIONS)
    if method == "learning":
        return Learning(LEARNERS)
    if method == "boundary":
        return BoundarySearch()
    return PathFinding() if method == "paths" else Auto()
