"""An oracle behind a budget: what was asked, what came back, and no row more than allowed."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.attacks.oracle import Oracle
from holdfast.data import Labels, Matrix, Schema
from holdfast.errors import BudgetError
from holdfast.models import Model

BATCH_ROWS: Final = 100
"""Rows of one call; as an attacker on a live service would, who is stopped between calls."""


class Asking:
    """A model that may be asked about so many rows, and all that it answered.

    Args:
        oracle: the model or a client of it.
        queries: rows that it may be asked about.
    """

    def __init__(self, oracle: Model, *, queries: int) -> None:
        self._oracle = Oracle(oracle, batch_rows=BATCH_ROWS)
        self._allowed = queries
        self._rows: list[Matrix] = [np.empty((0, len(oracle.schema.features)))]
        self._answers: list[Matrix] = [np.empty((0, len(oracle.schema.classes)))]

    @property
    def schema(self) -> Schema:
        """The schema of the rows that the model takes."""
        return self._oracle.schema

    @property
    def answered(self) -> int:
        """Rows answered so far."""
        return self._oracle.rows_asked

    @property
    def left(self) -> int:
        """Rows that may still be asked about."""
        return self._allowed - self.answered

    @property
    def X(self) -> Matrix:  # noqa: N802 - rows are X everywhere
        """(answered, features) the rows, in the order in which they were asked."""
        self._rows = [np.vstack(self._rows)]
        return self._rows[0]

    @property
    def P(self) -> Matrix:  # noqa: N802 - answers are P everywhere
        """(answered, classes) the answers."""
        self._answers = [np.vstack(self._answers)]
        return self._answers[0]

    def ask(self, rows: Matrix) -> Matrix:
        """(rows, classes) the answers; each call that is answered is kept, whatever becomes of the next.

        Raises:
            AccessError: the oracle stopped answering, or the budget is spent (`BudgetError`).
        """
        start = self.answered
        allowed = rows[: self.left]
        for first in range(0, len(allowed), BATCH_ROWS):
            batch = allowed[first : first + BATCH_ROWS]
            self._answers.append(self._oracle.predict_proba(batch))
            self._rows.append(batch)
        if len(allowed) < len(rows):
            raise BudgetError(f"the {self._allowed} queries of the attack are spent")
        return self.P[start:]

    def labels(self, rows: Matrix) -> Labels:
        """(rows,) the classes answered. Raises as `ask`."""
        return np.asarray(self.ask(rows).argmax(axis=1), dtype=np.int64)
