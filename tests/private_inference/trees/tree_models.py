"""Models and rows that several tests of trees share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from holdfast.models.trees import Column, Ensemble, Rule, Tree
from holdfast.models.trees.cuts import up_to

Floats = NDArray[np.float64]


def with_missing(X: Floats, share: float = 0.1) -> Floats:
    """Rows of which a share of the values is missing."""
    return np.where(np.random.default_rng(0).random(X.shape) < share, np.nan, X)


TUMOUR, TUMOUR_CLASSES = load_breast_cancer(return_X_y=True)
IRIS, IRIS_CLASSES = load_iris(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
TUMOUR_GAPS, IRIS_GAPS = with_missing(TUMOUR), with_missing(IRIS)


def categorical(n: int = 500) -> tuple[Floats, NDArray[np.int64]]:
    """A number, a category of 12 codes with missing ones, a number with missing values; and two classes."""
    rng = np.random.default_rng(1)
    first, kind, second = rng.normal(size=n), rng.integers(0, 12, n).astype(float), rng.normal(size=n)
    score = first + 2 * np.isin(kind, [1, 4, 7]) - np.isin(kind, [2, 3]) + 0.3 * rng.normal(size=n)
    second[::9], kind[::11] = np.nan, np.nan
    return np.column_stack([first, kind, second]), (score > 0.4).astype(np.int64)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of other libraries about their own ways."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fitted(estimator: Any, X: Any, y: Any, **options: Any) -> Any:
    """The estimator, fitted."""
    with quiet():
        return estimator.fit(X, y, **options)


def random_ensemble(
    rng: np.random.Generator, *, features: int = 4, outputs: int = 1, trees: int = 3, depth: int = 4
) -> Ensemble:
    """An ensemble whose splits are on small whole numbers, so that rows of whole numbers hit its thresholds.

    The second feature is a category of five codes.
    """
    columns = [Column(missing=True) for _ in range(features)]
    columns[1] = Column(categories=(0, 1, 2, 3, 4), open=True, missing=True)
    return Ensemble(
        columns=tuple(columns),
        trees=tuple(_random_tree(rng, features, outputs, depth) for _ in range(trees)),
        base=rng.normal(size=outputs),
        link="identity",
        classes=(),
        kind="random",
        cut=up_to,
    )


def _random_tree(rng: np.random.Generator, features: int, outputs: int, depth: int) -> Tree:
    rules: list[Rule] = []
    children: list[list[int]] = []
    leaves: list[Floats] = []

    def below(level: int) -> int:
        if level == 0 or rng.random() < 0.2:
            leaves.append(rng.normal(size=outputs))
            return ~(len(leaves) - 1)
        here = len(rules)
        rules.append(_random_rule(rng, features))
        children.append([0, 0])
        children[here] = [below(level - 1), below(level - 1)]
        return here

    below(depth)
    return Tree(rules=tuple(rules), children=np.array(children).reshape(-1, 2), leaves=np.array(leaves))


def _random_rule(rng: np.random.Generator, features: int) -> Rule:
    feature, missing_left = int(rng.integers(features)), bool(rng.integers(2))
    if feature == 1:
        codes = frozenset(int(code) for code in np.flatnonzero(rng.integers(0, 2, 5)))
        return Rule(feature=1, categories=codes, missing_left=missing_left)
    edges = sorted({float(edge) for edge in rng.integers(-3, 4, int(rng.choice([1, 1, 1, 3])))})
    return Rule(feature=feature, edges=tuple(edges), missing_left=missing_left)


def random_rows(rng: np.random.Generator, n: int, *, features: int = 4) -> Floats:
    """Rows of small whole numbers, their neighbours, categories known and unknown, and gaps."""
    X = rng.integers(-4, 5, (n, features)).astype(float)
    X = np.where(rng.random(X.shape) < 0.3, np.nextafter(X, rng.choice([-np.inf, np.inf], X.shape)), X)
    X[:, 1] = rng.integers(-1, 7, n)
    return np.where(rng.random(X.shape) < 0.15, np.nan, X)
