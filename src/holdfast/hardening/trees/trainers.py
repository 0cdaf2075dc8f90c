"""From a data set and what an attacker may do in it to robust trees that are kept like any other model."""

from __future__ import annotations

import numpy as np

from holdfast.attacks import FeasibleChange
from holdfast.data import Dataset, Matrix, Schema
from holdfast.errors import UnsupportedError, UsageError
from holdfast.hardening.robust_logistic import evasion_radius as radius_of
from holdfast.hardening.trees.box import two_sided
from holdfast.hardening.trees.classifier import RobustTreeClassifier
from holdfast.models import Encoding, OnnxModel


def tree_radius(threat: FeasibleChange, schema: Schema) -> Matrix:
    """How far each encoded column may move down and up under a threat: a box around all that it allows.

    A number that may only increase or decrease moves to one side. Any indicator of a category that may be switched can
    take both its values. Relations, whole numbers and how many categories are switched at once are left out, which only
    makes the attacker stronger.

    Returns:
        (width, 2) float64 of encoded units, down and up.
    """
    encoding = Encoding(schema)
    sides = np.repeat(radius_of(threat, schema)[:, None], 2, axis=1)
    for sides_of, column in zip(sides, encoding.columns, strict=True):
        mutability = schema.features[column.source].mutability
        if mutability == "increase":
            sides_of[0] = 0.0
        elif mutability == "decrease":
            sides_of[1] = 0.0
    return _whole_switches(sides, encoding)


def fit_robust_trees(
    estimator: RobustTreeClassifier, data: Dataset, *, evasion_radius: Matrix, seed: int = 0
) -> OnnxModel:
    """Fit a fresh copy of a robust tree classifier on the encoded rows of a data set.

    With `functools.partial(fit_robust_trees, estimator)` it is a trainer for `harden`.

    Args:
        estimator: its `attacked_class` names a class of the schema, or is None; its radius is not used.
        data: rows of two classes.
        evasion_radius: (width,) of encoded units, or (width, 2) from `tree_radius`. Any radius above 0 on an indicator
            of a category means that it can be switched.
        seed: of a forest; boosting has no use for it.

    Raises:
        UsageError: radii of another shape, negative or not finite; or an attacked class that the schema lacks.
        UnsupportedError: more than two classes.
        DataError: only one class has rows.
    """
    from sklearn.base import clone

    schema, encoding = data.schema, Encoding(data.schema)
    if len(schema.classes) != 2:
        raise UnsupportedError(
            f"robust trees tell two classes apart, the schema has {len(schema.classes)}",
            hint="train robust_logistic, or one classifier for each class against the rest",
        )
    sides = _whole_switches(two_sided(evasion_radius, encoding.width), encoding)
    fresh: RobustTreeClassifier = clone(estimator)
    fresh.set_params(radius=sides, attacked_class=_code(estimator.attacked_class, schema))
    if "random_state" in fresh.get_params():
        fresh.set_params(random_state=seed)
    return fresh.fit(encoding.encode(data.X), data.y).as_model(schema)


def _whole_switches(sides: Matrix, encoding: Encoding) -> Matrix:
    """An indicator is 0 or 1, so one that moves at all reaches the other."""
    switches = np.array([column.kind == "equals" for column in encoding.columns])
    return np.where(switches[:, None] & (sides > 0), 1.0, sides)


def _code(attacked_class: object, schema: Schema) -> int | None:
    if attacked_class is None:
        return None
    if attacked_class not in schema.classes:
        raise UsageError(f"expected attacked_class of {', '.join(schema.classes)}, got {attacked_class!r}")
    return schema.classes.index(str(attacked_class))
