"""scikit-learn's trees, forests and gradient boosting.

They round a value to float32, and go left up to the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError
from holdfast.models.links import Link
from holdfast.models.trees.cuts import up_to_float32
from holdfast.models.trees.ensemble import Column, Ensemble, Fork, Rule, Tree, grow

_LEAF: Final = -1


def read_tree(model: Any) -> Ensemble:
    """A decision tree or extra tree, classifier or regressor.

    Raises:
        UnsupportedError: it has several targets of classes.
    """
    return _average(model, [model])


def read_forest(model: Any) -> Ensemble:
    """A random forest or extra trees, classifier or regressor: the mean of its trees.

    Raises:
        UnsupportedError: it has several targets of classes, or none.
    """
    if not hasattr(model, "predict"):
        raise UnsupportedError(f"{type(model).__name__} predicts nothing", hint="train a classifier or a regressor")
    return _average(model, model.estimators_)


def read_boosting(model: Any) -> Ensemble:
    """GradientBoostingClassifier or GradientBoostingRegressor.

    Raises:
        UnsupportedError: it starts from a model of its own, whose scores depend on the row.
    """
    if model.init_ != "zero" and type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise UnsupportedError(
            f"gradient boosting that starts from {type(model.init_).__name__} is not read", hint="leave init out"
        )
    n_outputs = model.estimators_.shape[1]
    trees = [
        _tree(estimator.tree_, _one_output(k, n_outputs, model.learning_rate))
        for stage in model.estimators_
        for k, estimator in enumerate(stage)
    ]
    classes = _classes(model)
    row = np.zeros((1, model.n_features_in_))
    raw = np.reshape(model.decision_function(row) if classes else model.predict(row), -1)
    added = sum((tree.leaves[tree.reached(row)[0]] for tree in trees), np.zeros(n_outputs))
    ensemble = _ensemble(
        model, trees, raw - added, "softmax" if n_outputs > 1 else "logistic" if classes else "identity"
    )
    if classes and model.loss == "exponential":  # its scores are half the log-odds
        ensemble = _doubled(ensemble)
    return ensemble


def _average(model: Any, estimators: Sequence[Any]) -> Ensemble:
    classes = _classes(model)
    if classes and model.n_outputs_ > 1:
        raise UnsupportedError(
            f"{type(model).__name__} with {model.n_outputs_} targets is not read", hint="train one for each target"
        )

    def leaf(value: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = value[0] / value[0].sum() if classes else value[:, 0]
        return np.asarray(shares / len(estimators))

    trees = [_tree(estimator.tree_, leaf) for estimator in estimators]
    return _ensemble(model, trees, np.zeros(trees[0].leaves.shape[1]), "identity")


def _ensemble(model: Any, trees: Sequence[Tree], base: NDArray[np.float64], link: Link) -> Ensemble:
    names = getattr(model, "feature_names_in_", [""] * model.n_features_in_)
    missing = bool(model.__sklearn_tags__().input_tags.allow_nan)
    return Ensemble(
        columns=tuple(Column(name=str(name), missing=missing) for name in names),
        trees=tuple(trees),
        base=base,
        link=link,
        classes=_classes(model),
        kind=f"{type(model).__name__}, {len(trees)} trees",
        cut=up_to_float32,
    )


def _doubled(ensemble: Ensemble) -> Ensemble:
    trees = (Tree(rules=tree.rules, children=tree.children, leaves=2 * tree.leaves) for tree in ensemble.trees)
    return Ensemble(**(vars(ensemble) | {"trees": tuple(trees), "base": 2 * ensemble.base}))


def _classes(model: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in model.classes_) if hasattr(model, "classes_") else ()


def _one_output(k: int, n_outputs: int, rate: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def leaf(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(rate * value[0, 0] * np.eye(n_outputs)[k])

    return leaf


def _tree(tree: Any, leaf: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Tree:
    cuts = up_to_float32(tree.threshold)
    left, right, missing_left = tree.children_left, tree.children_right, tree.missing_go_to_left

    def node(i: int) -> Fork | list[float]:
        if left[i] == _LEAF:
            return [float(value) for value in leaf(tree.value[i])]
        rule = Rule(feature=int(tree.feature[i]), edges=(float(cuts[i]),), missing_left=bool(missing_left[i]))
        return Fork(rule, int(left[i]), int(right[i]))

    return grow(0, node)
