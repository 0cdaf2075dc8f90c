"""From a data set and what an attacker may do in it to robust trees that are kept like any other model."""

from __future__ import annotations

from typing import Final

import numpy as np

from holdfast.arguments import check_kind
from holdfast.attacks import FeasibleChange
from holdfast.data import Dataset, Matrix, Schema
from holdfast.data.relation import TOLERANCE
from holdfast.errors import UnsupportedError, UsageError
from holdfast.hardening.trees.box import two_sided
from holdfast.hardening.trees.classifier import RobustTreeClassifier
from holdfast.models import Encoding, OnnxModel

_ROUNDING: Final = 1e-15
"""Of encoded units: a side is a difference of floating-point numbers, and has to reach the end when it is added."""


def feasible_radius(threat: FeasibleChange, data: Dataset) -> Matrix:
    """How far each encoded column of each row may move down and up under a threat: a box around all that it allows.

    The box of a row follows its mutability, its ranges, its costs and its relations: a ratio moves no further than what
    it is a ratio of. Any indicator of a category that may be switched can take both its values. What joins features
    beyond that (of two that add up one falls as the other rises, how many categories are switched at once) is left out,
    which only makes the attacker stronger.

    Returns:
        (rows, width, 2) float64 of encoded units, down and up.

    Raises:
        UsageError: an argument of another kind.
    """
    check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
    check_kind("data", data, Dataset, example="load(frame, schema)")
    encoding, box = Encoding(data.schema), threat.box(data.X, data.schema, tolerance=TOLERANCE)
    here, low, high = (encoding.encode(rows) for rows in (data.X, box.low, box.high))
    sides = np.stack([here - low, high - here], axis=2)
    for position, column in enumerate(encoding.columns):
        if column.kind == "equals":
            sides[:, position] = (box.low < box.high)[:, column.source, None]
    return np.where(sides > 0, sides + _ROUNDING, 0.0)


def fit_robust_trees(
    estimator: RobustTreeClassifier, data: Dataset, *, evasion_radius: Matrix, seed: int = 0
) -> OnnxModel:
    """Fit a fresh copy of a robust tree classifier on the encoded rows of a data set.

    With `functools.partial(fit_robust_trees, estimator)` it is a trainer for `harden`.

    Args:
        estimator: its `source_class` names a class of the schema, or is None; its radius is not used.
        data: rows of two classes.
        evasion_radius: (width,) of encoded units, (width, 2) down and up, or (rows, width, 2) from `feasible_radius`.
            Any radius above 0 on an indicator of a category means that it can be switched.
        seed: of a forest; boosting has no use for it.

    Raises:
        UsageError: an argument of another kind; radii of another shape, negative or not finite; or an attacked class
            that the schema lacks.
        UnsupportedError: more than two classes.
        DataError: only one class has rows.
    """
    from sklearn.base import clone

    check_kind("estimator", estimator, RobustTreeClassifier, example="RobustBoostingClassifier()")
    check_kind("data", data, Dataset, example="load(frame, schema)")
    schema, encoding = data.schema, Encoding(data.schema)
    if len(schema.classes) != 2:
        raise UnsupportedError(
            f"robust trees tell two classes apart, the schema has {len(schema.classes)}",
            hint="train robust_logistic, or one classifier for each class against the rest",
        )
    sides = _whole_switches(two_sided(evasion_radius, (len(data), encoding.width)), encoding)
    fresh: RobustTreeClassifier = clone(estimator)
    fresh.set_params(radius=sides, source_class=_code(estimator.source_class, schema))
    if "random_state" in fresh.get_params():
        fresh.set_params(random_state=seed)
    return fresh.fit(encoding.encode(data.X), data.y).as_model(schema)


def _whole_switches(sides: Matrix, encoding: Encoding) -> Matrix:
    """An indicator is 0 or 1, so one that moves at all reaches the other."""
    switches = np.array([column.kind == "equals" for column in encoding.columns])
    return np.where(switches[:, None] & (sides > 0), 1.0, sides)


def _code(source_class: object, schema: Schema) -> int | None:
    if source_class is None:
        return None
    if source_class not in schema.classes:
        raise UsageError(f"expected source_class of {', '.join(schema.classes)}, got {source_class!r}")
    return schema.classes.index(str(source_class))
