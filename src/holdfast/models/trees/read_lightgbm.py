"""LightGBM: classifiers, regressors and boosters, and the text files they save, read without the library.

Format: `GBDT::SaveModelToString` and `Tree::ToString`; decisions: `Tree::NumericalDecision` and `CategoricalDecision`
in include/LightGBM/tree.h (https://github.com/microsoft/LightGBM). A value goes left up to the threshold, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from holdfast.errors import UnsupportedError, WireError
from holdfast.files import read_bytes
from holdfast.limits import MAX_CLASSES, MAX_COLUMNS, MAX_JSON_BYTES
from holdfast.models.links import Link
from holdfast.models.trees.cuts import up_to
from holdfast.models.trees.ensemble import Column, Ensemble, Fork, Rule, Tree, count, grow

_LINKS: Final[Mapping[str, Link]] = {
    "binary": "logistic",
    "cross_entropy": "logistic",
    "multiclass": "softmax",
    "multiclassova": "normalised",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "lambdarank": "identity",
    "rank_xendcg": "identity",
    "custom": "identity",
    "poisson": "exponential",
    "gamma": "exponential",
    "tweedie": "exponential",
}
_CATEGORY, _DEFAULT_LEFT = 1, 2
_ZERO: Final = float(np.float32(1e-35))
"""Up to here LightGBM takes a number for zero, whichever its sign: kZeroThreshold, a float."""


def read_lightgbm_file(path: Path) -> Ensemble:
    """A model that LightGBM saved as text.

    Raises:
        WireError: it is none.
        UnsupportedError: it is of a kind that is not read.
    """
    data = read_bytes(path, max_bytes=MAX_JSON_BYTES, what="a LightGBM model")
    try:
        return _ensemble(data.decode(), classes=None)
    except UnicodeDecodeError:
        raise WireError(f"expected a LightGBM model in {path}, got no text") from None


def read_lightgbm(model: Any) -> Ensemble:
    """An LGBMClassifier, LGBMRegressor, LGBMRanker or Booster.

    Raises:
        UnsupportedError: it is of a kind that is not read.
    """
    booster = getattr(model, "booster_", model)
    classes = getattr(model, "classes_", None)
    return _ensemble(booster.model_to_string(), classes=None if classes is None else [str(c) for c in classes])


def _ensemble(text: str, *, classes: Sequence[str] | None) -> Ensemble:
    try:
        return _read(text, classes=classes)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise WireError(f"expected a LightGBM model, got one without what a model has: {error!r:.200}") from None


def _read(text: str, *, classes: Sequence[str] | None) -> Ensemble:
    if not text.startswith("tree\n"):
        raise WireError("expected a LightGBM model in text, which starts with the line tree")
    head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    header = _lines(head)
    objective, *options = header.get("objective", "custom").split(" ")
    if objective not in _LINKS or "sqrt" in options:
        raise UnsupportedError(
            f"LightGBM's objective {' '.join([objective, *options])!r} is not read",
            hint=f"choose one of {', '.join(_LINKS)}",
        )
    n_outputs = count(header["num_tree_per_iteration"], most=MAX_CLASSES, what="outputs")
    n_features = count(int(header["max_feature_idx"]) + 1, most=MAX_COLUMNS, what="features")
    infos = header["feature_infos"].split(" ")
    names = header["feature_names"].split(" ")
    trees = [_lines(block) for block in blocks]
    columns = _columns(names, infos, trees, n_features=n_features)
    factor = sigmoid_factor(options) * (n_outputs / len(trees) if "average_output" in header and trees else 1.0)
    link = _LINKS[objective]
    if classes is None and link in ("logistic", "softmax", "normalised"):
        classes = [str(i) for i in range(max(2, n_outputs))]
    return Ensemble(
        columns=columns,
        trees=tuple(_tree(tree, i % n_outputs, n_outputs, factor) for i, tree in enumerate(trees)),
        base=np.zeros(n_outputs),
        link=link,
        classes=tuple(classes or ()),
        kind=f"LightGBM, {len(trees)} trees",
        cut=up_to,
    )


def _lines(text: str) -> dict[str, str]:
    """Lines `name=value`; a line without a value is a flag."""
    pairs = (line.partition("=") for line in text.split("\n") if line)
    return {name: value for name, _, value in pairs}


def sigmoid_factor(options: Sequence[str]) -> float:
    """What turns scores into log-odds: the parameter of the sigmoid."""
    found = [float(option.partition(":")[2]) for option in options if option.startswith("sigmoid:")]
    return found[0] if found else 1.0


def _columns(
    names: Sequence[str], infos: Sequence[str], trees: Sequence[Mapping[str, str]], *, n_features: int
) -> tuple[Column, ...]:
    """A feature is a category where a split treats it so.

    It takes missing values where its splits know them, or where it has none and others do.
    """
    categories: set[int] = set()
    knows: dict[int, bool] = {}
    for tree in trees:
        for feature, decision in zip(_integers(tree, "split_feature"), _integers(tree, "decision_type"), strict=True):
            knows[feature] = bool(decision & _CATEGORY or decision >> 2 & 3)
            if decision & _CATEGORY:
                categories.add(feature)
    unused = any(knows.values())
    return tuple(
        Column(name=name, categories=_codes(info), open=True, missing=True)
        if j in categories
        else Column(name=name, missing=knows.get(j, unused))
        for j, (name, info) in enumerate(zip(names[:n_features], infos[:n_features], strict=True))
    )


def _codes(info: str) -> tuple[int, ...]:
    """The categories of a feature that training saw, "-1:0:4:5"; below zero are missing ones."""
    if info.startswith("[") or info == "none":
        return ()
    return tuple(sorted({int(code) for code in info.split(":") if int(code) >= 0}))


def _tree(tree: Mapping[str, str], output: int, n_outputs: int, factor: float) -> Tree:
    if int(tree.get("is_linear", "0")):
        raise UnsupportedError("LightGBM's linear_tree is not read", hint="train with linear_tree=False")
    values = [factor * float(value) for value in tree["leaf_value"].split(" ")]
    left, right = _integers(tree, "left_child"), _integers(tree, "right_child")
    rules = _rules(tree)

    def node(i: int) -> Fork | list[float]:
        if i < 0:
            leaf = [0.0] * n_outputs
            leaf[output] = values[~i]
            return leaf
        return Fork(rules[i], left[i], right[i])

    return grow(0 if int(tree["num_leaves"]) > 1 else ~0, node)


def _rules(tree: Mapping[str, str]) -> list[Rule]:
    thresholds = [float(value) for value in tree.get("threshold", "").split()]
    bounds, bits = _integers(tree, "cat_boundaries"), _integers(tree, "cat_threshold")
    rules = []
    for feature, decision, threshold in zip(
        _integers(tree, "split_feature"), _integers(tree, "decision_type"), thresholds, strict=True
    ):
        if decision & _CATEGORY:  # what is missing or unknown goes right
            start, end = bounds[int(threshold)], bounds[int(threshold) + 1]
            rules.append(Rule(feature=feature, categories=_listed(bits[start:end])))
        else:
            rules.append(_number(feature, decision, threshold))
    return rules


def _listed(words: Sequence[int]) -> frozenset[int]:
    return frozenset(32 * i + bit for i, word in enumerate(words) for bit in range(32) if word >> bit & 1)


def _number(feature: int, decision: int, threshold: float) -> Rule:
    cut, default_left = float(up_to(threshold)), bool(decision & _DEFAULT_LEFT)
    low, high = -_ZERO, float(up_to(_ZERO))
    if low < cut < high:  # rows are read without their zeros, so no cut divides what is taken for zero
        cut = high if cut > 0.0 else low
    missing = decision >> 2 & 3
    if missing == 0:  # the model knows no missing values; LightGBM itself takes them for zero
        return Rule(feature=feature, edges=(cut,), missing_left=threshold >= 0.0)
    if missing == 2 or (cut >= high) == default_left:
        return Rule(feature=feature, edges=(cut,), missing_left=default_left)
    # Zeros are missing values: around zero lies an interval that goes the default way.
    other = {low: (high,), high: (low,)}
    return Rule(feature=feature, edges=other.get(cut, tuple(sorted([low, high, cut]))), missing_left=default_left)


def _integers(tree: Mapping[str, str], name: str) -> list[int]:
    return [int(value) for value in tree.get(name, "").split()]
