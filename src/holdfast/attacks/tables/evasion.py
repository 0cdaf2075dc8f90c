"""Evasion: how many decisions someone can flip by feasible changes of the row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.evasion_result import TOLERANCE, EvasionResult, evasion_result
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.tables.feasible import repair
from holdfast.attacks.tables.linear import smallest_flips
from holdfast.attacks.tables.search import search
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Dataset, Labels, Matrix, check_features
from holdfast.errors import DataError, UsageError
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
    exact = isinstance(oracle.model, LinearModel) and not attacked.searched.any()
    unmoved = threat.too_coarse(data.schema)
    return evasion_result(
        threat=threat,
        within=_within(threat, unmoved),
        method="exact (linear program)" if exact else "black-box search",
        exact=exact,
        y=data.y,
        before=before,
        after=oracle.labels(attacked.X),
        distance=attacked.distance,
        queries=attacked.queries,
        adversarial=attacked.X,
        rows=rows,
        from_class=from_class,
        caveats=_caveats(threat, unmoved, exact=exact),
    )


def _within(threat: FeasibleChange, unmoved: tuple[str, ...]) -> str:
    but = f", but for {len(unmoved)} whole numbers too coarse to move" if unmoved else ""
    return f"when every changeable feature may move by {threat.budget:.3g} of its range{but}"


def _caveats(threat: FeasibleChange, unmoved: tuple[str, ...], *, exact: bool) -> tuple[str, ...]:
    caveats = [
        "It holds for the rows tested, and for changes within the ranges, relations and mutability of the schema."
    ]
    if exact:
        caveats.append("Flips that would need a score to change by less than rounding are counted as robust.")
    else:
        caveats.append("The search may miss flips that exist, so the true robust accuracy may be lower.")
    if unmoved:
        caveats.append(
            f"{len(unmoved)} changeable whole numbers stayed as they are, because one step is more than the "
            f"budget: {', '.join(unmoved[:10])}. Declare codes as categories, or allow a larger budget."
        )
    if threat.max_category_changes:
        caveats.append("A distance counts numeric features only; a flip by categories alone has distance 0.")
    return tuple(caveats)
