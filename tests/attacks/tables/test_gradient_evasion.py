"""Networks attacked along their gradients: the gradients are right, the rows real, and little is missed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier
from tests.attacks.attack_cases import loan_schema, numbers_schema, own_labels, random_linear
from tests.attacks.tables.table_cases import Hidden, loan_maths

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.attacks.oracle import Oracle
from holdfast.attacks.tables.differentiable import Differentiable, differentiable
from holdfast.attacks.tables.gradient import climb
from holdfast.attacks.tables.torch_table import TorchTable
from holdfast.data import Dataset, Schema
from holdfast.errors import UnsupportedError
from holdfast.models import Encoding, Model, fit_estimator
from holdfast.models.perceptron import perceptron


def from_torch(schema: Schema) -> Model:
    outputs = 1 if len(schema.classes) == 2 else len(schema.classes)
    torch.manual_seed(0)
    width = Encoding(schema).width
    return TorchTable(
        schema, torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.Tanh(), torch.nn.Linear(8, outputs))
    )


def from_layers(schema: Schema) -> Model:
    rng, sizes = np.random.default_rng(0), (Encoding(schema).width, 8, 6, len(schema.classes))
    layers = [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in pairwise(sizes)]
    return perceptron(schema, layers)


def from_sklearn(activation: str) -> Callable[[Schema], Model]:
    def fit(schema: Schema) -> Model:
        rng = np.random.default_rng(0)
        X = synthetic_rows(schema, 120, rng)
        y = rng.permutation(np.arange(120) % len(schema.classes))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it does not converge in two rounds, and need not
            return fit_estimator(MLPClassifier((6, 5), activation=activation, max_iter=2), Dataset(schema, X, y))

    return fit


MODELS = {
    "torch": from_torch,
    "perceptron": from_layers,
    "relu": from_sklearn("relu"),
    "tanh": from_sklearn("tanh"),
    "logistic": from_sklearn("logistic"),
    "identity": from_sklearn("identity"),
}


@pytest.fixture(scope="module", params=[(name, classes) for name in MODELS for classes in (2, 3)], ids=str)
def model(request: pytest.FixtureRequest) -> Model:
    name, classes = request.param
    return MODELS[name](loan_schema(classes))


def test_every_network_gives_its_gradients(model: Model) -> None:
    rng = np.random.default_rng(1)
    X = synthetic_rows(model.schema, 10, rng)
    own = differentiable(model, X)
    assert own is not None
    E = Encoding(model.schema).encode(X) * 0.9
    scores, pullback = own.scores_and_pullback(E)
    np.testing.assert_array_equal(scores.argmax(axis=1), own.scores_and_pullback(E)[0].argmax(axis=1))
    weights, direction = rng.normal(size=scores.shape), rng.normal(size=E.shape)
    h = 1e-3 if isinstance(model, TorchTable) else 1e-6  # torch computes in single precision
    ahead, behind = (own.scores_and_pullback(E + sign * h * direction)[0] for sign in (1, -1))
    slope = (weights * (ahead - behind)).sum(axis=1) / (2 * h)
    np.testing.assert_allclose((pullback(weights) * direction).sum(axis=1), slope, rtol=1e-2, atol=1e-2)


def test_the_layers_say_what_the_model_says(model: Model) -> None:
    X = synthetic_rows(model.schema, 50, np.random.default_rng(2))
    own = differentiable(model, X)
    assert own is not None
    scores, _ = own.scores_and_pullback(Encoding(model.schema).encode(X))
    P = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(P, model.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("priced", [False, True])
def test_gradients_flip_nearly_all_that_can_be_flipped(priced: bool) -> None:
    """A network of one layer is a linear model, whose exact attack knows."""
    rng, schema = np.random.default_rng(3), loan_schema(3)
    linear = random_linear(schema, rng)
    network = perceptron(schema, [(linear.coef, linear.intercept)])
    data = own_labels(linear, synthetic_rows(schema, 50, rng))
    price = {"costs": {"income": 1.0, "spent": 2.0, "debt": 1.0, "cards": 1.0, "children": 3.0}, "max_cost": 0.15}
    threat = FeasibleChange(budget=0.15, max_category_changes=1, **(price if priced else {}))  # type: ignore[arg-type]
    exact = evasion(linear, data, threat=threat, rng=rng)
    own = differentiable(network, data.X)
    assert own is not None
    found = climb(Oracle(network), own, data.X, data.y, threat=threat, rng=rng)
    assert exact.evaded.sum() > 10
    assert not (found.flipped & ~exact.evaded).any()
    assert found.flipped.sum() >= 0.9 * exact.evaded.sum()
    assert found.queries.max() < 20


def test_gradients_ask_less_and_flip_no_less_than_a_search_and_every_row_is_allowed() -> None:
    schema, rng = loan_maths(), np.random.default_rng(4)
    model = from_layers(schema)
    data = own_labels(model, synthetic_rows(schema, 30, rng))  # type: ignore[arg-type]
    threat = FeasibleChange(budget=0.1, max_category_changes=1)
    white = evasion(model, data, threat=threat, rng=np.random.default_rng(0), max_queries=60)
    black = evasion(Hidden(model), data, threat=threat, rng=np.random.default_rng(0), max_queries=60)
    threat.check(data.X, white.adversarial, schema)
    assert white.method == "gradients, then black-box search"
    assert white.robust_accuracy.bound == "upper"
    assert white.evaded.sum() >= black.evaded.sum() > 5
    assert white.queries[white.evaded].mean() < black.queries[black.evaded].mean()
    assert not white.unreliable


def test_masked_gradients_are_said() -> None:
    schema = numbers_schema(3)
    inner = from_layers(schema)

    class Masked(Hidden):
        def scores_and_pullback(self, E: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
            return np.zeros((len(E), 2)), lambda weights: np.zeros_like(E)

    masked = Masked(inner)
    assert isinstance(masked, Differentiable)
    rng = np.random.default_rng(0)
    data = own_labels(inner, synthetic_rows(schema, 40, rng))  # type: ignore[arg-type]
    result = evasion(masked, data, threat=FeasibleChange(budget=0.3), rng=rng, max_queries=60)
    assert any("masked" in why for why in result.unreliable)


def test_a_model_that_is_no_network_has_no_gradients() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    rng, schema = np.random.default_rng(0), numbers_schema(3)
    data = own_labels(random_linear(schema, rng), synthetic_rows(schema, 60, rng))
    boosted = fit_estimator(GradientBoostingClassifier(n_estimators=3), data)
    assert differentiable(boosted, data.X) is None
    assert differentiable(Hidden(boosted), data.X) is None


def test_a_module_of_another_shape_or_without_numbers_is_refused() -> None:
    schema = numbers_schema(2, classes=3)
    X = np.ones((4, 2))
    with pytest.raises(UnsupportedError, match=r"expected scores of shape \(4, 3\) from the module, got \(4, 2\)"):
        TorchTable(schema, torch.nn.Linear(2, 2)).predict_proba(X)
    broken = torch.nn.Linear(2, 3)
    torch.nn.init.constant_(broken.bias, float("nan"))
    with pytest.raises(UnsupportedError, match="expected scores from the module, got probabilities"):
        TorchTable(schema, torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softmax(dim=1))).predict_proba(X)
    with pytest.raises(UnsupportedError, match="finite scores"):
        TorchTable(replace_classes(schema, 3), broken).predict_proba(X)


def replace_classes(schema: Schema, classes: int) -> Schema:
    return replace(schema, classes=tuple(map(str, range(classes))))
