"""Stealing a linear model that answers with labels alone: points on its boundary are equations about its weights.

Lowd and Meek 2005 (Adversarial Learning, section 4) and Tramèr et al. 2016 (section 5.2): bisect between two rows of
different classes until they lie as close as floats allow. Where two classes meet, their scores are equal, so every
such point is one homogeneous equation, and as many of them as there are unknowns give the weights up to their scale.
The scale, which labels do not tell, is fitted to the answers; it changes no class.

No defence of outputs that leaves the most probable class as it is can prevent this.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from holdfast.attacks.stealing.asking import BATCH_ROWS, Asking
from holdfast.attacks.stealing.learning import Copies, opposite_pairs
from holdfast.attacks.synthetic import levelled_rows
from holdfast.attacks.tables.feasible import keeps
from holdfast.data import Labels, Matrix, Schema
from holdfast.models import Encoding, LinearModel

_STEPS: Final = 30
"""Bisections of a segment; the point is then known to a billionth of the segment's length."""
_FEWEST_STEPS: Final = 8
_SPARE: Final = 1.5
"""Points for each unknown: some segments are not usable, and some equations say nothing new."""
_LOG_SCALES: Final = (-7.0, 7.0)


class BoundarySearch:
    """Asks along segments between rows of different classes, and solves for a linear model.

    Args:
        share: of the queries that are left, how many it may use.
    """

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._points: list[Matrix] = []
        self._classes: list[Labels] = []
        self._asked_at: list[int] = []

    def ask(self, asking: Asking, rng: np.random.Generator) -> None:
        """Find boundary points until the share of the queries is used up."""
        last = asking.left - round(self._share * asking.left)
        if not _two_classes(asking, rng, last):
            return
        unknowns = (len(asking.schema.classes) - 1) * (Encoding(asking.schema).width + 1)
        steps = 0
        while asking.left > last:
            start, end, classes = _segments(asking, rng, wanted=int(np.ceil(_SPARE * unknowns)), last=last)
            left = asking.left - last
            steps = steps or int(np.clip(left // max(1, len(start)), _FEWEST_STEPS, _STEPS))
            kept = left // steps  # fewer points at the end, but none that is less exact
            if not len(start[:kept]):
                return
            self._bisect(asking, start[:kept], end[:kept], classes[:kept], steps)

    def _bisect(self, asking: Asking, start: Matrix, end: Matrix, classes: Labels, steps: int) -> None:
        """Halve all segments at once; `classes` is (segments, 2), those of the two ends."""
        for _ in range(steps):
            middle = np.where(np.isnan(start), start, start + (end - start) / 2)
            said = asking.labels(middle)
            same = said == classes[:, 0]
            start, end = np.where(same[:, None], middle, start), np.where(same[:, None], end, middle)
            classes = np.column_stack([classes[:, 0], np.where(same, classes[:, 1], said)])
        self._points.append(start + (end - start) / 2)
        self._classes.append(classes)
        self._asked_at.append(asking.answered)

    def copies(self, schema: Schema, X: Matrix, P: Matrix, seed: int) -> Copies:
        """The linear copy, where boundary points were found among these answers."""
        del seed
        known = [number for number, at in enumerate(self._asked_at) if at <= len(X)]
        if not known:
            return []
        points = np.vstack([self._points[number] for number in known])
        classes = np.vstack([self._classes[number] for number in known])
        W = _weights(schema, points, classes)
        E = np.hstack([Encoding(schema).encode(X), np.ones((len(X), 1))])
        W = _scaled(W, E, P)
        W = W[1:] if len(schema.classes) == 2 else W
        return [("boundary search", LinearModel(schema, W[:, :-1], W[:, -1]))]


def _two_classes(asking: Asking, rng: np.random.Generator, last: int) -> bool:
    """Ask until rows of two classes are known; whether they are."""
    while len(np.unique(asking.P.argmax(axis=1))) < 2:
        if (count := min(BATCH_ROWS, asking.left - last)) < 1:
            return False
        asking.ask(levelled_rows(asking.schema, count, rng))
    return True


def _segments(asking: Asking, rng: np.random.Generator, *, wanted: int, last: int) -> tuple[Matrix, Matrix, Labels]:
    """Segments as `_between_pairs` makes them, as many as wanted unless half of the queries go into the search."""
    found = [_between_pairs(asking, rng, wanted)]
    enough = last + (asking.left - last) // 2
    while sum(len(start) for start, _, _ in found) < wanted and asking.left > enough:
        found.append(_between_pairs(asking, rng, wanted))
    return (
        np.vstack([start for start, _, _ in found]),
        np.vstack([end for _, end, _ in found]),
        np.vstack([classes for _, _, classes in found]),
    )


def _between_pairs(asking: Asking, rng: np.random.Generator, count: int) -> tuple[Matrix, Matrix, Labels]:
    """From so many pairs of rows, those that differ in real numbers only and are of different classes, and the classes.

    A segment cannot run through categories, whole numbers and what is missing (`_held`): they are taken over from the
    other row first. Where that alone changes the class, the other end takes them over instead.
    """
    X, labels = asking.X, np.asarray(asking.P.argmax(axis=1), dtype=np.int64)
    first, second = opposite_pairs(labels, count, rng)
    A, B = X[first], X[second]
    held = _held(asking.schema) | np.isnan(A) | np.isnan(B)
    C, D = np.where(held, B, A), np.where(held, A, B)
    moved = _differs(A, B, held)
    forward, said = _other_end(asking, C, labels[first], labels[second], moved)
    backward, back_said = _other_end(asking, D, labels[second], labels[first], moved & ~forward)
    backward &= ~forward & moved
    start, end = np.vstack([C[forward], A[backward]]), np.vstack([B[forward], D[backward]])
    ends = np.column_stack([said, labels[second]])[forward], np.column_stack([labels[first], back_said])[backward]
    return start, end, np.vstack(ends)


def _other_end(
    asking: Asking, rows: Matrix, labels: Labels, opposite: Labels, moved: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], Labels]:
    """Which rows are of another class than those opposite, and their classes; the ones that moved are asked about."""
    said, feasible = labels.copy(), keeps(rows, asking.schema)
    said[moved & feasible] = asking.labels(rows[moved & feasible])
    return feasible & (said != opposite), said


def _differs(A: Matrix, B: Matrix, held: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(rows,) whether a held value of two rows is not the same."""
    same = (A == B) | (np.isnan(A) & np.isnan(B))
    return np.asarray((held & ~same).any(axis=1))


def _held(schema: Schema) -> npt.NDArray[np.bool_]:
    """(features,) those that a segment cannot run through: half-way between two values, a relation may not hold."""
    tied = {name for relation in schema.relations if not relation.plain for name in relation.names}
    return np.array([feature.kind != "real" or feature.name in tied for feature in schema.features])


def _weights(schema: Schema, points: Matrix, classes: Labels) -> Matrix:
    """(classes, width + 1): the weights whose scores differ least at the points; a class without points never wins.

    Indicators of a category add up to 1, as the intercept does: the first of each is left out, else many weights would
    say the same. For the same reason the scores of the first class that has points are 0.
    """
    encoding = Encoding(schema)
    free = np.array([c.kind != "equals" or c.code > 0 for c in encoding.columns] + [True])
    E = np.hstack([encoding.encode(points), np.ones((len(points), 1))])[:, free]
    present, ends = np.unique(classes, return_inverse=True)
    equations = np.zeros((len(E), len(present), E.shape[1]))
    rows, ends = np.arange(len(E)), ends.reshape(classes.shape)
    equations[rows, ends[:, 0]] = E
    equations[rows, ends[:, 1]] = -E
    flat = equations[:, 1:].reshape(len(E), -1)
    solution = np.linalg.svd(flat, full_matrices=True)[2][-1].reshape(len(present) - 1, -1)
    W = np.zeros((len(schema.classes), len(free)))
    W[np.ix_(present[1:], free)] = solution
    absent = np.setdiff1d(np.arange(len(schema.classes)), present)
    W[absent, -1] = -np.abs(W).sum()  # encoded values lie in [-1, 1], so no score is lower
    return W


def _scaled(W: Matrix, E: Matrix, P: Matrix) -> Matrix:
    """The weights with the sign and the scale that fit the answers best."""
    scores = E @ W.T
    if (scores.argmax(axis=1) == P.argmax(axis=1)).mean() < ((-scores).argmax(axis=1) == P.argmax(axis=1)).mean():
        W, scores = -W, -scores
    unit = max(float(np.abs(scores).mean()), np.finfo(float).tiny)

    def loss(log_scale: float) -> float:
        return -float((P * log_softmax(np.exp(log_scale) / unit * scores, axis=1)).sum())

    return np.asarray(np.exp(minimize_scalar(loss, bounds=_LOG_SCALES, method="bounded").x) / unit * W)
