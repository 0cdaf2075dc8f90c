"""Trees behind scalers, as trees over the features before them, exactly.

A scaler moves each feature by itself and keeps the order of its values, so a cut behind it is one before it: the
smallest number that the scaler takes to the cut or above, found by asking the scaler.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError
from holdfast.limits import MAX_MAGNITUDE
from holdfast.models.trees.cuts import smallest_that
from holdfast.models.trees.ensemble import Ensemble, Rule
from holdfast.private_inference.trees.decoys import decoy_candidates, thresholds_of
from holdfast.private_inference.trees.own_scores import Scores

Floats = NDArray[np.float64]

SCALERS: Final = ("MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler")


def check_scalers(steps: Sequence[Any]) -> None:
    """Refuse a step of a pipeline that is no scaler.

    Raises:
        UnsupportedError: it is so; it is named.
    """
    for step in steps:
        if not type(step).__module__.startswith("sklearn.") or type(step).__name__ not in SCALERS:
            raise UnsupportedError(
                f"private inference does not know the step {type(step).__name__} in front of trees",
                hint=f"trees need no scaling: fit them on the rows as they are, or behind {', '.join(SCALERS)}",
            )


def on_scalers(ensemble: Ensemble, scalers: Sequence[Any], X: Floats | None) -> Ensemble:
    """The same scores from rows before the scalers.

    Args:
        ensemble: over the scaled features.
        scalers: of scikit-learn, fitted, first to last.
        X: rows (rows, features) before them, for decoys.

    Raises:
        UnsupportedError: a feature is a category to the trees, and a number to the scalers.
    """
    if any(column.categories is not None for column in ensemble.columns):
        raise UnsupportedError("categories behind a scaler are not compiled", hint="fit the trees on rows as they are")
    cuts = thresholds_of(ensemble)
    candidates = ensemble.cut_points or decoy_candidates(ensemble, None if X is None else _scaled(scalers, X))
    raw = [dict(zip(own, found, strict=True)) for own, found in zip(cuts, _raw(scalers, cuts), strict=True)]

    def raw_rule(rule: Rule) -> Rule:
        known = raw[rule.feature] | {np.inf: np.inf, -np.inf: -np.inf}
        return replace(rule, edges=tuple(float(known[edge]) for edge in rule.edges))

    trees = tuple(replace(tree, rules=tuple(map(raw_rule, tree.rules))) for tree in ensemble.trees)
    points = tuple(np.unique(found[np.isfinite(found)]) for found in _raw(scalers, candidates))
    return replace(ensemble, trees=trees, cut_points=points)


def scaled_first(scalers: Sequence[Any], scores: Scores) -> Scores:
    """The scores of rows before the scalers, from those of rows behind them."""
    return lambda X: scores(_scaled(scalers, X))


def _raw(scalers: Sequence[Any], cuts: Sequence[Floats]) -> list[Floats]:
    """For each feature's cuts, the smallest numbers that are scaled to them or above; infinite where there are none."""
    wanted = np.full((max(map(len, cuts), default=0), len(cuts)), np.inf)
    for column, own in zip(wanted.T, cuts, strict=True):
        column[: len(own)] = own
    if not len(wanted):
        return list(cuts)
    ends = np.full(wanted.shape, MAX_MAGNITUDE)
    found = smallest_that(lambda values: _scaled(scalers, values) >= wanted, -ends, ends)
    return [column[: len(own)] for column, own in zip(found.T, cuts, strict=True)]


def _scaled(scalers: Sequence[Any], X: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a scaler fitted on a DataFrame warns of rows without names
        for scaler in scalers:
            X = np.asarray(scaler.transform(X), dtype=np.float64)
    return X
