"""Learning spends the second half of its queries where the model is unsure, which the copy so far shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from tests.attacks.attack_cases import loan_schema, numbers_schema, own_labels, random_linear

from holdfast.attacks import extraction, synthetic_rows
from holdfast.attacks.stealing.adaptive import LabelsAlone
from holdfast.attacks.stealing.surrogates import logistic_copy, network_copy
from holdfast.data import Matrix, Schema, check_features
from holdfast.models import Encoding, Model


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


class Bent:
    """A network of eight units: three classes whose borders no plane follows."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.schema = numbers_schema(4, classes=3)
        self.hidden, self.output = rng.normal(0, 3, (4, 8)), rng.normal(0, 3, (8, 3))

    def predict_proba(self, X: Matrix) -> Matrix:
        odds = np.exp(np.tanh(Encoding(self.schema).encode(X) @ self.hidden) @ self.output)
        return odds / odds.sum(axis=1, keepdims=True)


def test_a_network_learns_probabilities_and_labels_as_what_they_are() -> None:
    model, rng = Bent(np.random.default_rng(0)), np.random.default_rng(1)
    X, fresh = synthetic_rows(model.schema, 600, rng), synthetic_rows(model.schema, 1_000, rng)
    said = model.predict_proba(fresh).argmax(axis=1)

    def agreement(fit: Callable[..., Model], oracle: Model) -> float:
        copy = fit(model.schema, X, oracle.predict_proba(X), seed=0)
        return float(np.mean(copy.predict_proba(fresh).argmax(axis=1) == said))

    labels = LabelsAlone(oracle=model)
    most_frequent = np.bincount(said).max() / len(said)
    assert most_frequent < agreement(logistic_copy, labels) < agreement(network_copy, labels)
    assert 0.9 < agreement(network_copy, labels) < agreement(network_copy, model)
    P = network_copy(model.schema, X, model.predict_proba(X), seed=3).predict_proba(fresh)
    np.testing.assert_allclose(P.sum(axis=1), 1.0)
    np.testing.assert_array_equal(P, network_copy(model.schema, X, model.predict_proba(X), seed=3).predict_proba(fresh))
