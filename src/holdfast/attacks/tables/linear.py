"""Exact evasion of linear models: the smallest feasible change of each row that flips the decision.

For one wrong class the margin to the true one is linear in the features, so the smallest budget that closes it is a
linear program (linear_program.py). Relations never speak of categories, hence the best switches of categories are
simply the ones that gain most. A quotient of which both the value and the denominator may change, and switches that
have a price, are no linear program: such rows stay undecided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holdfast.arguments import check_kind
from holdfast.attacks.tables.feasible import Box
from holdfast.attacks.tables.linear_program import Problem
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Labels, Matrix, Schema
from holdfast.data.relation import TOLERANCE
from holdfast.models import LinearModel, predict


@dataclass(frozen=True)
class Flips:
    """The smallest flipping change of each row.

    Args:
        X: (rows, features) the changed rows; the row itself where nothing flips it.
        distance: (rows,) share of the range that the furthest feature moves; infinite where nothing flips the row.
        undecided: (rows,) where the solver gave up or rounding undid its answer.
    """

    X: Matrix
    distance: Matrix
    undecided: npt.NDArray[np.bool_]


def smallest_flips(model: LinearModel, X: Matrix, y: Labels, threat: FeasibleChange) -> Flips:
    """Find the smallest change of each row after which the model no longer says `y`, whatever the threat's budget.

    Args:
        model: the model.
        X: (rows, features) that the model gives to `y`.
        y: (rows,) classes.
        threat: how categories may change; its budget is not used.

    Raises:
        UsageError: an argument of another kind.
    """
    check_kind("model", model, LinearModel, example="fit_estimator(LogisticRegression(), data)")
    check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
    best = Flips(X.copy(), np.full(len(X), np.inf), np.zeros(len(X), dtype=bool))
    if _swaps_have_a_price(threat, model.schema):
        best.undecided[:] = True
        return best
    weights, intercept = _per_class(model)
    scores = model.encoding.encode(X) @ weights.T + intercept
    threat = threat.with_budget(1.0)
    box = threat.box(X, model.schema, tolerance=TOLERANCE)
    for row, own in enumerate(y):
        for target in np.flatnonzero(np.arange(len(weights)) != own):
            w, reach = weights[target] - weights[own], box.take(slice(row, row + 1))
            switched, gain = _switch_categories(model.schema, X[row], w, threat.max_category_changes, reach)
            need = float(scores[row, own] - scores[row, target]) - gain
            found, undecided = Problem(model, switched, w, need, reach, threat).smallest()
            best.undecided[row] |= undecided
            if found is not None:
                distance = float(threat.distance(X[[row]], found[None], model.schema)[0])
                if distance < best.distance[row]:
                    best.X[row], best.distance[row] = found, distance
    best.undecided[np.isfinite(best.distance) & (predict(model, best.X) == y)] = True
    return best


def _switch_categories(schema: Schema, x: Matrix, w: Matrix, allowed: int, box: Box) -> tuple[Matrix, float]:
    """The row with the (at most `allowed`) switches of categories that gain most in `w`, and their gain."""
    gains = []
    start = 0
    for position, feature in enumerate(schema.features):
        width = len(feature.categories) if feature.kind == "category" else 1
        if feature.kind == "category" and box.low[0, position] < box.high[0, position]:
            own = w[start : start + width]
            gains.append((float(own.max() - own[int(x[position])]), position, int(own.argmax())))
        start += width + feature.nullable
    switched, best = x.copy(), [gain for gain in sorted(gains, reverse=True)[:allowed] if gain[0] > 0]
    for _, position, code in best:
        switched[position] = code
    return switched, sum(gain for gain, _, _ in best)


def _swaps_have_a_price(threat: FeasibleChange, schema: Schema) -> bool:
    prices = zip(threat.prices(schema), schema.features, strict=True)
    return threat.max_category_changes > 0 and any(price and feature.kind == "category" for price, feature in prices)


def _per_class(model: LinearModel) -> tuple[Matrix, Matrix]:
    """Weights (classes, width) and intercepts (classes,); with two classes, the first scores 0."""
    if len(model.coef) > 1:
        return model.coef, model.intercept
    return np.vstack([np.zeros_like(model.coef), model.coef]), np.append(0.0, model.intercept)
