"""Evasion: how many decisions someone can flip by feasible changes of the row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from holdfast.arguments import check_kind
from holdfast.attacks.evasion_result import EvasionResult, evasion_result
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.security_curve import CURVE_REACH, TOLERANCE
from holdfast.attacks.tables.differentiable import Differentiable, differentiable
from holdfast.attacks.tables.feasible import repair
from holdfast.attacks.tables.gradient import climb
from holdfast.attacks.tables.linear import smallest_flips
from holdfast.attacks.tables.search import Found, search
from holdfast.attacks.tables.standing import EXACT, GRADIENT, SEARCH, Standing, subject_of
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees import attackable, feasible_flips
from holdfast.data import Dataset, Labels, Matrix, check_features
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.models import LinearModel, Model, OnnxModel, predict

_CHUNK_ROWS: Final = 500
"""Rows attacked together, which bounds memory, paces the progress, and is what an interruption can cost."""
_PROBE_ROWS: Final = 32
_SEEDS: Final = 2**62


def evasion(
    model: Model,
    data: Dataset,
    *,
    threat: FeasibleChange,
    rng: np.random.Generator,
    max_queries: int = 500,
    from_class: str | None = None,
    resume: Path | None = None,
    timeout_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvasionResult:
    """Try to flip the model's right decisions by feasible changes. Rows that it gets wrong count as not robust.

    A `LinearModel` is attacked exactly, by its weights, and an `OnnxModel` of trees by a mixed-integer program; a model
    with gradients (`Differentiable`, or a network that an `OnnxModel` holds) along them, and what still stands by a
    search; any other by that search, which asks for probabilities. But for the exact attacks, robust accuracy is an
    upper bound. Every changed row is checked against schema and threat, and asked again.

    Args:
        model: the model.
        data: rows with their true classes, not used in training.
        threat: what may be changed.
        rng: for starts and searches.
        max_queries: of the search, per row.
        from_class: attack only the rows of this class (fraud that wants to pass as legitimate).
        resume: a file that is kept up to date; where it is there already, the evasion goes on from it.
        timeout_s: most seconds for one call of the model; None waits for ever.
        progress: called with (rows done, rows).

    Raises:
        DataError: the data does not fit the model, has no row of `from_class`, or `resume` is of another evasion or
            changes rows as the threat does not allow.
        WireError: `resume` is a file that holds no evasion.
        UsageError: an argument of another kind, max_queries below 1, or a timeout that is not above 0.
        UnsupportedError: the model raises or takes too long, its answers are not probabilities, or they differ from
            one time to the next.
    """
    check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if max_queries < 1:
        raise UsageError(f"max_queries is at least 1, got {max_queries}")
    check_subject(model, data)
    rows = _rows_of(data, from_class)
    data, oracle = data.take(rows), Oracle(model, timeout_s=timeout_s)
    check_features(data.X, data.schema)
    oracle.check_repeatable(data.X)
    before = oracle.predict_proba(data.X)
    correct = before.argmax(axis=1) == data.y
    subject, seed = subject_of(data, before, threat, max_queries), int(rng.integers(_SEEDS))
    standing = Standing.begin(data, correct, subject=subject, seed=seed)
    if resume is not None and resume.exists():
        standing = Standing.read(resume, standing)
    attack = _Attack(oracle, differentiable(model, data.X[:_PROBE_ROWS]), data, threat, max_queries)
    _attack_all(attack, standing, np.flatnonzero(correct), resume=resume, progress=progress)
    return _result(attack, rows, before, standing, from_class=from_class)


def _attack_all(
    attack: _Attack,
    standing: Standing,
    right: Labels,
    *,
    resume: Path | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Chunk by chunk, each with randomness of its own, so that an evasion that goes on ends as it would have."""
    for number, start in enumerate(range(0, len(right), _CHUNK_ROWS)):
        chunk = right[start : start + _CHUNK_ROWS]
        if not standing.done[chunk].all():
            attack.run(chunk, standing, np.random.default_rng([standing.seed, number]))
            if resume is not None:
                standing.write(resume)
        if progress is not None:
            progress(start + len(chunk), len(right))


@dataclass(frozen=True, eq=False)
class _Attack:
    """How rows are attacked: by the weights where there are any, along gradients, and by search what still stands."""

    oracle: Oracle
    gradients: Differentiable | None
    data: Dataset
    threat: FeasibleChange
    max_queries: int

    def run(self, rows: Labels, standing: Standing, rng: np.random.Generator) -> None:
        """Attack some rows and note what was found."""
        try:
            left = self._by_weights(rows, standing)
            left = self._by_trees(left, standing)
            left = self._by_gradients(left, standing, rng)
            self._by_search(left, standing, rng)
        except UnsupportedError as error:
            done = f"{int(standing.done.sum())} of {len(standing.done)} rows are done"
            where = f"while rows {rows[0]} to {rows[-1]} of those attacked were changed; {done}"
            raise UnsupportedError(f"{error}, {where}", hint=error.hint) from error
        standing.done[rows] = True

    def _by_weights(self, rows: Labels, standing: Standing) -> Labels:
        """Exactly, if the model is linear; what it leaves undecided comes back."""
        if not isinstance(self.oracle.model, LinearModel):
            return rows
        flips = smallest_flips(self.oracle.model, self.data.X[rows], self.data.y[rows], self.threat)
        flipped = predict(self.oracle.model, flips.X) != self.data.y[rows]
        standing.distance[rows] = np.where(flips.undecided & ~flipped, np.inf, flips.distance)
        inside = flipped & (flips.distance <= self.threat.budget + TOLERANCE)
        standing.searched[rows] = flips.undecided  # of several wrong classes one may be nearer
        box = self.threat.box(self.data.X[rows[inside]], self.data.schema)
        standing.X[rows[inside]] = repair(flips.X[inside], box, self.data.schema)
        standing.finder[rows[inside]] = EXACT
        left: Labels = rows[flips.undecided & ~inside]
        return left

    def _by_trees(self, rows: Labels, standing: Standing) -> Labels:
        """Exactly, if the model is made of trees; rows of which a flip within the budget is in doubt come back."""
        model, threat = self.oracle.model, self.threat
        if not isinstance(model, OnnxModel) or not attackable(model):
            return rows
        within = min(1.0, CURVE_REACH * threat.budget)
        flips = feasible_flips(model, self.data.X[rows], self.data.y[rows], threat, within=within)
        inside = flips.distance <= threat.budget + TOLERANCE
        standing.distance[rows] = np.where(flips.undecided & ~inside, flips.at_least, flips.distance)
        standing.X[rows[inside]], standing.finder[rows[inside]] = flips.X[inside], EXACT
        in_doubt = ~inside & (flips.at_least <= threat.budget + TOLERANCE)
        return rows[in_doubt]

    def _by_gradients(self, rows: Labels, standing: Standing, rng: np.random.Generator) -> Labels:
        """Along the gradients, if there are any; what still stands comes back."""
        if self.gradients is None or len(rows) == 0:
            return rows
        X, y = self.data.X[rows], self.data.y[rows]
        found = climb(self.oracle, self.gradients, X, y, threat=self.threat, rng=rng)
        self._enter(rows, found, standing, GRADIENT)
        return rows[~found.flipped]

    def _by_search(self, rows: Labels, standing: Standing, rng: np.random.Generator) -> None:
        """By asking for probabilities."""
        if len(rows) == 0:
            return
        X, y = self.data.X[rows], self.data.y[rows]
        found = search(self.oracle, X, y, threat=self.threat, max_queries=self.max_queries, rng=rng)
        self._enter(rows, found, standing, SEARCH)

    def _enter(self, rows: Labels, found: Found, standing: Standing, finder: int) -> None:
        standing.queries[rows] += found.queries
        standing.searched[rows] = True
        moved = self.threat.distance(self.data.X[rows], found.X, self.data.schema)
        standing.distance[rows] = np.where(found.flipped, moved, np.inf)
        flipped = rows[found.flipped]
        standing.X[flipped], standing.finder[flipped] = found.X[found.flipped], finder


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
    attack: _Attack, rows: Labels, before: Matrix, standing: Standing, *, from_class: str | None
) -> EvasionResult:
    """Check every changed row, ask the model again, and count only what it then says."""
    data, threat = attack.data, attack.threat
    threat.check(data.X, standing.X, data.schema)
    model = attack.oracle.model
    trees = attackable(model)
    exact = (isinstance(model, LinearModel) or trees) and not standing.searched.any()
    unmoved = threat.too_coarse(data.schema)
    return evasion_result(
        threat=threat,
        within=_within(threat, unmoved),
        method=_method(exact=exact, trees=trees, gradients=attack.gradients is not None),
        exact=exact,
        black_box=not exact and attack.gradients is None,
        y=data.y,
        before=before,
        after=attack.oracle.labels(standing.X),
        distance=standing.distance,
        queries=standing.queries,
        adversarial=standing.X,
        rows=rows,
        from_class=from_class,
        unreliable=tuple(_doubts(attack, before, standing)),
        caveats=_caveats(threat, unmoved, exact=exact),
    )


def _method(*, exact: bool, trees: bool, gradients: bool) -> str:
    if exact:
        return "exact (mixed-integer program)" if trees else "exact (linear program)"
    return "gradients, then black-box search" if gradients else "black-box search"


def _doubts(attack: _Attack, before: Matrix, standing: Standing) -> Iterator[str]:
    """Why the figures may say too much for the model."""
    if len(before) > 1 and not np.ptp(before, axis=0).any():
        yield "the model gives every row the same answer"
    answers = len(np.unique(before, axis=0))
    if standing.searched.any() and 1 < answers < len(before) / 2:
        yield f"{len(before)} rows get {answers} different answers, so that a search has little to follow"
    right = standing.distance > 0
    box = attack.threat.box(attack.data.X[right], attack.data.schema)
    if right.any() and not (box.low < box.high).any():
        yield "the threat leaves no row anything to change"
    missed, found = int((standing.finder == SEARCH).sum()), int((standing.finder == GRADIENT).sum())
    if attack.gradients is not None and missed > found:
        yield f"asking alone flipped {missed} rows that the gradients missed, and those {found}; they may be masked"


def _within(threat: FeasibleChange, unmoved: tuple[str, ...]) -> str:
    price = "" if threat.max_cost is None else f", all changes together costing {threat.max_cost:.3g} at most"
    but = f", but for {len(unmoved)} whole numbers too coarse to move" if unmoved else ""
    return f"when every changeable feature may move by {threat.budget:.3g} of its range{but}{price}"


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
