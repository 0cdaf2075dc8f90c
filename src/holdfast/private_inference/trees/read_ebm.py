"""Explainable boosting machines of interpret: main effects and interactions, with missing and unknown values.

Model: Lou et al., Accurate Intelligible Models with Pairwise Interactions, KDD 2013. A table of scores has first the
cell of a missing value, then the bins in order, then the cell of an unknown category; a number falls into bin
1 + (cuts up to it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError
from holdfast.models.links import Link
from holdfast.private_inference.trees.additive import Additive, Term
from holdfast.private_inference.trees.bins import Bins, CategoryBins, NumberBins
from holdfast.private_inference.trees.encoding import Block

_LINKS: Final[Mapping[str, Link]] = {
    "logit": "logistic",
    "mlogit": "softmax",
    "identity": "identity",
    "log": "exponential",
}


def read_ebm(model: Any) -> Additive:
    """ExplainableBoostingClassifier or ExplainableBoostingRegressor.

    A category's codes are its values where these are whole numbers, else their positions in the model's order.

    Raises:
        UnsupportedError: its link is not compiled.
    """
    if model.link_ not in _LINKS:
        raise UnsupportedError(
            f"an explainable boosting machine with the link {model.link_!r} is not compiled",
            hint=f"choose an objective with one of the links {', '.join(_LINKS)}",
        )
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    terms = zip(model.term_features_, model.term_scores_, strict=True)
    return Additive(
        n_features=int(model.n_features_in_),
        terms=tuple(_term(features, scores, model.bins_, len(intercept)) for features, scores in terms),
        intercept=intercept,
        link=_LINKS[model.link_],
        classes=tuple(str(name) for name in getattr(model, "classes_", ())),
    )


def _term(features: Sequence[int], scores: NDArray[np.float64], bins: Any, n_outputs: int) -> Term:
    """One term: its table in the order of our cells, one axis for each feature."""
    cells: list[Bins] = []
    orders: list[NDArray[np.int64]] = []
    for feature in features:
        levels = bins[feature]
        some, order = _bins(levels[min(len(levels), len(features)) - 1])
        cells.append(some)
        orders.append(np.array(order, dtype=np.int64))
    table = np.asarray(scores, dtype=np.float64)
    table = table.reshape(*table.shape[: len(features)], n_outputs)
    table = table[np.ix_(*orders, np.arange(n_outputs))]
    block = Block(features=tuple(int(j) for j in features), bins=tuple(cells), coding="one-hot")
    return Term(block=block, scores=table.reshape(-1, n_outputs))


def _bins(known: Any) -> tuple[Bins, list[int]]:
    """Our bins for a feature's, and where each of our cells is in its table."""
    if not isinstance(known, dict):
        cuts = np.asarray(known, dtype=np.float64)
        return NumberBins(grid=tuple(map(float, cuts)), missing=True), [*range(1, len(cuts) + 2), 0]
    ordered = sorted(known.items(), key=lambda item: item[1])
    whole = all(_is_whole(name) for name, _ in ordered)
    places = dict(sorted((int(float(name)) if whole else i, place) for i, (name, place) in enumerate(ordered)))
    unknown = 1 + max(known.values(), default=0)
    return CategoryBins(codes=tuple(places), open=True, missing=True), [*places.values(), unknown, 0]


def _is_whole(name: str) -> bool:
    try:
        return float(name).is_integer()
    except ValueError:
        return False
