"""scikit-learn's histogram gradient boosting. It compares in float64 and goes left up to the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError
from holdfast.models.links import Link
from holdfast.models.trees.cuts import up_to
from holdfast.models.trees.ensemble import Column, Ensemble, Fork, Rule, Tree, grow


def read_hist(model: Any) -> Ensemble:
    """HistGradientBoostingClassifier or HistGradientBoostingRegressor.

    A category's codes are its values where these are whole numbers, else their positions in sorted order. A category
    that training did not see goes where a missing value goes.

    Raises:
        UnsupportedError: the loss is not read.
    """
    loss = "log_loss" if hasattr(model, "classes_") else model.loss
    if callable(loss) or not isinstance(loss, str):
        raise UnsupportedError("a loss of one's own is not read", hint="choose squared_error or log_loss")
    base = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    order, codes = _remapped(model)
    trees = [
        _tree(predictor, k, len(base), order, codes) for stage in model._predictors for k, predictor in enumerate(stage)
    ]
    link: Link = "exponential" if loss in ("poisson", "gamma") else "identity"
    if loss == "log_loss":
        link = "logistic" if len(base) == 1 else "softmax"
    names = getattr(model, "feature_names_in_", [""] * model.n_features_in_)
    columns = [Column(name=str(name), missing=True) for name in names]
    cut_points = [np.empty(0)] * len(columns)
    for position, feature in enumerate(order):
        if feature in codes:
            columns[feature] = Column(name=columns[feature].name, categories=codes[feature], open=True, missing=True)
        else:
            cut_points[feature] = up_to(model._bin_mapper.bin_thresholds_[position])
    return Ensemble(
        columns=tuple(columns),
        trees=tuple(trees),
        base=base,
        link=link,
        classes=tuple(str(name) for name in getattr(model, "classes_", ())),
        kind=f"{type(model).__name__}, {len(trees)} trees",
        cut=up_to,
        cut_points=tuple(cut_points),
    )


def _remapped(model: Any) -> tuple[list[int], dict[int, tuple[int, ...]]]:
    """The feature that each position of the trees' rows has, and the codes of each category.

    Categories come first there, as positions in their sorted values.
    """
    if model._preprocessor is None:
        return list(range(model.n_features_in_)), {}
    flags = np.asarray(model.is_categorical_, dtype=bool)
    categories = [int(j) for j in np.flatnonzero(flags)]
    values = model._preprocessor.named_transformers_["encoder"].categories_
    codes = {j: _codes(known) for j, known in zip(categories, values, strict=True)}
    return categories + [int(j) for j in np.flatnonzero(~flags)], codes


def _codes(values: NDArray[Any]) -> tuple[int, ...]:
    """Codes of known categories: the values where all are whole numbers, else their positions."""
    known = [value for value in values if value is not None and value == value]
    if all(isinstance(value, int | float | np.number) and value == int(value) for value in known):
        return tuple(int(value) for value in known)
    return tuple(range(len(known)))


def _tree(predictor: Any, k: int, n_outputs: int, order: Sequence[int], codes: dict[int, tuple[int, ...]]) -> Tree:
    nodes, bitsets = predictor.nodes, predictor.raw_left_cat_bitsets
    cuts = up_to(nodes["num_threshold"])

    def node(i: int) -> Fork | list[float]:
        found = nodes[i]
        if found["is_leaf"]:
            leaf = [0.0] * n_outputs
            leaf[k] = float(found["value"])
            return leaf
        feature, missing_left = order[int(found["feature_idx"])], bool(found["missing_go_to_left"])
        left, right = int(found["left"]), int(found["right"])
        if not found["is_categorical"]:
            return Fork(Rule(feature=feature, edges=(float(cuts[i]),), missing_left=missing_left), left, right)
        listed = _listed(bitsets[int(found["bitset_idx"])], codes[feature])
        if not missing_left:
            return Fork(Rule(feature=feature, categories=listed), left, right)
        others = frozenset(codes[feature]) - listed  # go right; what is missing or unknown goes left
        return Fork(Rule(feature=feature, categories=others), right, left)

    return grow(0, node)


def _listed(bitset: NDArray[np.uint32], codes: Sequence[int]) -> frozenset[int]:
    return frozenset(code for i, code in enumerate(codes) if int(bitset[i // 32]) >> (i % 32) & 1)
