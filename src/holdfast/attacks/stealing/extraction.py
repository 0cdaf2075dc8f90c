"""Model extraction: how good a copy someone can make who may only ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, get_args

import numpy as np

from holdfast.arguments import check_kind, is_whole
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.stealing.asking import BATCH_ROWS, Asking
from holdfast.attacks.stealing.plan import Method, Strategy, strategy_of
from holdfast.attacks.stealing.result import NO_COPY, ExtractionResult
from holdfast.attacks.stealing.surrogates import linear_copy
from holdfast.attacks.tables.feasible import ranges
from holdfast.data import Dataset, Matrix, Schema
from holdfast.errors import AccessError, UsageError
from holdfast.intervals import proportion
from holdfast.models import Model

_CURVE_SHARES: Final = (0.1, 0.25, 0.5, 1.0)
_SEEDS: Final = 2**31


def extraction(
    oracle: Model,
    *,
    reference: Dataset,
    queries: int,
    rng: np.random.Generator,
    model: Model | None = None,
    method: Method = "auto",
) -> ExtractionResult:
    """Copy a model by asking it about rows that nobody ever had, and measure the copy.

    "equations" solves for a linear model, whose log-odds are linear in the row; "boundary" does so from labels alone;
    "paths" finds the leaves of a tree; "learning" fits logistic regression, boosted trees and a perceptron. "auto"
    looks at the first answers, takes what fits them, and keeps the best copy.

    Args:
        oracle: what the attacker asks: a model, or a client of a live service. Asked in calls of at most 100 rows.
        reference: rows to measure the copy on, unknown to the attacker.
        queries: rows that the attacker may ask.
        rng: decides the rows and the learners.
        model: the model behind the oracle, to measure against; without it the oracle itself is asked about the
            reference rows first, and those do not count as queries.
        method: how to ask and what to make of the answers.

    An oracle that raises `AccessError` ends the attack, not this function: the copy is made from what was answered, and
    `stopped_by` says why.

    Raises:
        UsageError: an argument of another kind, fewer than one query, or a method that is none.
        DataError: the reference has another schema than oracle or model, or no rows.
        UnsupportedError: the answers are not probabilities.
    """
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    check_kind("reference", reference, Dataset, example="load(frame, schema)")
    if not is_whole(queries) or queries < 1:
        raise UsageError(f"an extraction needs at least 1 query, got {queries!r}")
    if method not in get_args(Method):
        raise UsageError(f"a method of extraction is one of {', '.join(get_args(Method))}, got {method!r}")
    truth = model if model is not None else oracle
    check_subject(truth, reference)
    check_subject(oracle, reference)
    expected = Oracle(truth, batch_rows=BATCH_ROWS).predict_proba(reference.X)
    asking, strategy = Asking(oracle, queries=queries), strategy_of(method)
    stopped_by = ""
    try:
        strategy.ask(asking, rng)
    except AccessError as error:
        stopped_by = f"{type(error).__name__}: {error}" if asking.left else ""
    return _measure(asking, strategy, reference, expected, asked=queries, stopped_by=stopped_by, rng=rng)


def _measure(
    asking: Asking,
    strategy: Strategy,
    reference: Dataset,
    expected: Matrix,
    *,
    asked: int,
    stopped_by: str,
    rng: np.random.Generator,
) -> ExtractionResult:
    """The best copy from all answers or fewer, and how good it was after how many: a thief keeps what is better."""
    X, P, seed = asking.X, asking.P, int(rng.integers(_SEEDS))
    sizes = sorted({max(1, round(share * len(X))) for share in _CURVE_SHARES}) if len(X) else [0]
    best: list[tuple[str, Model]] = []
    for size in sizes:
        found = _best_copy(strategy, reference, expected, X[:size], P[:size], seed)
        best.append(max([*best[-1:], found], key=lambda named: _closeness(named[1], reference, expected)))
    method, copy = best[-1]
    return _result(
        reference,
        expected,
        copy,
        method=method,
        queries=len(X),
        asked=asked,
        stopped_by=stopped_by,
        curve=(sizes, [_fidelity(each, reference, expected) for _, each in best]),
    )


def _best_copy(
    strategy: Strategy, reference: Dataset, expected: Matrix, X: Matrix, P: Matrix, seed: int
) -> tuple[str, Model]:
    """The copy that is closest to the oracle on the reference; a guess without any."""
    schema = reference.schema
    copies = strategy.copies(schema, X, P, seed) if len(X) else []
    if not copies:
        return NO_COPY, linear_copy(schema, *_know_nothing(schema))
    return max(copies, key=lambda named: _closeness(named[1], reference, expected))


def _know_nothing(schema: Schema) -> tuple[Matrix, Matrix]:
    """One made-up answer that favours no class."""
    rows = ranges(schema, rows=1).low
    return rows, np.full((1, len(schema.classes)), 1 / len(schema.classes))


def _fidelity(copy: Model, reference: Dataset, expected: Matrix) -> float:
    return _closeness(copy, reference, expected)[0]


def _closeness(copy: Model, reference: Dataset, expected: Matrix) -> tuple[float, float]:
    """How often the classes are the same; among copies equal in that, how near the probabilities are."""
    answers = copy.predict_proba(reference.X)
    agrees = answers.argmax(axis=1) == expected.argmax(axis=1)
    return float(agrees.mean()), -float(np.abs(answers - expected).mean())


def _result(
    reference: Dataset,
    expected: Matrix,
    copy: Model,
    *,
    method: str,
    queries: int,
    asked: int,
    stopped_by: str,
    curve: tuple[Sequence[int], Sequence[float]],
) -> ExtractionResult:
    answers, said = copy.predict_proba(reference.X), expected.argmax(axis=1)
    agrees, total = answers.argmax(axis=1) == said, len(reference)
    return ExtractionResult(
        copy=copy,
        method=method,
        queries=queries,
        asked=asked,
        stopped_by=stopped_by,
        agrees=agrees,
        gaps=np.abs(answers - expected).mean(axis=1),
        fidelity=proportion(int(agrees.sum()), total, bound="lower"),
        copy_accuracy=proportion(int((answers.argmax(axis=1) == reference.y).sum()), total),
        oracle_accuracy=proportion(int((said == reference.y).sum()), total),
        baseline_fidelity=proportion(int(np.bincount(said).max()), total),
        curve_queries=np.array(curve[0], dtype=np.int64),
        curve_fidelity=np.array(curve[1]),
    )
