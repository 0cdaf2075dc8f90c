"""Flips of a model of trees that the rows of its schema allow: the exact attack, as evasion of tables uses it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from holdfast.arguments import check_kind
from holdfast.attacks.tables.feasible import keeps
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees.attack import TIME_LIMIT_S, TreeAttack
from holdfast.attacks.trees.flips import Flips, flips_by
from holdfast.attacks.trees.reach import Reach
from holdfast.attacks.trees.tied import TiedAttack
from holdfast.data import Labels, Matrix
from holdfast.errors import UnsupportedError, WireError
from holdfast.models import Model, OnnxModel, predict
from holdfast.models.trees import is_trees, read_trees

_read = lru_cache(maxsize=2)(read_trees)
"""The trees of the models attacked last: reading a hundred takes seconds, and an evasion asks for them by the chunk."""


def attackable(model: Model) -> bool:
    """Whether a model is made of trees that can be read, so that `feasible_flips` takes it."""
    if not isinstance(model, OnnxModel) or not is_trees(model):
        return False
    try:
        _read(model)
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

    Ranges, whole numbers, mutability, categories, relations between features and costs are all kept by the search.
    Relations are kept as closely as the check of a table asks (`holdfast.data.relation.TOLERANCE`). The solver keeps
    them and the costs up to a millionth: of the range that a relation spans, and of what may be spent. A row that no
    longer flips when it is moved to where the check lets it in is not returned, and its distance is infinite, while
    `at_least` still bounds what there may be. The same holds for a row that the model, asked again, gives to `y`.

    Args:
        model: one that is `attackable`.
        X: (rows, features) that the model gives to `y`.
        y: (rows,) classes.
        threat: what may change; its budget is not used.
        within: look for flips up to this share of the range only.
        time_limit_s: for the solver, for one row and one wrong class; 0 for the fast search alone.

    Raises:
        UsageError: an argument of another kind.
        UnsupportedError: the trees cannot be read, or have too many leaves.
        DataError: the rows do not fit the model.
    """
    check_kind("model", model, OnnxModel, example="fit_estimator(XGBClassifier(), data)")
    check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
    attack = TreeAttack(_read(model), Reach.within(threat, model.schema), time_limit_s=time_limit_s)
    tied = bool(model.schema.relations) or threat.max_cost is not None
    nearest = TiedAttack(attack, model.schema, threat).nearest if tied else attack.nearest
    flips = flips_by(nearest, attack, X, y, within=within)
    stands = keeps(flips.X, model.schema) & threat.affordable(X, flips.X, model.schema) & (predict(model, flips.X) != y)
    return Flips(
        np.where(stands[:, None], flips.X, X),
        np.where(stands, flips.distance, np.inf),
        flips.at_least,
    )
