"""The compiler: a model as a user has it to a private plan, checked against the model on rows of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import IntegrityError, UsageError
from holdfast.he import fresh_seed
from holdfast.private_inference.check import ask, compare, unit_of_error
from holdfast.private_inference.circuit import Layout, Reading
from holdfast.private_inference.coefficients import choose_layout
from holdfast.private_inference.plan import PrivatePlan, SecretPlan
from holdfast.private_inference.program import LinearProgram, Program
from holdfast.private_inference.public_plan import Measured, PublicPlan
from holdfast.private_inference.readers import read_model

ENCRYPTED_ROWS: Final = 2
"""Rows asked under encryption before a plan is given out: enough to see that the circuit computes the program."""


_SHARE_OF_ERROR: Final = 50
"""Encryption may take this part of the accepted error in linear models: a thousandth of a score, by default."""


def compile_private(
    model: Any,
    *,
    X: NDArray[np.float64] | None = None,
    classes: Sequence[str] | None = None,
    batch: bool = False,
    max_error: float = 0.05,
) -> PrivatePlan:
    """Make the private plan of a model.

    Args:
        model: a fitted model of scikit-learn, XGBoost, LightGBM or interpret, a PyTorch module, a Holdfast model, or
            the path of a file: .onnx, XGBoost's .json or .ubj, LightGBM's .txt.
        X: (rows, n_features) rows, or (rows, …) images, like those that clients will ask about, NaN where a value is
            missing. They set ranges and grids, and the plan is compared with the model on them. A linear model of
            Holdfast's can do without.
        classes: names of the classes; without it, the model's own.
        batch: whether many rows will be asked at once. Trees and networks then get a second layout, which packs them;
            it costs the service as much memory again, and each client another key set. Linear models always pack.
        max_error: the largest difference of a score that is accepted: in the unit of the scores, which are log-odds or
            shares of classes, or logarithms; of a regression's other scores as a share of their spread on X.

    Raises:
        UnsupportedError: the model, or an operator in it, cannot be compiled; or the plan differs too much from it.
        UsageError: rows are needed and not given, or do not fit the model.
        DataError: the rows are not what the model takes.
    """
    given = None if X is None else _checked(X)
    reading = read_model(model, X=given, classes=classes)
    rows = None if given is None else given.reshape(len(given), -1)
    limit = max_error * (1.0 if rows is None else unit_of_error(reading, rows))
    layouts = choose_layouts(reading.program, width=reading.encoding.width, batch=batch, max_error=limit)
    if rows is None:
        return _assembled(reading, layouts, None)
    measured = compare(reading, rows, max_error=limit)
    plan = _assembled(reading, layouts, measured)
    asked = rows[:ENCRYPTED_ROWS]
    error = float(np.abs(ask(plan, asked) - plan.clear_scores(asked)).max())
    if not error <= limit:
        raise IntegrityError(f"an encrypted score differs from the clear one by {error:.3g}: the plan is not given out")
    return _assembled(reading, layouts, replace(measured, encrypted_rows=len(asked), encrypted_error=error))


def choose_layouts(program: Program, *, width: int, batch: bool, max_error: float) -> Mapping[str, Layout]:
    """The layouts in which a program is asked for rows of so many numbers, by name.

    Raises:
        UnsupportedError: it is too deep, too wide, or not exact enough.
    """
    if isinstance(program, LinearProgram):
        return {"row": choose_layout(program, worst_error=max_error / _SHARE_OF_ERROR)}
    from holdfast.private_inference import slots  # whoever asks a linear model does not wait for it

    row = slots.choose_layout(program, width=width)
    return {"row": row, "batch": slots.choose_layout(program, width=width, batch=True)} if batch else {"row": row}


def _assembled(reading: Reading, layouts: Mapping[str, Layout], measured: Measured | None) -> PrivatePlan:
    secret = SecretPlan(program=reading.program, salt=fresh_seed())
    public = PublicPlan(
        kind=reading.kind,
        encoding=reading.encoding,
        layouts=layouts,
        link=reading.link,
        classes=reading.classes,
        measured=measured,
        notes=reading.notes,
        commitment=secret.commitment,
    )
    return PrivatePlan(public=public, secret=secret)


def _checked(X: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim < 2 or len(rows) == 0 or rows.size == 0:
        raise UsageError(f"expected at least one row X of (rows, n_features), got an array of shape {rows.shape}")
    return rows
