"""Copies of a model, learned from its answers: linear equations, logistic regression, boosted trees, a perceptron."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from holdfast.data import Matrix, Schema
from holdfast.models import Encoding, LinearModel, probabilities

_LEAST_PROBABILITY: Final = 1e-6
"""What an answer of 0 is taken for where it has to be taken for something."""
_L2: Final = 1e-6
"""Keeps the logistic copy finite where a plane parts the answers; too small to be seen anywhere else."""
_NETWORK_SCORES: Final = 6.0
"""Log-odds beyond it are as good as sure; a network spends itself on them if they are left in."""


def linear_copy(schema: Schema, X: Matrix, P: Matrix, *, seed: int = 0) -> LinearModel:
    """Solve for weights: log-odds are linear in the encoded row if the model is (Tramèr et al. 2016, section 4.1).

    Least squares, so that any model gets its best linear copy. Answers of exactly 0 carry no log-odds; they are left
    out where enough others remain.

    Args:
        schema: of the rows.
        X: (rows, features).
        P: (rows, classes) the answers.
        seed: without effect; taken so that all copies are made alike.
    """
    del seed
    E = np.hstack([Encoding(schema).encode(X), np.ones((len(X), 1))])
    usable = P.min(axis=1) > 0
    if usable.sum() < E.shape[1]:
        usable = np.ones(len(X), dtype=bool)
    solution = np.linalg.lstsq(E[usable], _scores(np.where(P > 0, P, _LEAST_PROBABILITY)[usable]), rcond=None)[0]
    return LinearModel(schema, solution[:-1].T, solution[-1])


def logistic_copy(schema: Schema, X: Matrix, P: Matrix, *, seed: int = 0) -> LinearModel:
    """Fit logistic regression to the answers as they are, by cross entropy.

    For answers that were rounded, blurred or cut down to labels: it asks no logarithm of them, as equations do.
    Deterministic: `seed` changes nothing.
    """
    del seed
    E = np.hstack([Encoding(schema).encode(X), np.ones((len(X), 1))])
    shape = (E.shape[1], P.shape[1])

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        W = flat.reshape(shape)
        scores = E @ W
        value = -float((P * log_softmax(scores, axis=1)).sum()) / len(E) + _L2 / 2 * float((W**2).sum())
        gradient = E.T @ (softmax(scores, axis=1) - P) / len(E) + _L2 * W
        return value, gradient.ravel()

    W = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B").x.reshape(shape)
    W = W[:, 1:] - W[:, :1] if P.shape[1] == 2 else W
    return LinearModel(schema, W[:-1].T, W[-1])


@dataclass(frozen=True, eq=False)
class LearnedCopy:
    """Regressors fitted to the scores of another model. Lives in memory only."""

    schema: Schema
    regressors: tuple[Any, ...]

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities."""
        E = Encoding(self.schema).encode(X)
        scores = [np.reshape(regressor.predict(E), (len(E), -1)) for regressor in self.regressors]
        return probabilities(np.hstack(scores))


def tree_copy(schema: Schema, X: Matrix, P: Matrix, *, seed: int) -> LearnedCopy:
    """Fit boosted trees to the log-odds: one regressor for two classes, else one for each class."""
    E, scores = Encoding(schema).encode(X), _scores(np.maximum(P, _LEAST_PROBABILITY))
    return LearnedCopy(schema, tuple(_boosted_trees(seed).fit(E, column) for column in scores.T))


def network_copy(schema: Schema, X: Matrix, P: Matrix, *, seed: int) -> LearnedCopy:
    """Fit a perceptron with one hidden layer to the log-odds, as far as they tell anything."""
    E, scores = Encoding(schema).encode(X), _scores(np.maximum(P, _LEAST_PROBABILITY))
    network = MLPRegressor(
        hidden_layer_sizes=(32,), activation="tanh", solver="lbfgs", alpha=1e-3, max_iter=100, random_state=seed
    )
    clipped = np.clip(scores, -_NETWORK_SCORES, _NETWORK_SCORES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a copy that could still improve is a copy
        network.fit(E, clipped if clipped.shape[1] > 1 else clipped[:, 0])
    return LearnedCopy(schema, (network,))


def _scores(P: Matrix) -> Matrix:
    """(rows, 1) log-odds of the second of two classes, or (rows, classes) log-probabilities about their mean."""
    logs = np.log(P)
    return logs[:, 1:] - logs[:, :1] if P.shape[1] == 2 else logs - logs.mean(axis=1, keepdims=True)


def _boosted_trees(seed: int) -> Any:
    return GradientBoostingRegressor(max_depth=4, max_features=0.3, random_state=seed)
