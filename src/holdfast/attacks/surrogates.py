"""Copies of a model, made from its answers: linear equations on the log-odds, and boosted trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

from holdfast.data import Matrix, Schema
from holdfast.models import Encoding, LinearModel, probabilities

_LEAST_PROBABILITY: Final = 1e-6
"""What an answer of 0 is taken for where it has to be taken for something."""


def linear_copy(schema: Schema, X: Matrix, P: Matrix) -> LinearModel:
    """Solve for weights: log-odds are linear in the encoded row if the model is (Tramèr et al. 2016, section 4.1).

    Least squares, so that any model gets its best linear copy. Answers of exactly 0 carry no log-odds; they are left
    out where enough others remain.

    Args:
        schema: of the rows.
        X: (rows, features).
        P: (rows, classes) the answers.
    """
    E = np.hstack([Encoding(schema).encode(X), np.ones((len(X), 1))])
    usable = P.min(axis=1) > 0
    if usable.sum() < E.shape[1]:
        usable = np.ones(len(X), dtype=bool)
    solution = np.linalg.lstsq(E[usable], _scores(np.where(P > 0, P, _LEAST_PROBABILITY)[usable]), rcond=None)[0]
    return LinearModel(schema, solution[:-1].T, solution[-1])


@dataclass(frozen=True, eq=False)
class TreeCopy:
    """Boosted trees fitted to the answers of another model. Lives in memory only."""

    schema: Schema
    regressors: tuple[Any, ...]

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities."""
        E = Encoding(self.schema).encode(X)
        return probabilities(np.column_stack([regressor.predict(E) for regressor in self.regressors]))


def tree_copy(schema: Schema, X: Matrix, P: Matrix, *, seed: int) -> TreeCopy:
    """Fit boosted trees to the log-odds: one regressor for two classes, else one for each class."""
    E, scores = Encoding(schema).encode(X), _scores(np.maximum(P, _LEAST_PROBABILITY))
    return TreeCopy(schema, tuple(_boosted_trees(seed).fit(E, column) for column in scores.T))


def _scores(P: Matrix) -> Matrix:
    """(rows, 1) log-odds of the second of two classes, or (rows, classes) log-probabilities about their mean."""
    logs = np.log(P)
    return logs[:, 1:] - logs[:, :1] if P.shape[1] == 2 else logs - logs.mean(axis=1, keepdims=True)


def _boosted_trees(seed: int) -> Any:
    return GradientBoostingRegressor(max_depth=4, max_features=0.3, random_state=seed)
