"""XGBoost: classifiers, regressors and boosters, and the files they save (.json, .ubj), read without the library.

Format: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html and its JSON schema. A value is rounded to
float32 and goes left where it is below the threshold; a category goes right where the split lists it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import logit

from holdfast.errors import UnsupportedError, WireError
from holdfast.files import read_bytes
from holdfast.limits import MAX_CLASSES, MAX_COLUMNS, MAX_JSON_BYTES
from holdfast.models.links import Link
from holdfast.models.trees.cuts import below_float32
from holdfast.models.trees.ensemble import Column, Ensemble, Fork, Rule, Tree, count, grow
from holdfast.models.trees.ubjson import read_ubjson

_LINKS: Final[Mapping[str, Link]] = {
    "binary:logistic": "logistic",
    "binary:logitraw": "logistic",
    "reg:logistic": "logistic",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "reg:squarederror": "identity",
    "reg:linear": "identity",
    "reg:squaredlogerror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "rank:pairwise": "identity",
    "rank:ndcg": "identity",
    "rank:map": "identity",
    "count:poisson": "exponential",
    "reg:gamma": "exponential",
    "reg:tweedie": "exponential",
}
_IN_PROBABILITIES: Final = ("binary:logistic", "reg:logistic")
"""Objectives whose base score is a probability."""


def read_xgboost_file(path: Path) -> Ensemble:
    """A model that XGBoost saved.

    Raises:
        WireError: it is none.
        UnsupportedError: it is of a kind that is not read.
    """
    data = read_bytes(path, max_bytes=MAX_JSON_BYTES, what="an XGBoost model")
    try:
        document = json.loads(data) if data[:2] in (b'{"', b"{\n") else read_ubjson(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"expected an XGBoost model in {path}, got none: {error}") from None
    return _ensemble(document, classes=None, best=True)


def read_xgboost(model: Any) -> Ensemble:
    """An XGBClassifier, XGBRegressor, XGBRanker or Booster, with the trees that its own predictions use.

    A category's codes are its positions among the categories that it was trained with.

    Raises:
        UnsupportedError: it is of a kind that is not read.
    """
    estimator = hasattr(model, "get_booster")
    if estimator and not (model.missing is None or np.isnan(model.missing)):
        raise UnsupportedError(
            f"the model takes {model.missing} for a missing value, expected NaN", hint="train with missing=np.nan"
        )
    booster = model.get_booster() if estimator else model
    classes = getattr(model, "classes_", None) if estimator else None
    document = json.loads(bytes(booster.save_raw("json")))
    return _ensemble(document, classes=None if classes is None else [str(c) for c in classes], best=estimator)


def _ensemble(document: Any, *, classes: Sequence[str] | None, best: bool) -> Ensemble:
    try:
        return _read(document, classes=classes, best=best)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise WireError(f"expected an XGBoost model, got one without what a model has: {error!r:.200}") from None


def _read(document: Any, *, classes: Sequence[str] | None, best: bool) -> Ensemble:
    learner = document["learner"]
    booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    if booster["name"] != "gbtree":
        raise UnsupportedError(f"XGBoost's booster {booster['name']!r} is not read", hint="train with gbtree")
    if objective not in _LINKS:
        raise UnsupportedError(
            f"XGBoost's objective {objective!r} is not read", hint=f"choose one of {', '.join(_LINKS)}"
        )
    parameters, model = learner["learner_model_param"], booster["model"]
    n_classes, n_targets = int(parameters["num_class"]), int(parameters.get("num_target", 1))
    n_outputs = count(max(1, n_classes, n_targets), most=MAX_CLASSES, what="outputs")
    n_features = count(parameters["num_feature"], most=MAX_COLUMNS, what="features")
    columns = _columns(learner, model, n_features)
    n_trees = _trees_used(learner, model) if best else len(model["trees"])
    trees = tuple(
        _tree(tree, int(output), n_outputs, columns)
        for tree, output in zip(model["trees"][:n_trees], model["tree_info"], strict=False)
    )
    link = _LINKS[objective]
    if classes is None and link in ("logistic", "softmax"):
        classes = [str(i) for i in range(max(2, n_classes))]
    if objective == "reg:logistic":
        classes = ["0", "1"]
    return Ensemble(
        columns=columns,
        trees=trees,
        base=_base(parameters["base_score"], objective, n_outputs),
        link=link,
        classes=tuple(classes or ()),
        kind=f"XGBoost, {len(trees)} trees",
        cut=below_float32,
    )


def _columns(learner: Any, model: Any, n_features: int) -> tuple[Column, ...]:
    names = learner.get("feature_names") or [""] * n_features
    types = learner.get("feature_types") or ["float"] * n_features
    known = model.get("cats", {}).get("enc") or [{}] * n_features
    columns = []
    for name, kind, categories in zip(names, types, known, strict=True):
        if kind != "c":
            columns.append(Column(name=str(name), missing=True))
            continue
        offsets = categories.get("offsets")  # of texts, which are one after the other; numbers are a list
        codes = tuple(range(len(offsets) - 1 if offsets else len(categories.get("values", ()))))
        columns.append(Column(name=str(name), categories=codes, open=not codes, missing=True))
    return tuple(columns)


def _trees_used(learner: Any, model: Any) -> int:
    """Trees up to the best round of early stopping, which the estimators predict with; all without one."""
    best = learner.get("attributes", {}).get("best_iteration")
    if best is None or "scikit_learn" not in learner["attributes"]:
        return len(model["trees"])
    starts = model.get("iteration_indptr")
    if starts is None:
        raise UnsupportedError(
            "the model stopped early and does not say which trees belong to which round",
            hint="save it with XGBoost 2 or later",
        )
    return int(starts[int(best) + 1])


def _base(text: object, objective: str, n_outputs: int) -> Any:
    """The base score on the scale of the leaves, one for each output."""
    with np.errstate(all="ignore"):  # a base score that is none becomes infinite, and an ensemble refuses that
        values = np.array([float(part) for part in str(text).strip("[]").split(",")], dtype=np.float32)
        if objective in _IN_PROBABILITIES:
            values = logit(values)
        elif _LINKS[objective] == "exponential":
            values = np.log(values)
    return np.broadcast_to(values.astype(np.float64), (n_outputs,)).copy()


def _tree(tree: Any, output: int, n_outputs: int, columns: Sequence[Column]) -> Tree:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise UnsupportedError(
            "XGBoost's trees with several outputs in a leaf are not read",
            hint='train with multi_strategy="one_output_per_tree"',
        )
    left, right = tree["left_children"], tree["right_children"]
    features, missing_left = tree["split_indices"], tree["default_left"]
    with np.errstate(over="ignore"):  # what is no float32 becomes infinite, which no leaf and no threshold is
        values = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    cuts = below_float32(values)
    listed = _listed(tree)

    def node(i: int) -> Fork | list[float]:
        if left[i] == -1:
            leaf = [0.0] * n_outputs
            leaf[output] = float(values[i])
            return leaf
        feature, goes = int(features[i]), bool(missing_left[i])
        if i in listed:  # the listed categories go right, all others left: as a rule, with the children swapped
            return Fork(Rule(feature=feature, categories=listed[i], missing_left=not goes), right[i], left[i])
        if columns[feature].categories is not None:
            raise WireError(f"the model compares feature {feature}, a category, with a threshold")
        return Fork(Rule(feature=feature, edges=(float(cuts[i]),), missing_left=goes), left[i], right[i])

    return grow(0, node)


def _listed(tree: Any) -> dict[int, frozenset[int]]:
    """The categories that each categorical split lists."""
    codes = tree.get("categories", ())
    spans = zip(
        tree.get("categories_nodes", ()),
        tree.get("categories_segments", ()),
        tree.get("categories_sizes", ()),
        strict=True,
    )
    return {int(node): frozenset(int(c) for c in codes[start : start + size]) for node, start, size in spans}
