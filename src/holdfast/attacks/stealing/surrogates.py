"""Copies of a model, learned from its answers: linear equations, logistic regression, boosted trees, a perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.ensemble import GradientBoostingRegressor

from holdfast.data import Matrix, Schema
from holdfast.models import Encoding, LinearModel, probabilities

_LEAST_PROBABILITY: Final = 1e-6
"""What an answer of 0 is taken for where it has to be taken for something."""
_L2: Final = 1e-6
"""Keeps the logistic copy finite where a plane parts the answers; too small to be seen anywhere else."""
_UNITS: Final = 32
_DECAY: Final = 1e-3
"""Of half the network's squared weights, beside the mean loss: lest it follows single answers, labels above all."""
_NETWORK_STEPS: Final = 100
"""Twice as many agree no better with any of the models of benches/attack_extraction.py."""


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
    E = _with_constant(Encoding(schema).encode(X))
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
    E = _with_constant(Encoding(schema).encode(X))
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


@dataclass(frozen=True, eq=False)
class NetworkCopy:
    """A perceptron with one hidden layer, fitted to the answers of another model. Lives in memory only.

    Args:
        schema: of the rows.
        hidden: (width + 1, units) weights of the encoded columns and, last, of the constant.
        output: (units + 1, classes) likewise.
    """

    schema: Schema
    hidden: Matrix
    output: Matrix

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities."""
        active = np.tanh(_with_constant(Encoding(self.schema).encode(X)) @ self.hidden)
        return np.asarray(softmax(_with_constant(active) @ self.output, axis=1))


def network_copy(schema: Schema, X: Matrix, P: Matrix, *, seed: int) -> NetworkCopy:
    """Fit a perceptron with one hidden layer to the answers as they are, by cross entropy; labels are answers too."""
    E, rng = _with_constant(Encoding(schema).encode(X)), np.random.default_rng(seed)
    start = [_drawn(E.shape[1], _UNITS, rng), _drawn(_UNITS + 1, P.shape[1], rng)]
    flat, split = np.concatenate([part.ravel() for part in start]), start[0].size
    decay = _DECAY * (flat != 0)  # of all but the constants, which say how frequent the classes are

    def weights(flat: Matrix) -> tuple[Matrix, Matrix]:
        return flat[:split].reshape(start[0].shape), flat[split:].reshape(start[1].shape)

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        hidden, output = weights(flat)
        active = _with_constant(np.tanh(E @ hidden))
        scores = active @ output
        value = -float((P * log_softmax(scores, axis=1)).sum()) / len(E) + float(decay @ flat**2) / 2
        flow = (softmax(scores, axis=1) - P) / len(E)
        before = (flow @ output[:-1].T) * (1 - active[:, :-1] ** 2)
        return value, np.concatenate([(E.T @ before).ravel(), (active.T @ flow).ravel()]) + decay * flat

    solution = minimize(loss, flat, jac=True, method="L-BFGS-B", options={"maxiter": _NETWORK_STEPS})
    return NetworkCopy(schema, *weights(solution.x))


def _drawn(inputs: int, outputs: int, rng: np.random.Generator) -> Matrix:
    """Weights to start from: uniform up to sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010), 0 of the constant."""
    weights = rng.uniform(-1, 1, (inputs - 1, outputs)) * np.sqrt(6 / (inputs + outputs))
    return np.vstack([weights, np.zeros((1, outputs))])


def _with_constant(E: Matrix) -> Matrix:
    """With a column of ones behind."""
    return np.hstack([E, np.ones((len(E), 1))])


def _scores(P: Matrix) -> Matrix:
    """(rows, 1) log-odds of the second of two classes, or (rows, classes) log-probabilities about their mean."""
    logs = np.log(P)
    return logs[:, 1:] - logs[:, :1] if P.shape[1] == 2 else logs - logs.mean(axis=1, keepdims=True)


def _boosted_trees(seed: int) -> Any:
    return GradientBoostingRegressor(max_depth=4, max_features=0.3, random_state=seed)
