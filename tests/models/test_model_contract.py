"""The contract of a model, held against every implementation: what attacks, hardening and serving rely on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from holdfast.data import Dataset, Feature, Schema, load, tumour_frame, tumour_schema
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import digest_bytes
from holdfast.models import LinearModel, Model, OnnxModel, StoredModel, accuracy, fit_estimator, load_model, predict

MIXED = Schema(
    features=(
        Feature(name="size", kind="real", low=-3, high=3, nullable=True),
        Feature(name="count", kind="integer", low=0, high=20),
        Feature(name="colour", kind="category", categories=("red", "green", "blue"), nullable=True),
    ),
    target="y",
    classes=("a", "b", "c"),
)


def mixed(rows: int = 240) -> Dataset:
    """Three classes, a category, missing values."""
    rng = np.random.default_rng(0)
    y = np.arange(rows) % 3
    size = rng.normal(y - 1.0, 0.8).clip(-3, 3)
    colour = np.where(rng.random(rows) < 0.7, y, rng.integers(0, 3, rows)).astype(float)
    X = np.column_stack([size, rng.integers(0, 21, rows), colour])
    X[::11, 0], X[::7, 2] = np.nan, np.nan
    return Dataset(MIXED, X, y)


TUMOUR = load(tumour_frame(), tumour_schema())
DATA = {"tumour": TUMOUR, "mixed": mixed()}
ESTIMATORS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(max_iter=2000),
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "extra-trees": lambda: ExtraTreesClassifier(20, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "mlp": lambda: MLPClassifier((16,), learning_rate_init=0.01, max_iter=400, tol=1e-3, random_state=0),
    "pipeline": lambda: make_pipeline(
        StandardScaler(), MLPClassifier((8,), learning_rate_init=0.01, max_iter=400, tol=1e-3, random_state=0)
    ),
}


@dataclass(frozen=True)
class Case:
    """A model with the rows that it was made for."""

    model: Any
    data: Dataset


@pytest.fixture(scope="module", params=[(e, d) for e in ESTIMATORS for d in DATA], ids="-".join)
def case(request: pytest.FixtureRequest) -> Case:
    estimator, name = request.param
    return Case(fit_estimator(ESTIMATORS[estimator](), DATA[name]), DATA[name])


class TestContract:
    def test_it_is_a_model_that_can_be_kept(self, case: Case) -> None:
        assert isinstance(case.model, Model)
        assert isinstance(case.model, StoredModel)
        assert case.model.schema == case.data.schema

    def test_rows_are_probabilities(self, case: Case) -> None:
        P = case.model.predict_proba(case.data.X)
        assert P.shape == (len(case.data), len(case.data.schema.classes))
        assert P.dtype == np.float64
        assert (P >= 0).all()
        assert np.abs(P.sum(axis=1) - 1).max() < 1e-12

    def test_it_is_deterministic(self, case: Case) -> None:
        first, second = (case.model.predict_proba(case.data.X) for _ in range(2))
        assert (first == second).all()

    def test_it_does_not_change_its_input(self, case: Case) -> None:
        X = case.data.X.copy()
        before = X.tobytes()
        case.model.predict_proba(X)
        assert X.tobytes() == before

    def test_a_row_is_not_touched_by_its_neighbours(self, case: Case) -> None:
        X = case.data.X.copy()
        whole = case.model.predict_proba(X)
        X[1:] = X[1]
        assert (case.model.predict_proba(X)[0] == whole[0]).all(), "the same batch size: not one bit"
        alone = np.vstack([case.model.predict_proba(row[None]) for row in case.data.X[:50]])
        assert np.abs(alone - whole[:50]).max() < 1e-6, "another batch size: rounding of float32 at most"

    def test_the_order_of_rows_is_kept(self, case: Case) -> None:
        order = np.random.default_rng(0).permutation(len(case.data))
        shuffled = case.model.predict_proba(case.data.X[order])
        assert np.abs(shuffled - case.model.predict_proba(case.data.X)[order]).max() < 1e-6

    def test_memory_layout_does_not_matter(self, case: Case) -> None:
        P = case.model.predict_proba(case.data.X)
        assert np.abs(case.model.predict_proba(np.asfortranarray(case.data.X)) - P).max() < 1e-12
        assert np.abs(case.model.predict_proba(case.data.X[::-1])[::-1] - P).max() < 1e-6

    def test_no_rows_give_no_rows(self, case: Case) -> None:
        assert case.model.predict_proba(case.data.X[:0]).shape == (0, len(case.data.schema.classes))

    def test_a_kept_model_is_the_same_model(self, case: Case) -> None:
        again = load_model(case.model.onnx)
        assert type(again) is type(case.model)
        assert again.digest == case.model.digest == digest_bytes(case.model.onnx)
        assert again.onnx == case.model.onnx
        assert again.schema == case.model.schema
        assert (again.predict_proba(case.data.X) == case.model.predict_proba(case.data.X)).all()

    def test_the_onnx_file_alone_gives_the_same_answers(self, case: Case) -> None:
        P = OnnxModel(case.model.onnx).predict_proba(case.data.X)
        assert np.abs(P - case.model.predict_proba(case.data.X)).max() < 1e-12

    def test_it_learned_something(self, case: Case) -> None:
        assert accuracy(case.model, case.data) > 0.75
        assert accuracy(case.model, case.data) == np.mean(predict(case.model, case.data.X) == case.data.y)


@pytest.mark.parametrize("name", DATA)
def test_a_linear_model_agrees_with_scikit_learn_where_both_see_the_same_rows(name: str) -> None:
    from holdfast.models import Encoding

    data = DATA[name]
    rows = Encoding(data.schema).encode(data.X).astype(np.float32)
    reference = LogisticRegression(max_iter=2000).fit(rows, data.y).predict_proba(rows)
    model = fit_estimator(LogisticRegression(max_iter=2000), data)
    assert isinstance(model, LinearModel)
    assert np.abs(model.predict_proba(data.X) - reference).max() < 1e-5


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([2, 3, 5]), st.integers(0, 2**32 - 1))
def test_any_linear_model_is_kept_exactly(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    schema = Schema(features=MIXED.features, target="y", classes=tuple(map(str, range(classes))))
    heads = 1 if classes == 2 else classes
    scale = 10.0 ** rng.integers(-6, 4)
    width = 7
    model = LinearModel(schema, scale * rng.normal(size=(heads, width)), scale * rng.normal(size=heads))
    again = load_model(model.onnx)
    assert isinstance(again, LinearModel)
    assert (again.coef == model.coef).all()
    assert (again.intercept == model.intercept).all()
    X = mixed(60).X
    P = OnnxModel(model.onnx).predict_proba(X)
    assert np.abs(P - model.predict_proba(X)).max() < 1e-9


def test_weights_that_do_not_fit_or_are_not_finite_are_refused() -> None:
    good = np.zeros((3, 7))
    for coef, intercept in [(np.zeros((1, 7)), np.zeros(1)), (np.zeros((3, 6)), np.zeros(3)), (good, np.zeros((3, 1)))]:
        with pytest.raises(UsageError, match=r"needs weights of shape \(3, 7\) and \(3,\)"):
            LinearModel(MIXED, coef, intercept)
    for bad in (np.nan, np.inf):
        with pytest.raises(UsageError, match="finite weights"):
            LinearModel(MIXED, good + bad, np.zeros(3))


def test_the_weights_of_a_linear_model_cannot_be_changed() -> None:
    coef = np.zeros((3, 7))
    model = LinearModel(MIXED, coef, np.zeros(3))
    coef[0, 0] = 5
    assert model.coef[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        model.coef[0, 0] = 5


class TestFitting:
    def test_the_estimator_that_was_given_stays_unfitted(self) -> None:
        estimator = RandomForestClassifier(5, random_state=0)
        fit_estimator(estimator, TUMOUR)
        assert not hasattr(estimator, "estimators_")

    def test_the_same_seed_gives_the_same_digest(self) -> None:
        digests = {fit_estimator(RandomForestClassifier(5, random_state=s), TUMOUR).digest for s in (0, 0, 1)}
        assert len(digests) == 2

    def test_estimators_without_probabilities_or_an_onnx_form_are_refused(self) -> None:
        with pytest.raises(UnsupportedError, match="LinearSVC has no predict_proba"):
            fit_estimator(LinearSVC(), TUMOUR)
        with pytest.raises(UnsupportedError, match="SVC has no predict_proba"):
            fit_estimator(SVC(), TUMOUR)

        class Homemade(LogisticRegression):
            pass

        with pytest.raises(UnsupportedError, match="Homemade cannot be written as ONNX") as caught:
            fit_estimator(Homemade(max_iter=2000), TUMOUR)
        assert "skl2onnx" in caught.value.hint

    def test_an_onnx_form_that_disagrees_with_the_estimator_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Forced by asking for more agreement than there can be."""
        monkeypatch.setattr("holdfast.models.sklearn_model._MAX_GAP", -1.0)
        with pytest.raises(UnsupportedError, match=r"differs from it by .* at most -1 is accepted"):
            fit_estimator(RandomForestClassifier(3, random_state=0), TUMOUR)

    def test_a_class_without_rows_is_refused(self) -> None:
        with pytest.raises(DataError, match="class 'malignant' has no row"):
            fit_estimator(LogisticRegression(), TUMOUR.take(TUMOUR.y == 0))
