"""Evasion: how many decisions someone can flip by feasible changes of the row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from holdfast.attacks.evasion_result import TOLERANCE, EvasionResult, security_curve
from holdfast.attacks.feasible import repair
from holdfast.attacks.linear_evasion import smallest_flips
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.search import search
from holdfast.attacks.threat import FeasibleChange
from holdfast.data import Dataset, Labels, Matrix, check_features
from holdfast.errors import DataError, UsageError
from holdfast.intervals import proportion
from holdfast.models import LinearModel, Model

_CHUNK_ROWS: Final = 500
"""Rows attacked together, which bounds memory and paces the progress."""


def evasion(
    model: Model,
    data: Dataset,
    *,
    threat: FeasibleChange,
    rng: np.random.Generator,
    max_queries: int = 500,
    from_class: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvasionResult:
    """Try to flip the model's right decisions by feasible changes. Rows that it gets wrong count as not robust.

    A `LinearModel` is attacked exactly, by its weights; any other model by a search that asks for probabilities, whose
    robust accuracy is an upper bound. Every changed row is checked against schema and threat, and asked again.

    Args:
        model: the model.
        data: rows with their true classes, not used in training.
        threat: what may be changed.
        rng: for the search.
        max_queries: of the search, per row.
        from_class: attack only the rows of this class (fraud that wants to pass as legitimate).
        progress: called with (rows done, rows).

    Raises:
        DataError: the data does not fit the model, or has no row of `from_class`.
        UsageError: max_queries below 1.
        UnsupportedError: the model's answers are not probabilities, or differ from one time to the next.
    """
    if max_queries < 1:
        raise UsageError(f"max_queries is at least 1, got {max_queries}")
    check_subject(model, data)
    rows = _rows_of(data, from_class)
    data, oracle = data.take(rows), Oracle(model)
    check_features(data.X, data.schema)
    oracle.check_repeatable(data.X)
    before = oracle.predict_proba(data.X)
    correct = before.argmax(axis=1) == data.y
    attacked = _Attacked(
        X=data.X.copy(),
        distance=np.where(correct, np.inf, 0.0),
        queries=np.zeros(len(data), dtype=np.int64),
        searched=np.zeros(len(data), dtype=bool),
    )
    right = np.flatnonzero(correct)
    for start in range(0, len(right), _CHUNK_ROWS):
        chunk = right[start : start + _CHUNK_ROWS]
        _attack(model, oracle, data, chunk, attacked, threat=threat, max_queries=max_queries, rng=rng)
        if progress is not None:
            progress(min(start + _CHUNK_ROWS, len(right)), len(right))
    return _result(oracle, data, rows, before, attacked, threat=threat, from_class=from_class)


@dataclass(frozen=True)
class _Attacked:
    """What is known of every row while the attack goes on, filled in chunk by chunk."""

    X: Matrix
    distance: Matrix
    queries: Labels
    searched: npt.NDArray[np.bool_]


def _attack(
    model: Model,
    oracle: Oracle,
    data: Dataset,
    rows: Labels,
    attacked: _Attacked,
    *,
    threat: FeasibleChange,
    max_queries: int,
    rng: np.random.Generator,
) -> None:
    """Attack some rows: by the weights where there are any, by search where not, and where the solver gave up."""
    if isinstance(model, LinearModel):
        flips = smallest_flips(model, data.X[rows], data.y[rows], threat)
        attacked.distance[rows] = np.where(flips.undecided, np.inf, flips.distance)
        inside = ~flips.undecided & (flips.distance <= threat.budget + TOLERANCE)
        box = threat.box(data.X[rows[inside]], data.schema)
        attacked.X[rows[inside]] = repair(flips.X[inside], box, data.schema)
        rows = rows[flips.undecided]
    if len(rows) == 0:
        return
    found = search(oracle, data.X[rows], data.y[rows], threat=threat, max_queries=max_queries, rng=rng)
    attacked.X[rows[found.flipped]] = found.X[found.flipped]
    moved = threat.distance(data.X[rows], found.X, data.schema)
    attacked.distance[rows] = np.where(found.flipped, moved, np.inf)
    attacked.queries[rows] = found.queries
    attacked.searched[rows] = True


def _rows_of(data: Dataset, from_class: str | None) -> Labels:
    if from_class is None:
        return np.arange(len(data), dtype=np.int64)
    if from_class not in data.schema.classes:
        raise DataError(f"expected a class of {', '.join(data.schema.classes[:10])} to attack from, got {from_class!r}")
    rows = np.flatnonzero(data.y == data.schema.classes.index(from_class))
    if len(rows) == 0:
        raise DataError(f"the data has no row of the class {from_class!r} to attack from")
    return rows


def _result(
    oracle: Oracle,
    data: Dataset,
    rows: Labels,
    before: Matrix,
    attacked: _Attacked,
    *,
    threat: FeasibleChange,
    from_class: str | None,
) -> EvasionResult:
    """Check every changed row, ask the model again, and count only what it then says."""
    threat.check(data.X, attacked.X, data.schema)
    correct = before.argmax(axis=1) == data.y
    after = oracle.labels(attacked.X)
    evaded = correct & (after != data.y)
    exact = isinstance(oracle.model, LinearModel) and not attacked.searched.any()
    distance = np.where(evaded | (attacked.distance > threat.budget + TOLERANCE), attacked.distance, np.inf)
    distance[~correct] = 0.0
    robust, right = correct & ~evaded, int(correct.sum())
    return EvasionResult(
        threat=threat,
        unmoved=threat.too_coarse(data.schema),
        from_class=from_class,
        exact=exact,
        rows=rows,
        correct=correct,
        evaded=evaded,
        distance=distance,
        queries=attacked.queries,
        adversarial=attacked.X,
        accuracy=proportion(right, len(data)),
        robust_accuracy=proportion(int(robust.sum()), len(data), bound="estimate" if exact else "upper"),
        attack_success=proportion(int(evaded.sum()), right) if right else None,
        auc=_auc(data.y, before),
        mcc=_mcc(data.y, before.argmax(axis=1)),
        robust_mcc=_mcc(data.y, after),
        curve=security_curve(correct, distance, threat.budget, exact=exact),
    )


def _auc(y: Labels, P: Matrix) -> float | None:
    if P.shape[1] != 2 or len(np.unique(y)) < 2:
        return None
    return float(roc_auc_score(y, P[:, 1]))


def _mcc(y: Labels, labels: Labels) -> float | None:
    return float(matthews_corrcoef(y, labels)) if len(np.unique(y)) > 1 else None
