"""Evasion: how many decisions someone can flip by feasible changes of the row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from holdfast.arguments import check_kind, is_whole
from holdfast.attacks.changed_features import changed_features
from holdfast.attacks.evasion_result import EvasionResult, evasion_result
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.tables.attack import TableAttack
from holdfast.attacks.tables.differentiable import differentiable
from holdfast.attacks.tables.standing import GRADIENT, SEARCH, Standing, subject_of
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.attacks.trees import attackable
from holdfast.data import Dataset, Labels, Matrix, Schema, check_features
from holdfast.errors import DataError, UsageError
from holdfast.models import LinearModel, Model

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
    source_class: str | None = None,
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
        source_class: attack only the rows of this class (fraud that wants to pass as legitimate).
        resume: a file that is kept up to date; where it is there already, the evasion goes on from it.
        timeout_s: most seconds for one call of the model; None waits for ever.
        progress: called with (rows done, rows).

    Raises:
        DataError: the data does not fit the model, has no row of `source_class`, or `resume` is of another evasion or
            changes rows as the threat does not allow.
        WireError: `resume` is a file that holds no evasion.
        UsageError: an argument of another kind, max_queries below 1, or a timeout that is not above 0.
        UnsupportedError: the model raises or takes too long, its answers are not probabilities, or they differ from
            one time to the next.
    """
    check_kind("threat", threat, FeasibleChange, example="FeasibleChange(budget=0.1)")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if resume is not None:
        check_kind("resume", resume, Path, example='Path("evasion.npz")')
    if not is_whole(max_queries) or max_queries < 1:
        raise UsageError(f"max_queries is a whole number of 1 or more, got {max_queries!r}")
    check_subject(model, data)
    rows, oracle = _rows_of(data, source_class), Oracle(model, timeout_s=timeout_s)
    check_features(data.X, data.schema)
    oracle.check_repeatable(data.X[rows])
    answers = oracle.predict_proba(data.X)  # of all rows, since of one class a right model too may say one thing
    constant, before, data = _is_constant(answers, data.y), answers[rows], data.take(rows)
    correct = before.argmax(axis=1) == data.y
    subject, seed = subject_of(data, before, threat, max_queries), int(rng.integers(_SEEDS))
    standing = Standing.begin(data, correct, subject=subject, seed=seed)
    if resume is not None and resume.exists():
        standing = Standing.read(resume, standing)
    attack = TableAttack(oracle, differentiable(model, data.X[:_PROBE_ROWS]), data, threat, max_queries)
    _attack_all(attack, standing, np.flatnonzero(correct), resume=resume, progress=progress)
    return _result(attack, rows, before, standing, constant=constant, source_class=source_class)


def _attack_all(
    attack: TableAttack,
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


def _rows_of(data: Dataset, source_class: str | None) -> Labels:
    if source_class is None:
        return np.arange(len(data), dtype=np.int64)
    if source_class not in data.schema.classes:
        raise DataError(
            f"expected a class of {', '.join(data.schema.classes[:10])} to attack from, got {source_class!r}"
        )
    rows = np.flatnonzero(data.y == data.schema.classes.index(source_class))
    if len(rows) == 0:
        raise DataError(f"the data has no row of the class {source_class!r} to attack from")
    return rows


def _is_constant(answers: Matrix, y: Labels) -> bool:
    """Whether all rows are answered alike: by the same probabilities, or by one class where they are of several."""
    said = answers.argmax(axis=1)
    one_class = len(np.unique(y)) > 1 and len(np.unique(said)) == 1
    return one_class or (len(answers) > 1 and not np.ptp(answers, axis=0).any())


def _result(
    attack: TableAttack, rows: Labels, before: Matrix, standing: Standing, *, constant: bool, source_class: str | None
) -> EvasionResult:
    """Check every changed row, ask the model again, and count only what it then says."""
    data, threat = attack.data, attack.threat
    threat.check(data.X, standing.X, data.schema)
    model = attack.oracle.model
    trees = attackable(model)
    exact = (isinstance(model, LinearModel) or trees) and not standing.searched.any()
    unmoved = threat.too_coarse(data.schema)
    after = attack.oracle.labels(standing.X)
    flipped = (before.argmax(axis=1) == data.y) & (after != data.y)
    return evasion_result(
        threat=threat,
        within=_within(threat, data.schema, unmoved),
        method=_method(exact=exact, trees=trees, gradients=attack.gradients is not None),
        exact=exact,
        black_box=not exact and attack.gradients is None,
        y=data.y,
        before=before,
        after=after,
        distance=standing.distance,
        queries=standing.queries,
        adversarial=standing.X,
        cost=threat.cost(data.X, standing.X, data.schema) if threat.costs else None,
        changed=changed_features(data.X[flipped], standing.X[flipped], data.schema),
        rows=rows,
        source_class=source_class,
        unreliable=tuple(_doubts(attack, before, standing)),
        void=tuple(_voids(attack, before, standing, constant=constant)),
        caveats=_caveats(threat, data.schema, unmoved, exact=exact),
    )


def _method(*, exact: bool, trees: bool, gradients: bool) -> str:
    if exact:
        return "exact (mixed-integer program)" if trees else "exact (linear program)"
    return "gradients, then black-box search" if gradients else "black-box search"


def _voids(attack: TableAttack, before: Matrix, standing: Standing, *, constant: bool) -> Iterator[str]:
    """Why nothing was measured in earnest."""
    if constant:
        yield "the model gives every row the same answer"
    if attack.asks_only:
        yield from _repeats(before, standing)
    right = standing.distance > 0
    box = attack.threat.box(attack.data.X[right], attack.data.schema)
    if right.any() and not (box.low < box.high).any():
        yield "the threat leaves no row anything to change"


def _repeats(before: Matrix, standing: Standing) -> Iterator[str]:
    """Answers that are rounded, or of a few leaves."""
    answers = len(np.unique(before, axis=0))
    if standing.searched.any() and 1 < answers < len(before) / 2:
        yield f"{len(before)} rows get {answers} different answers, so that a search has little to follow"


def _doubts(attack: TableAttack, before: Matrix, standing: Standing) -> Iterator[str]:
    """Why the figures, which are bounds all the same, may say too much for the model."""
    if not attack.asks_only:
        yield from _repeats(before, standing)
    missed, found = int((standing.finder == SEARCH).sum()), int((standing.finder == GRADIENT).sum())
    if attack.gradients is not None and missed > found:
        yield f"asking alone flipped {missed} rows that the gradients missed, and those {found}; they may be masked"


def _within(threat: FeasibleChange, schema: Schema, unmoved: tuple[str, ...]) -> str:
    binds = threat.max_cost is not None and threat.cost_binds(schema)
    price = f", all changes together costing {threat.max_cost:.3g} at most" if binds else ""
    but = f", but for {len(unmoved)} whole numbers too coarse to move" if unmoved else ""
    return f"when every changeable feature may move by {threat.budget:.3g} of its range{but}{price}"


def _caveats(threat: FeasibleChange, schema: Schema, unmoved: tuple[str, ...], *, exact: bool) -> tuple[str, ...]:
    caveats = [
        "It holds for the rows tested, and for changes within the ranges, relations and mutability of the schema."
    ]
    if exact:
        caveats.append("Flips that would need a score to change by less than rounding are counted as robust.")
    else:
        caveats.append("The search may miss flips that exist, so the true robust accuracy may be lower.")
    if threat.max_cost is not None and not threat.cost_binds(schema):
        caveats.append(
            f"The limit of {threat.max_cost:.3g} on costs stops nobody: all that may change costs no more than that."
        )
    if unmoved:
        caveats.append(
            f"{len(unmoved)} changeable whole numbers stayed as they are, because one step is more than the "
            f"budget: {', '.join(unmoved[:10])}. Declare codes as categories, or allow a larger budget."
        )
    if threat.max_category_changes:
        caveats.append("A distance counts numeric features only; a flip by categories alone has distance 0.")
    return tuple(caveats)
