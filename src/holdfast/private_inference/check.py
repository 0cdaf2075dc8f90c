"""A plan beside the clear model: how far scores are apart on rows of the user's, in the clear and under encryption."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError
from holdfast.models.links import top_class
from holdfast.private_inference.circuit import Reading
from holdfast.private_inference.client import PrivateSession
from holdfast.private_inference.evaluator import Evaluator
from holdfast.private_inference.plan import PrivatePlan, clear_scores
from holdfast.private_inference.public_plan import Measured

MAX_COMPARED_ROWS: Final = 10_000
"""Rows compared in the clear; more would tell little more."""
MIN_AGREEMENT: Final = 0.99
"""Share of the rows in which a plan must give the model's own class."""


def unit_of_error(reading: Reading, X: NDArray[np.float64]) -> float:
    """What an error of a score is measured in: for a regression the spread of the model's scores on X, else one.

    The spread is the largest score less the smallest; where all are the same, their size, or one.
    """
    if reading.classes or reading.link != "identity":
        return 1.0
    own = reading.clear(X[:MAX_COMPARED_ROWS])
    return float(np.ptp(own) or np.abs(own).max(initial=0) or 1.0)


def compare(reading: Reading, X: NDArray[np.float64], *, max_error: float) -> Measured:
    """The program beside the model, in the clear.

    Raises:
        UnsupportedError: a score differs by more than `max_error`, or too many classes do.
    """
    X = X[:MAX_COMPARED_ROWS]
    own, ours = reading.clear(X), clear_scores(reading.program, reading.encoding.encode(X))
    error = float(np.abs(ours - own).max(initial=0))
    same = len(X)
    if n := len(reading.classes):
        same = int((top_class(ours, reading.link, classes=n) == top_class(own, reading.link, classes=n)).sum())
    if not error <= max_error:
        raise UnsupportedError(
            f"the plan's scores differ from the model's by up to {error:.3g}, at most {max_error:g} is accepted",
            hint="allow a larger error, or give rows X that cover the range of the features",
        )
    if same < MIN_AGREEMENT * len(X):
        raise UnsupportedError(f"the plan gives the model's class for {same} of {len(X)} rows, which is too few")
    return Measured(rows=len(X), same_class=same, worst_error=error, encrypted_rows=0, encrypted_error=0.0)


def ask(plan: PrivatePlan, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores of rows asked under encryption, one query for each, on this machine."""
    session, evaluator = PrivateSession(plan.public), Evaluator(plan)
    keys = session.keys("row")
    loaded = evaluator.load_keys(keys.manifest, keys.parts)
    queries = (session.encrypt(X[row : row + 1]) for row in range(len(X)))
    return np.vstack([session.decrypt(evaluator.answer(query, keys=loaded)).scores for query in queries])
