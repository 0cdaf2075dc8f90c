"""The seam between what is looked at and what is made of it: one number for some successive queries of a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from holdfast.data import Matrix
from holdfast.detection.views import Queries, View
from holdfast.errors import DataError, UsageError

Answer = Callable[[Queries], Matrix]
"""A model: (n, …) queries to (n, classes) probabilities, or logits where a statistic says so."""

MAX_WINDOW: Final = 256
"""Queries of a client that are compared with one another; their pairs stay below 33,000."""


class Statistic(Protocol):
    """A number for each `window` successive queries of one client, larger for stranger ones.

    It is a value: it never learns from the queries that it looks at. What is kept of a query until its window is full
    is a vector of fixed width, never the query itself. (The contract is tested on every statistic in
    tests/detection/test_detector_contract.py.)
    """

    @property
    def kind(self) -> str:
        """Its name, in kebab case."""
        ...

    @property
    def finding(self) -> str:
        """What is said of queries that score high, to follow "12 of the last 50 queries"."""
        ...

    @property
    def view(self) -> View:
        """What queries it takes."""
        ...

    @property
    def window(self) -> int:
        """Successive queries that one score is made of; 1 where each is looked at alone."""
        ...

    @property
    def width(self) -> int:
        """Numbers kept of one query."""
        ...

    def kept(self, queries: Queries) -> Matrix:
        """(n, width) what is kept of queries.

        Raises:
            DataError: the queries are not what the view is of.
        """
        ...

    def scores(self, windows: Matrix) -> Matrix:
        """(k, window, width) of what was kept, to (k,) scores."""
        ...

    def to_json(self) -> dict[str, Any]:
        """All that it is, but for the model that it asks, as JSON."""
        ...


def windows_of(kept: Matrix, window: int) -> Matrix:
    """(n // window, window, width) successive windows; what does not fill one is left out."""
    whole = len(kept) // window
    return kept[: whole * window].reshape(whole, window, kept.shape[1])


def check_window(window: int) -> None:
    """Refuse a window without pairs.

    Raises:
        UsageError: fewer than 2 queries, or too many.
    """
    if isinstance(window, bool) or not isinstance(window, int) or not 2 <= window <= MAX_WINDOW:
        raise UsageError(f"expected a window of 2 to {MAX_WINDOW} queries, got {window!r}")


def answers(ask: Answer, queries: Queries) -> Matrix:
    """What a model answers, checked for shape and finite numbers; it is not asked about nothing.

    Raises:
        DataError: it is no finite matrix with a row for each query.
    """
    if len(queries) == 0:
        return np.empty((0, 1))
    P = np.asarray(ask(queries), dtype=np.float64)
    if P.ndim != 2 or len(P) != len(queries) or not np.isfinite(P).all():
        raise DataError(f"expected finite answers of shape ({len(queries)}, classes) from the model, got {P.shape}")
    return P
