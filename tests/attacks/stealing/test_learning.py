"""Learning spends the second half of its queries where the model is unsure, which the copy so far shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from tests.attacks.attack_cases import loan_schema, own_labels, random_linear

from holdfast.attacks import extraction, synthetic_rows
from holdfast.data import Matrix, Schema, check_features
from holdfast.models import Model


@dataclass
class Remembering:
    """A model that keeps what it was asked."""

    inner: Model
    asked: list[Matrix] = field(default_factory=list)

    @property
    def schema(self) -> Schema:
        return self.inner.schema

    def predict_proba(self, X: Matrix) -> Matrix:
        self.asked.append(X)
        return self.inner.predict_proba(X)


def test_the_second_half_is_asked_where_the_model_is_unsure() -> None:
    model = random_linear(loan_schema(), np.random.default_rng(0))
    reference = own_labels(model, synthetic_rows(model.schema, 50, np.random.default_rng(1)))
    oracle = Remembering(model)
    extraction(oracle, reference=reference, queries=200, rng=np.random.default_rng(2), model=model, method="learning")
    X = np.vstack(oracle.asked)
    assert len(X) == 200
    check_features(X, model.schema)
    sure = np.abs(np.diff(model.predict_proba(X), axis=1)[:, 0])
    assert sure[100:].mean() < sure[:100].mean() / 2
