"""Canaries: records made to be noticed if they were trained on, each put in or left out by the toss of a fair coin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast import limits
from holdfast.arguments import check_kind, is_whole
from holdfast.attacks.oracle import Oracle
from holdfast.attacks.privacy.audit import INTERFERING_CANARIES, AuditMethod, AuditResult, audit, check_audit
from holdfast.attacks.privacy.audit_curves import Claim
from holdfast.data import Dataset, Feature, Matrix, Schema
from holdfast.errors import UnsupportedError, UsageError
from holdfast.models import Model

Flags = npt.NDArray[np.bool_]

COLUMN: Final = "canary"
"""The column that tells canaries apart."""
_LEAST_PROBABILITY: Final = 1e-300


def toss(count: int, *, rng: np.random.Generator) -> Flags:
    """(count,) fair coins: which canaries are included.

    Raises:
        UsageError: no canary.
    """
    if not is_whole(count) or count < 1:
        raise UsageError(f"an audit needs at least one canary, got {count!r}")
    return rng.random(count) < 0.5


@dataclass(frozen=True, kw_only=True)
class TableCanaries:
    """A table with canaries among its records.

    Args:
        data: what to train on: the records and the canaries that were included.
        rows: all canaries, included or not.
        included: (canaries,) which of them are in `data`.
        unmarked: the canaries without what marks them, where something does: what the model makes of these is no sign.
    """

    data: Dataset
    rows: Dataset
    included: Flags = field(repr=False)
    unmarked: Dataset | None = None

    def scores(self, model: Model) -> Matrix:
        """(canaries,) how sure the model is of each canary's label, as log-odds; it is asked for probabilities only.

        Of marked canaries, how much surer it is than without the mark.
        """
        oracle = Oracle(model)
        sure = _log_odds(oracle, self.rows)
        return sure if self.unmarked is None else sure - _log_odds(oracle, self.unmarked)


def own_category(data: Dataset, *, count: int, rng: np.random.Generator) -> TableCanaries:
    """Canaries with a category of their own each, in a column that is added to the schema.

    No record has any of these categories, so what the model learns of one tells of one canary alone. All else about a
    canary is as in a mean record. The labels take turns: one that all canaries had would be learned from all of them,
    and once the model is sure of it, no canary moves its own weight any more.

    Raises:
        UsageError: no canary, or more than a feature has categories.
        UnsupportedError: the table has a column of the name already.
    """
    if not 1 <= count < limits.MAX_CATEGORIES:
        raise UsageError(f"expected 1 to {limits.MAX_CATEGORIES - 1} canaries in a table, got {count}")
    if COLUMN in (*data.schema.names, data.schema.target):
        raise UnsupportedError(
            f"the table has a column {COLUMN!r}, which canaries need", hint="rename the column for the audit"
        )
    names = ("none", *map(str, range(count)))
    feature = Feature(name=COLUMN, kind="category", categories=names, mutability="fixed")  # in hardening too
    schema = replace(data.schema, features=(*data.schema.features, feature))
    typical = [_typical(values, feature) for values, feature in zip(data.X.T, data.schema.features, strict=True)]
    X = np.column_stack([np.tile(typical, (count, 1)), np.arange(1, count + 1)])
    rows = Dataset(schema, X, np.arange(count) % len(schema.classes))
    records = Dataset(schema, np.column_stack([data.X, np.zeros(len(data))]), data.y)
    unmarked = Dataset(schema, np.column_stack([X[:, :-1], np.zeros(count)]), rows.y)
    return replace(_mixed(records, rows, toss(count, rng=rng)), unmarked=unmarked)


def mislabelled(data: Dataset, *, count: int, rng: np.random.Generator) -> TableCanaries:
    """Canaries that are records of the table with a wrong label; the other records stay as they are.

    Weaker than categories of their own, but the schema stays, so any way of training takes them.

    Raises:
        UsageError: no canary, or not fewer than records.
    """
    if not 1 <= count < len(data):
        raise UsageError(f"expected 1 to {len(data) - 1} canaries from {len(data)} records, got {count}")
    chosen = rng.permutation(len(data))[:count]
    shift = rng.integers(1, len(data.schema.classes), count)
    rows = Dataset(data.schema, data.X[chosen], (data.y[chosen] + shift) % len(data.schema.classes))
    return _mixed(data.take(np.delete(np.arange(len(data)), chosen)), rows, toss(count, rng=rng))


def audit_training(
    canaries: TableCanaries,
    trainer: Callable[[Dataset], Model],
    *,
    claim: Claim,
    method: AuditMethod = INTERFERING_CANARIES,
    guesses: int | None = None,
) -> AuditResult:
    """Train once on a table with canaries, and try to contradict the claim by what the model answers.

    Args:
        canaries: the table; from `own_category` or `mislabelled`.
        trainer: the training that makes the claim.
        claim: what is to be contradicted.
        method: how the counts are read.
        guesses: how many canaries to guess; by default what suits the method.

    Raises:
        As `audit`, `trainer` and `Oracle` do.
    """
    check_kind("canaries", canaries, TableCanaries, example="own_category(data, count=999, rng=rng)")
    check_audit(claim, method)  # before the training, which may take long
    model = trainer(canaries.data)
    return audit(canaries.scores(model), canaries.included, claim=claim, method=method, guesses=guesses)


def _log_odds(oracle: Oracle, rows: Dataset) -> Matrix:
    P = oracle.predict_proba(rows.X)
    own = P[np.arange(len(P)), rows.y]
    others = P.sum(axis=1) - own
    return np.asarray(np.log(np.maximum(own, _LEAST_PROBABILITY)) - np.log(np.maximum(others, _LEAST_PROBABILITY)))


def _mixed(records: Dataset, rows: Dataset, included: Flags) -> TableCanaries:
    schema: Schema = records.schema
    X, y = np.vstack([records.X, rows.X[included]]), np.concatenate([records.y, rows.y[included]])
    return TableCanaries(data=Dataset(schema, X, y), rows=rows, included=included)


def _typical(values: Matrix, feature: Feature) -> float:
    """The mean of a number's column, the most frequent value of a category's; of the values that are there.

    A training that centres its columns finds a canary at 0 then, but for its mark, so its whole gradient is the mark's.
    """
    there = values[~np.isnan(values)]
    if len(there) == 0:
        return np.nan
    if feature.kind == "category":
        return float(np.bincount(there.astype(np.int64)).argmax())
    return float(
        np.rint(there.mean()) if feature.kind == "integer" else np.clip(there.mean(), feature.low, feature.high)
    )
