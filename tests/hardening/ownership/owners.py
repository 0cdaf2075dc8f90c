"""Small models with an owner, made without the way through ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from holdfast.data import Dataset, Matrix
from holdfast.hardening.ownership import Classify, classify
from holdfast.models import Encoding


class Plain:
    """A scikit-learn estimator as a model."""

    def __init__(self, estimator: Any, data: Dataset) -> None:
        self.schema, self._encoding = data.schema, Encoding(data.schema)
        self._estimator = estimator.fit(self._encoding.encode(data.X), data.y)

    def predict_proba(self, X: Matrix) -> Matrix:
        return np.asarray(self._estimator.predict_proba(self._encoding.encode(X)))


def tree(data: Dataset, *, seed: int) -> Plain:
    return Plain(DecisionTreeClassifier(max_features=0.5, random_state=seed), data)


def copy_of(model: Classify, rows: Dataset, X: Matrix, *, seed: int) -> Classify:
    """What a thief makes who has the model label rows."""
    return classify(tree(Dataset(rows.schema, X, model(X)), seed=seed))
