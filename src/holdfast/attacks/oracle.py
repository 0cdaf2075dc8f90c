"""A model as an attacker meets it: rows go in, probabilities come out, and every row is counted."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast import limits
from holdfast.arguments import check_kind, is_number
from holdfast.attacks.patience import within
from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.errors import DataError, HoldfastError, UnsupportedError, UsageError
from holdfast.models import Model

_SUM_TOLERANCE: Final = 0.02
"""How far the probabilities of a row may miss 1; services round their answers."""
_PROBE_ROWS: Final = 32


class Oracle:
    """A model that is only asked. It is a `Model` itself.

    Args:
        model: the model or a client of it.
        batch_rows: most rows of one call.
        timeout_s: most seconds of one call; None waits for ever.

    Raises:
        UsageError: a timeout that is not above 0.
    """

    def __init__(
        self, model: Model, *, batch_rows: int = limits.MAX_REQUEST_ROWS, timeout_s: float | None = None
    ) -> None:
        if timeout_s is not None and not (is_number(timeout_s) and timeout_s > 0):
            raise UsageError(f"timeout_s is a number of seconds above 0, got {timeout_s!r}")
        self.model = model
        self._batch_rows = batch_rows
        self._timeout_s = timeout_s
        self.rows_asked = 0

    @property
    def schema(self) -> Schema:
        """The schema of the rows that the model takes."""
        return self.model.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities, normalised.

        Raises:
            UnsupportedError: the model raises or takes too long, or its answers are not probabilities.
        """
        starts = range(0, len(X), self._batch_rows)
        answers = [self._ask(X[start : start + self._batch_rows]) for start in starts]
        return np.vstack(answers) if answers else np.empty((0, len(self.schema.classes)))

    def labels(self, X: Matrix) -> Labels:
        """(rows,) the position of the most probable class; of several, the first."""
        return np.asarray(self.predict_proba(X).argmax(axis=1), dtype=np.int64)

    def check_repeatable(self, X: Matrix) -> None:
        """Ask the same rows twice.

        Raises:
            UnsupportedError: the answers differ, so that a measurement would hold for one draw only.
        """
        first, second = self.predict_proba(X[:_PROBE_ROWS]), self.predict_proba(X[:_PROBE_ROWS])
        if not np.allclose(first, second, rtol=0, atol=1e-6):
            raise UnsupportedError(
                f"the model answers the same row differently each time (by up to {np.abs(first - second).max():.2g})",
                hint="attack the model behind the randomisation",
            )

    def _ask(self, X: Matrix) -> Matrix:
        P = self._answer(X)
        expected = (len(X), len(self.schema.classes))
        if P.shape != expected:
            raise UnsupportedError(f"expected probabilities of shape {expected} from the model, got {P.shape}")
        self.rows_asked += len(X)
        total = P.sum(axis=1)
        wrong = ~((P >= 0).all(axis=1) & (np.abs(total - 1) <= _SUM_TOLERANCE))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UnsupportedError(
                f"expected probabilities from the model, got {np.array2string(P[row][:5], precision=3)} for row {row}",
                hint="if the model returns scores or logits, put a sigmoid or a softmax behind it",
            )
        return np.asarray(P / total[:, None], dtype=np.float64)

    def _answer(self, X: Matrix) -> Matrix:
        """What the model gives for these rows; where it raises, the first row on which it does is named."""
        try:
            return within(self._timeout_s, lambda: np.asarray(self.model.predict_proba(X), dtype=np.float64))
        except HoldfastError:
            raise
        except Exception as error:
            row = self._first_failing(X)
            where = (
                f"row {row} of the {len(X)} asked" if row is not None else f"{len(X)} rows, and on none of them alone"
            )
            raise UnsupportedError(
                f"expected probabilities from the model, got {type(error).__name__} for {where}: {str(error)[:200]}",
                hint="mend predict_proba for every row that keeps to the schema",
            ) from error

    def _first_failing(self, X: Matrix) -> int | None:
        """A row that the model fails on when it is asked for it alone, the first if there is one only; by halving."""
        start, stop = 0, len(X)
        while stop - start > 1:
            middle = (start + stop) // 2
            start, stop = (start, middle) if self._fails(X[start:middle]) else (middle, stop)
        return start if self._fails(X[start:stop]) else None

    def _fails(self, X: Matrix) -> bool:
        try:
            within(self._timeout_s, lambda: self.model.predict_proba(X))
        except Exception:  # noqa: BLE001 - the same that is being named
            return True
        return False


def check_subject(model: Model, data: Dataset, *, at_least: int = 1) -> None:
    """Check that a data set can be used to attack a model.

    Raises:
        UsageError: the model has no schema, or the data is no `Dataset`.
        DataError: another schema, or too few rows.
    """
    if not hasattr(model, "schema"):
        raise UsageError(
            f"expected a model with a schema and predict_proba, got {type(model).__name__}",
            hint="let fit_estimator train it, or wrap it in a class with `schema` and `predict_proba(X)`",
        )
    check_kind("data", data, Dataset, example="load(frame, schema)")
    if data.schema != model.schema:
        raise DataError("the data and the model have different schemas", hint="load the data with the model's schema")
    if len(data) < at_least:
        raise DataError(f"expected at least {at_least} row{'s' * (at_least > 1)} to attack with, got {len(data)}")
