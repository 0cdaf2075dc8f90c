"""How far to harden: the strongest of several ways whose price in precision one is willing to pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.arguments import check_kind, is_number, items_of
from holdfast.data import Dataset
from holdfast.errors import DataError, UsageError
from holdfast.models import Trainer

_FOLDS: Final = 3
"""Each model is trained on two thirds of the rows, and all rows are scored once."""


@dataclass(frozen=True)
class Choice:
    """Which way of hardening to take.

    Args:
        position: of the chosen trainer; None where each costs more precision than is allowed.
        plain: the average precision without hardening.
        hardened: that of each trainer up to the chosen one, in their order; what comes after was not tried.
    """

    position: int | None
    plain: float
    hardened: tuple[float, ...]


def strongest_affordable(
    plain: Trainer,
    hardened: Sequence[Trainer],
    data: Dataset,
    *,
    source_class: str,
    rng: np.random.Generator,
    keep: float = 0.97,
    progress: Callable[[int, int], None] | None = None,
) -> Choice:
    """Find the first of several trainers, the strongest first, whose models keep enough of the average precision.

    Average precision is that of the attacked class, by cross-validation in three folds, the same for all. Nothing is
    attacked here: the rows to be attacked in the end take no part in the choice.

    Args:
        plain: trains without hardening.
        hardened: such as robust trees for ever smaller shares of the budget.
        data: rows to train on.
        source_class: whose rows an attacker changes; three or more of them, and of others.
        rng: for the folds and the seeds of the trainers.
        keep: share of the plain average precision, above 0 and at most 1.
        progress: called with (trainers tried, trainers).

    Raises:
        UsageError: an argument of another kind, no trainer to choose from, a share that means nothing, or a class that
            the schema lacks.
        DataError: fewer than three rows of the attacked class, or of others.
    """
    check_kind("data", data, Dataset, example="load(frame, schema)")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    for trainer in (plain, *items_of("hardened", hardened, object, example="(partial(fit_robust_trees, estimator),)")):
        if not callable(trainer):
            raise UsageError(f"expected trainers to be functions of (data, *, seed), got {trainer!r:.60}")
    if not hardened:
        raise UsageError("expected one trainer or more to choose from, got none")
    if not is_number(keep) or not 0 < keep <= 1:
        raise UsageError(f"expected a share of precision to keep above 0 and at most 1, got {keep!r}")
    if source_class not in data.schema.classes:
        raise UsageError(f"expected source_class of {', '.join(data.schema.classes)}, got {source_class!r}")
    attacked = data.y == data.schema.classes.index(source_class)
    if min(attacked.sum(), (~attacked).sum()) < _FOLDS:
        raise DataError(
            f"expected {_FOLDS} rows or more of {source_class!r} and of others, "
            f"got {attacked.sum()} and {(~attacked).sum()}"
        )
    fold, seed = _folds(attacked, rng), int(rng.integers(2**31))
    before, after = _precision(plain, data, attacked, fold, seed=seed), list[float]()
    for position, trainer in enumerate(hardened):
        after.append(_precision(trainer, data, attacked, fold, seed=seed))
        if progress is not None:
            progress(position + 1, len(hardened))
        if after[-1] >= keep * before:
            return Choice(position, before, tuple(after))
    return Choice(None, before, tuple(after))


def _folds(attacked: np.typing.NDArray[np.bool_], rng: np.random.Generator) -> np.typing.NDArray[np.int64]:
    """(rows,) the fold of each row, with as many attacked rows in each."""
    fold = np.empty(len(attacked), dtype=np.int64)
    for members in (attacked, ~attacked):
        fold[members] = rng.permutation(np.arange(members.sum()) % _FOLDS)
    return fold


def _precision(
    trainer: Trainer,
    data: Dataset,
    attacked: np.typing.NDArray[np.bool_],
    fold: np.typing.NDArray[np.int64],
    *,
    seed: int,
) -> float:
    """The mean over the folds of the average precision on the rows that were not trained on."""
    from sklearn.metrics import average_precision_score

    own, found = int(data.y[attacked][0]), []
    for left_out in range(_FOLDS):
        model = trainer(data.take(fold != left_out), seed=seed)
        scores = model.predict_proba(data.X[fold == left_out])[:, own]
        found.append(average_precision_score(attacked[fold == left_out], scores))
    return float(np.mean(found))
