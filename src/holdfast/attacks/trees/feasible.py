"""Flips of a model of trees that the rows of its schema allow: the exact attack, as evasion of tables uses it."""

from __future__ import annotations

import numpy as np

from holdfast.attacks.tables.feasible import keeps
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees.attack import TIME_LIMIT_S
from holdfast.attacks.trees.flips import Flips, smallest_flips
from holdfast.attacks.trees.reach import Reach
from holdfast.data import Labels, Matrix
from holdfast.errors import UnsupportedError, WireError
from holdfast.models import Model, OnnxModel, predict
from holdfast.models.trees import is_trees, read_trees


def attackable(model: Model) -> bool:
    """Whether a model is made of trees that can be read, so that `feasible_flips` takes it."""
    if not isinstance(model, OnnxModel) or not is_trees(model):
        return False
    try:
        read_trees(model)
    except (UnsupportedError, WireError):
        return False
    return True


def feasible_flips(
    model: OnnxModel,
    X: Matrix,
    y: Labels,
    threat: FeasibleChange,
    *,
    within: float = 1.0,
    time_limit_s: float = TIME_LIMIT_S,
) -> Flips:
    """Find the smallest feasible change of each row after which a model of trees no longer says `y`.

    Ranges, whole numbers, mutability and categories are kept by the search. Relations between features and costs are
    checked afterwards: a row that breaks them is not returned, and its distance is infinite, while `at_least` still
    bounds what there may be. The same holds for a row that the model, asked again, gives to `y`.

    Args:
        model: one that is `attackable`.
        X: (rows, features) that the model gives to `y`.
        y: (rows,) classes.
        threat: what may change; its budget is not used.
        within: look for flips up to this share of the range only.
        time_limit_s: for the solver, for one row and one wrong class; 0 for the fast search alone.

    Raises:
        UnsupportedError: the trees cannot be read, or have too many leaves.
        DataError: the rows do not fit the model.
    """
    reach = Reach.within(threat, model.schema)
    flips = smallest_flips(read_trees(model), X, y, reach=reach, within=within, time_limit_s=time_limit_s)
    stands = keeps(flips.X, model.schema) & threat.affordable(X, flips.X, model.schema) & (predict(model, flips.X) != y)
    return Flips(
        np.where(stands[:, None], flips.X, X),
        np.where(stands, flips.distance, np.inf),
        flips.at_least,
    )
