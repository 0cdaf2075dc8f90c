"""scikit-learn's linear models, as users have them, are asked in private and give what they give in the clear."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model, svm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from tests.private_inference.private_pair import Pair, random_model

from holdfast.errors import InputError, UnsupportedError, UsageError
from holdfast.private_inference import compile_private, report_plan
from holdfast.private_inference.check import unit_of_error
from holdfast.private_inference.linear import read_linear_estimator

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5)) * [1, 10, 0.1, 3, 1] + [0, 50, 0, -2, 5]
MARGIN = ((X - X.mean(axis=0)) / X.std(axis=0)) @ [1.0, -1.0, 0.5, 0.0, 2.0]
TWO, THREE = (MARGIN > 0).astype(int), np.digitize(MARGIN, [-1.0, 1.0])
VALUE = MARGIN + 0.1 * RNG.normal(size=120)

CLASSIFIERS = [
    (linear_model.LogisticRegression(), TWO),
    (linear_model.LogisticRegression(), THREE),
    (linear_model.SGDClassifier(loss="log_loss", random_state=0), TWO),
    (linear_model.SGDClassifier(loss="log_loss", random_state=0), THREE),
    (LinearDiscriminantAnalysis(), TWO),
    (LinearDiscriminantAnalysis(), THREE),
]
DECIDERS = [
    (svm.LinearSVC(random_state=0), TWO),
    (svm.LinearSVC(random_state=0), THREE),
    (linear_model.RidgeClassifier(), TWO),
    (linear_model.Perceptron(random_state=0), THREE),
]
REGRESSORS = [
    (linear_model.LinearRegression(), VALUE),
    (linear_model.Ridge(), np.stack([VALUE, -VALUE], axis=1)),
    (linear_model.Lasso(alpha=0.01), VALUE),
    (svm.LinearSVR(random_state=0), VALUE),
    (linear_model.PoissonRegressor(), np.exp(MARGIN / 4)),
]


def fitted(estimator: Any, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(StandardScaler(), estimator).fit(X, y)


def named(case: tuple[Any, np.ndarray]) -> str:
    return f"{type(case[0]).__name__}-{len(np.unique(case[1]))}"


@pytest.mark.parametrize("case", CLASSIFIERS, ids=named)
def test_probabilities_of_classifiers(case: tuple[Any, np.ndarray]) -> None:
    model = fitted(*case)
    pair = Pair.of(compile_private(model, X=X))
    answer = pair.session.decrypt(pair.evaluator.answer(pair.session.encrypt(X[:3]), keys=pair.keys))
    assert answer.values == pytest.approx(model.predict_proba(X[:3]), abs=1e-5)
    assert pair.plan.public.classes == tuple(str(name) for name in model.classes_)
    measured = pair.plan.public.measured
    assert measured is not None
    assert measured.same_class == measured.rows == len(X)
    assert measured.worst_error < 1e-9
    assert measured.encrypted_error <= 2.0**-20


@pytest.mark.parametrize("case", DECIDERS, ids=named)
def test_margins_of_classifiers_without_probabilities(case: tuple[Any, np.ndarray]) -> None:
    model = fitted(*case)
    plan = compile_private(model, X=X)
    scores = Pair.of(plan).ask(X[:3])
    assert scores == pytest.approx(model.decision_function(X[:3]).reshape(3, -1), abs=2.0**-20)
    assert plan.public.link == "decision"


@pytest.mark.parametrize("case", REGRESSORS, ids=lambda case: type(case[0]).__name__)
def test_values_of_regressions(case: tuple[Any, np.ndarray]) -> None:
    model = fitted(*case)
    pair = Pair.of(compile_private(model, X=X))
    answer = pair.session.decrypt(pair.evaluator.answer(pair.session.encrypt(X[:3]), keys=pair.keys))
    assert answer.values == pytest.approx(model.predict(X[:3]).reshape(3, -1), rel=1e-5, abs=1e-5)
    assert pair.plan.public.classes == ()


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler((-2, 3)), MaxAbsScaler(), RobustScaler()], ids=repr)
def test_scalers_are_folded_into_the_weights(scaler: Any) -> None:
    model = make_pipeline(StandardScaler(with_std=False), scaler, linear_model.Ridge()).fit(X, VALUE)
    measured = compile_private(model, X=X).public.measured
    assert measured is not None
    assert measured.worst_error < 1e-9


def test_a_model_fitted_on_a_frame_keeps_the_names_of_its_columns() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = make_pipeline(StandardScaler(), linear_model.LogisticRegression()).fit(frame, TWO)
    plan = compile_private(model, X=frame.to_numpy(), classes=["benign", "malignant"])
    assert [feature["name"] for feature in plan.public.encoding.to_json()["features"]] == list("abcde")
    assert plan.public.classes == ("benign", "malignant")


UNKNOWN = [
    (OneVsRestClassifier(linear_model.LogisticRegression()).fit(X, THREE), "OneVsRestClassifier"),
    (make_pipeline(PolynomialFeatures(), linear_model.Ridge()).fit(X, VALUE), "PolynomialFeatures"),
    (make_pipeline(MinMaxScaler(clip=True), linear_model.Ridge()).fit(X, VALUE), r"MinMaxScaler\(clip=True\)"),
    (svm.SVC().fit(X, TWO), "SVC"),
    (object(), "builtins.object"),
]


@pytest.mark.parametrize(("model", "name"), UNKNOWN, ids=[name for _, name in UNKNOWN])
def test_what_cannot_be_compiled_is_refused_by_name_with_what_to_do(model: Any, name: str) -> None:
    with pytest.raises(UnsupportedError, match=name) as caught:
        compile_private(model, X=X)
    assert caught.value.hint


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file there"):
        compile_private(tmp_path / "absent.onnx", X=X)
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(InputError, match="expected an ONNX model"):
        compile_private(tmp_path / "junk.onnx", X=X)
    with pytest.raises(UnsupportedError, match=r"model\.pkl"):
        compile_private(tmp_path / "model.pkl", X=X)


def test_a_kept_linear_model_is_read_from_its_file(tmp_path: Path) -> None:
    model = random_model(3, 1)
    (tmp_path / "model.onnx").write_bytes(model.onnx)
    rows = np.random.default_rng(1).uniform(-1, 1, (10, 3))
    plan = compile_private(tmp_path / "model.onnx", X=rows)
    assert plan.clear_scores(rows) == pytest.approx(model.scores(rows))


@pytest.mark.parametrize("rows", [np.zeros((0, 5)), np.zeros(5), np.zeros((3, 0))], ids=str)
def test_rows_that_are_none_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(UsageError, match="expected at least one row X"):
        compile_private(random_model(5, 1), X=rows)


def test_an_estimator_without_rows_to_read_ranges_from_is_refused() -> None:
    with pytest.raises(UsageError, match="expected rows X to read the ranges"):
        compile_private(linear_model.Ridge().fit(X, VALUE))


def test_names_that_are_not_as_many_as_the_classes_are_refused() -> None:
    with pytest.raises(UsageError, match="expected names for 2 classes, got 3"):
        compile_private(fitted(linear_model.LogisticRegression(), TWO), X=X, classes=["a", "b", "c"])


def test_a_plan_that_is_not_exact_enough_is_refused() -> None:
    class Drifting(linear_model.Ridge):
        """Says one thing and has the weights of another."""

        def predict(self, X: Any) -> Any:
            return super().predict(X) + 0.5 * np.ptp(super().predict(X))

    Drifting.__module__ = "sklearn.linear_model._ridge"
    Drifting.__name__ = "Ridge"
    with pytest.raises(UnsupportedError, match=r"differ from the model's by up to .*, at most"):
        compile_private(Drifting().fit(X, VALUE), X=X)


@pytest.mark.parametrize("unit", [1e-6, 150.0, 1e3, 1e6, 1e9])
def test_a_regression_is_as_exact_for_its_spread_in_any_unit(unit: float) -> None:
    model = linear_model.Ridge().fit(X, unit * VALUE)
    plan = compile_private(model, X=X, max_error=1e-3)
    scores = Pair.of(plan).ask(X[:4])
    assert np.abs(scores[:, 0] - model.predict(X[:4])).max() <= 2e-5 * np.ptp(model.predict(X))


def test_the_unit_of_an_error_is_the_spread_of_a_regression_and_one_for_classes() -> None:
    regression = read_linear_estimator(linear_model.Ridge().fit(X, 7 * VALUE), X=X, classes=None)
    spread = np.ptp(regression.clear(X))
    assert unit_of_error(regression, X) == spread > 0
    assert unit_of_error(replace(regression, clear=lambda rows: np.full((len(rows), 1), -3.0)), X) == 3.0
    assert unit_of_error(replace(regression, clear=lambda rows: np.zeros((len(rows), 1))), X) == 1.0
    classes = read_linear_estimator(fitted(linear_model.LogisticRegression(), TWO), X=X, classes=None)
    assert unit_of_error(classes, X) == 1.0


def test_the_report_has_the_sizes_of_the_messages() -> None:
    plan = compile_private(fitted(linear_model.LogisticRegression(), TWO), X=X)
    report = report_plan(plan, X=X)
    pair, row = Pair.of(plan), report.layouts["row"]
    query = pair.session.encrypt(X[:1])
    assert row.query_bytes == len(query) < 600_000
    assert row.answer_bytes == len(pair.evaluator.answer(query, keys=pair.keys)) <= 65_536
    assert row.key_bytes == pair.session.keys("row").size_bytes
    assert min(row.server_ms, row.client_ms) > 0
    assert report.memory_bytes == pair.evaluator.memory_bytes > 0
    assert (report.security, report.leakage) == (plan.public.security, plan.public.leakage)
