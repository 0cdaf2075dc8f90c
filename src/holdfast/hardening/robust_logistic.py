"""Logistic regression that expects to be attacked: its loss is taken at each row's worst point inside a box.

For linear scores the worst point is known in closed form: every encoded value moves against the row's class as far as
its radius and the range [-1, 1] allow, which takes |weight| * room off the margin (Madry et al. 2018, section 2, solved
exactly for linear models; Xu, Caramanis and Mannor 2009 for the link to regularisation). The loss stays convex.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from holdfast.arguments import check_kind, is_number
from holdfast.attacks import FeasibleChange
from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.errors import DataError, UsageError
from holdfast.models import Encoding, LinearModel

_SMOOTHING: Final = 1e-4
"""|w| is taken as sqrt(w^2 + smoothing^2), from above, so that the loss has a gradient everywhere."""
_MAX_STEPS: Final = 1_000


def evasion_radius(threat: FeasibleChange, schema: Schema) -> Matrix:
    """How far each encoded column may move under a threat; encoded numbers span 2, from -1 to 1.

    A number that may change moves by 2 * budget. Two approximations err on the side of a stronger attacker: a feature
    that may only increase or decrease is given the radius in both directions, and relations are left out. Categories
    are approximated on average: a switch moves two of a category's indicators by 1, which is spread over all of them,
    and over all free categories where fewer may be switched. Where one category alone decides, that is too little; the
    attack afterwards shows it.

    Returns:
        (width,) float64, 0 to 2; 0 for what is fixed and for indicators of missing values.

    Raises:
        UsageError: an argument of another kind.
    """
    check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
    check_kind("schema", schema, Schema, example="data.schema")
    free = sum(f.kind == "category" and f.mutability == "free" for f in schema.features)
    switched = min(1.0, threat.max_category_changes / free) if free else 0.0
    radius = []
    for column in Encoding(schema).columns:
        feature = schema.features[column.source]
        if feature.mutability == "fixed" or column.kind == "missing":
            radius.append(0.0)
        elif column.kind == "equals":
            radius.append(switched * min(1.0, 2.0 / len(feature.categories)))
        else:
            radius.append(2.0 * threat.budget)
    return np.array(radius)


def robust_logistic(data: Dataset, *, evasion_radius: Matrix, seed: int = 0, l2: float = 1e-3) -> LinearModel:
    """Fit logistic regression at the worst point of each row. Deterministic: `seed` changes nothing.

    Args:
        data: rows of two or more classes.
        evasion_radius: (width,) of encoded units, 0 or more; all 0 gives plain logistic regression.
        seed: taken so that this is a trainer; without effect.
        l2: weight of half the squared weights beside the mean loss, above 0, which makes the optimum unique.

    Raises:
        UsageError: an argument of another kind; radii of another shape, negative or not finite; or l2 not above 0.
        DataError: fewer than two classes have rows.
    """
    del seed
    check_kind("data", data, Dataset, example="load(frame, schema)")
    check_kind("evasion_radius", evasion_radius, np.ndarray, example="evasion_radius(threat, data.schema)")
    encoding = Encoding(data.schema)
    radius = evasion_radius.astype(np.float64)
    if radius.shape != (encoding.width,) or not (np.isfinite(radius).all() and (radius >= 0).all()):
        raise UsageError(f"expected {encoding.width} radii of 0 or more, got an array of shape {radius.shape}")
    if not is_number(l2) or l2 <= 0:
        raise UsageError(f"expected l2 above 0, got {l2!r}")
    if len(np.unique(data.y)) < 2:
        raise DataError("expected rows of at least two classes to train on, got one class")
    classes = len(data.schema.classes)
    problem = _WorstCase(encoding.encode(data.X), data.y, radius, classes, l2)
    start = np.zeros(classes * (encoding.width + 1))
    solution = minimize(problem.loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_STEPS})
    W, b = problem.unpack(solution.x)
    if classes == 2:
        return LinearModel(data.schema, W[1:] - W[:1], b[1:] - b[:1])
    return LinearModel(data.schema, W, b)


class _WorstCase:
    """The mean softmax loss at each row's worst point, and its gradient.

    Against class k, row x of class y loses (w_k - w_y) . delta at most, where delta goes up by `up` or down by `down`:
    (w_k - w_y) . middle + |w_k - w_y| . reach with middle = (up - down) / 2 and reach = (up + down) / 2.
    """

    def __init__(self, E: Matrix, y: Labels, radius: Matrix, classes: int, l2: float) -> None:
        up, down = np.minimum(radius, 1 - E), np.minimum(radius, E + 1)
        self.centre, self.reach = E + (up - down) / 2, (up + down) / 2
        self.y, self.classes, self.l2 = y, classes, l2

    def unpack(self, flat: Matrix) -> tuple[Matrix, Matrix]:
        """Weights (classes, width) and intercepts (classes,)."""
        table = flat.reshape(self.classes, -1)
        return table[:, :-1], table[:, -1]

    def loss(self, flat: Matrix) -> tuple[float, Matrix]:
        """The loss and its gradient."""
        W, b = self.unpack(flat)
        total, gradient = 0.5 * self.l2 * float((W**2).sum()), np.hstack([self.l2 * W, np.zeros((self.classes, 1))])
        for own in range(self.classes):
            rows = self.y == own
            part, slope = self._of_class(W - W[own], b - b[own], own, self.centre[rows], self.reach[rows])
            total += part / len(self.y)
            gradient += slope / len(self.y)
            gradient[own] -= slope.sum(axis=0) / len(self.y)
        return total, gradient.ravel()

    @staticmethod
    def _of_class(D: Matrix, b: Matrix, own: int, centre: Matrix, reach: Matrix) -> tuple[float, Matrix]:
        """The summed loss of the rows of one class, and its gradient by the differences to that class."""
        smooth = np.sqrt(D**2 + _SMOOTHING**2)
        margins = centre @ D.T + reach @ smooth.T + b
        margins[:, own] = 0.0
        P = softmax(margins, axis=1)
        P[:, own] = 0.0
        weights = P.T @ centre + (P.T @ reach) * D / smooth
        part = -float(log_softmax(margins, axis=1)[:, own].sum())
        return part, np.hstack([weights, P.sum(axis=0)[:, None]])
