"""Model extraction: how good a copy someone can make who may only ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks import references
from holdfast.attacks.oracle import Oracle, check_subject
from holdfast.attacks.surrogates import linear_copy, tree_copy
from holdfast.attacks.synthetic import levelled_rows
from holdfast.attacks.tables.feasible import ranges, repair
from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.errors import AccessError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.models import Encoding, Model

_BATCH_ROWS: Final = 100
"""Rows of one call; as an attacker on a live service would, who is stopped between calls."""
_CURVE_SHARES: Final = (0.1, 0.25, 0.5, 1.0)
_SEEDS: Final = 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class ExtractionResult:
    """How good the best copy was.

    Args:
        copy: the stolen model.
        method: how it was made: "linear equations", "boosted trees", or "none" without any answer.
        queries: rows answered; asked: rows that were to be asked.
        stopped_by: why the oracle stopped answering, or "".
        agrees: (reference rows,) whether copy and oracle give the same class.
        gaps: (reference rows,) mean absolute difference of their probabilities.
        fidelity: share of reference rows on which they agree; a lower bound on what an attacker can reach.
        copy_accuracy, oracle_accuracy: shares of reference rows answered rightly.
        baseline_fidelity: agreement of a "copy" that always says the oracle's most frequent class.
        curve_queries, curve_fidelity: fidelity by number of queries.
    """

    copy: Model
    method: str
    queries: int
    asked: int
    stopped_by: str
    agrees: npt.NDArray[np.bool_]
    gaps: Matrix
    fidelity: Figure
    copy_accuracy: Figure
    oracle_accuracy: Figure
    baseline_fidelity: Figure
    curve_queries: Labels
    curve_fidelity: Matrix

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        return Evidence(
            kind="extraction",
            subject=model_digest,
            subject_kind="model",
            title=f"A copy made with {self.queries} queries gives the same class on {self.fidelity.value:.1%} of rows",
            figures={
                "fidelity": self.fidelity,
                "queries": Figure(value=self.queries, unit="queries"),
                "copy_accuracy": self.copy_accuracy,
                "oracle_accuracy": self.oracle_accuracy,
                "baseline_fidelity": self.baseline_fidelity,
                "mean_probability_gap": Figure(value=float(self.gaps.mean())),
            },
            samples={"agrees": self.agrees.tolist(), "probability_gap": self.gaps.tolist()},
            context={
                "method": self.method,
                "asked": self.asked,
                "stopped_by": self.stopped_by,
                "curve": {"queries": self.curve_queries.tolist(), "fidelity": self.curve_fidelity.tolist()},
            },
            references=references.EXTRACTION,
            caveats=(
                "A copy shows what can be stolen at least; another attacker may do better with as many queries.",
                "Of two copies the one closer to the model on the reference rows counts, which favours the attacker.",
                "The attacker knew the schema and no record; one who has records may need fewer queries.",
            ),
        )


def extraction(
    oracle: Model, *, reference: Dataset, queries: int, rng: np.random.Generator, model: Model | None = None
) -> ExtractionResult:
    """Copy a model by asking it about rows that nobody ever had, and measure the copy.

    Two thirds of the queries (and one for each unknown) are drawn from the schema (`levelled_rows`); the others lie
    between rows that were answered differently, where the decision is made. Equations on the log-odds give a linear
    copy, boosted trees another; the better one counts.

    Args:
        oracle: what the attacker asks: a model, or a client of a live service. Asked in calls of at most 100 rows.
        reference: rows to measure the copy on, unknown to the attacker.
        queries: rows that the attacker may ask.
        rng: decides the rows and the trees.
        model: the model behind the oracle, to measure against; without it the oracle itself is asked about the
            reference rows first, and those do not count as queries.

    An oracle that raises `AccessError` ends the attack, not this function: the copy is made from what was answered, and
    `stopped_by` says why.

    Raises:
        UsageError: fewer than one query.
        DataError: the reference has another schema or no rows.
        UnsupportedError: the answers are not probabilities.
    """
    if queries < 1:
        raise UsageError(f"an extraction needs at least 1 query, got {queries}")
    truth = model if model is not None else oracle
    check_subject(truth, reference)
    expected = Oracle(truth, batch_rows=_BATCH_ROWS).predict_proba(reference.X)
    X, P, stopped_by = _ask(Oracle(oracle, batch_rows=_BATCH_ROWS), queries, rng)
    seed = int(rng.integers(_SEEDS))
    sizes = sorted({max(1, round(share * len(X))) for share in _CURVE_SHARES}) if len(X) else [0]
    best = [_best_copy(reference, expected, X[:size], P[:size], seed) for size in sizes]
    method, copy = best[-1]
    return _result(
        reference,
        expected,
        copy,
        method=method,
        queries=len(X),
        asked=queries,
        stopped_by=stopped_by,
        curve=(sizes, [_fidelity(each, reference, expected) for _, each in best]),
    )


def _ask(oracle: Oracle, queries: int, rng: np.random.Generator) -> tuple[Matrix, Matrix, str]:
    """The rows asked, their answers, and why there are no more."""
    schema = oracle.schema
    # rows between others add no equation that these do not hold, so there must be one for each unknown first
    first = min(queries, max(2 * queries // 3, Encoding(schema).width + 1))
    X, P = np.empty((0, len(schema.features))), np.empty((0, len(schema.classes)))
    try:
        while len(X) < queries:
            if len(X) < first:
                rows = levelled_rows(schema, min(_BATCH_ROWS, first - len(X)), rng)
            else:
                rows = _between(schema, X, P, min(_BATCH_ROWS, queries - len(X)), rng)
            P = np.vstack([P, oracle.predict_proba(rows)])
            X = np.vstack([X, rows])
    except AccessError as error:
        return X, P, f"{type(error).__name__}: {error}"
    return X, P, ""


def _between(schema: Schema, X: Matrix, P: Matrix, count: int, rng: np.random.Generator) -> Matrix:
    """Rows between pairs that were answered differently; rows like the first where all answers were one class."""
    labels = P.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return levelled_rows(schema, count, rng)
    first = rng.integers(len(X), size=count)
    second = first.copy()
    for label in np.unique(labels):
        mine = labels[first] == label
        second[mine] = rng.choice(np.flatnonzero(labels != label), size=int(mine.sum()))
    share = rng.random((count, 1))
    mixed = X[first] + share * (X[second] - X[first])
    either = np.where(rng.random(mixed.shape) < share, X[second], X[first])
    is_category = np.array([feature.kind == "category" for feature in schema.features])
    mixed = np.where(is_category | np.isnan(mixed), either, mixed)
    return repair(mixed, ranges(schema, rows=count), schema)


def _best_copy(reference: Dataset, expected: Matrix, X: Matrix, P: Matrix, seed: int) -> tuple[str, Model]:
    """The copy that agrees more with the oracle on the reference; of two equal ones the linear."""
    schema = reference.schema
    if len(X) == 0:
        return "none", linear_copy(schema, *_know_nothing(schema))
    copies: list[tuple[str, Model]] = [
        ("linear equations", linear_copy(schema, X, P)),
        ("boosted trees", tree_copy(schema, X, P, seed=seed)),
    ]
    return max(copies, key=lambda named: _fidelity(named[1], reference, expected))


def _know_nothing(schema: Schema) -> tuple[Matrix, Matrix]:
    """One made-up answer that favours no class."""
    rows = ranges(schema, rows=1).low
    return rows, np.full((1, len(schema.classes)), 1 / len(schema.classes))


def _fidelity(copy: Model, reference: Dataset, expected: Matrix) -> float:
    return float(np.mean(copy.predict_proba(reference.X).argmax(axis=1) == expected.argmax(axis=1)))


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
