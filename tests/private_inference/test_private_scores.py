"""Private scores are the clear ones, bit for bit, and those are the model's to 2^-20."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from tests.private_inference.private_pair import Pair, random_plan

from holdfast.private_inference import compile_linear


def test_every_patient_of_the_tumour_data_gets_the_clear_score() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    E = np.clip(2 * (X - X.min(axis=0)) / np.ptp(X, axis=0) - 1, -1, 1)
    model = LogisticRegression(max_iter=1000).fit(E, y)
    pair = Pair.of(compile_linear(model.coef_, model.intercept_, classes=["malignant", "benign"]))
    scores = pair.session.decrypt(pair.evaluator.answer(pair.session.encrypt(E), key=pair.key))
    assert (scores.integers == pair.plan.clear_scores(E)).all()
    assert pair.plan.public.error_bits == 20
    assert np.abs(scores.values[:, 0] - model.decision_function(E)).max() <= 2**-20
    assert ((scores.values[:, 0] > 0) == model.predict(E)).all()


@pytest.mark.parametrize(
    ("n_features", "n_scores", "n_rows"),
    [
        (1, 1, 1),
        (1, 1, 17),  # a full ciphertext and one more row
        (3, 3, 6),
        (5, 16, 2),
        (5, 17, 2),  # two parts, the second of one score
        (700, 11, 2),
        (2731, 3, 2),  # just too wide for three scores side by side
        (4097, 1, 2),
        (8192, 1, 2),  # the whole ring
    ],
)
def test_private_equals_clear_for_every_shape(n_features: int, n_scores: int, n_rows: int) -> None:
    pair = Pair.of(random_plan(n_features, n_scores))
    E = np.random.default_rng(1).uniform(-1, 1, (n_rows, n_features))
    E[0] = np.sign(E[0])  # a corner, where scores are largest
    scores = pair.session.decrypt(pair.evaluator.answer(pair.session.encrypt(E), key=pair.key))
    assert scores.integers.shape == (n_rows, n_scores)
    assert (scores.integers == pair.plan.clear_scores(E)).all()


def test_many_queries_in_a_row_are_all_exact(pair: Pair) -> None:
    rng = np.random.default_rng(2)
    for _ in range(25):
        E = rng.uniform(-1, 1, (int(rng.integers(1, 20)), 3))
        scores = pair.session.decrypt(pair.evaluator.answer(pair.session.encrypt(E), key=pair.key))
        assert (scores.integers == pair.plan.clear_scores(E)).all()


def test_answers_may_come_in_another_order_than_their_queries(pair: Pair) -> None:
    rows = [np.full((1, 3), value) for value in (0.25, -0.5)]
    queries = [pair.session.encrypt(E) for E in rows]
    for query, E in reversed(list(zip(queries, rows, strict=True))):
        scores = pair.session.decrypt(pair.evaluator.answer(query, key=pair.key))
        assert (scores.integers == pair.plan.clear_scores(E)).all()
