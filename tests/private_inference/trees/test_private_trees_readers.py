"""Each reader takes every row to the leaf to which the library takes it: its scores are the library's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble as forests
from sklearn import tree as trees
from tests.private_inference.trees.tree_models import (
    DIABETES,
    IRIS,
    IRIS_CLASSES,
    IRIS_GAPS,
    PROGRESS,
    TUMOUR,
    TUMOUR_CLASSES,
    TUMOUR_GAPS,
    Floats,
    categorical,
    fitted,
    quiet,
)

from holdfast.errors import DataError, UnsupportedError
from holdfast.models.links import prediction
from holdfast.private_inference.trees import agreement, read
from holdfast.private_inference.trees.reading import _reader

xgb = pytest.importorskip("xgboost")
lgb = pytest.importorskip("lightgbm")
glassbox = pytest.importorskip("interpret.glassbox")

XGB = {"n_estimators": 8, "max_depth": 4, "n_jobs": 1}
LGB = {"n_estimators": 8, "num_leaves": 8, "verbose": -1, "n_jobs": 1}
EBM = {"outer_bags": 1, "max_rounds": 20, "interactions": 0, "n_jobs": 1, "random_state": 0}
FEW = {"n_estimators": 5, "max_depth": 5, "random_state": 0}
ZEROS = np.where(np.random.default_rng(0).random(IRIS.shape) < 0.3, 0.0, IRIS - IRIS.mean(axis=0))
COUNTS = np.rint(PROGRESS / 10)
TWO = np.column_stack([PROGRESS, PROGRESS**2 / 100])


class Case(NamedTuple):
    """An estimator, its rows and targets, how its own scores are asked, and how far ours may be off."""

    estimator: Any
    X: Any
    y: Any
    own: Callable[[Any, Any], Any]
    tolerance: float = 1e-12


def margin(m: Any, X: Any) -> Any:
    return m.predict(X, output_margin=True)


def raw(m: Any, X: Any) -> Any:
    return m.predict(X, raw_score=True)


def value(m: Any, X: Any) -> Any:
    return m.predict(X)


def log_value(m: Any, X: Any) -> Any:
    return np.log(m.predict(X))


def shares(m: Any, X: Any) -> Any:
    return m.predict_proba(X)


def log_odds(m: Any, X: Any) -> Any:
    return m.decision_function(X)


# XGBoost adds leaves in float32: 1e-5 is 2^-17 of a score of one, 1e-3 as much of the progress of diabetes, about 150.
CASES = {
    "xgboost binary": Case(xgb.XGBClassifier(**XGB), TUMOUR, TUMOUR_CLASSES, margin, 1e-5),
    "xgboost exact": Case(xgb.XGBClassifier(**XGB, tree_method="exact"), TUMOUR, TUMOUR_CLASSES, margin, 1e-5),
    "xgboost missing": Case(xgb.XGBClassifier(**XGB), TUMOUR_GAPS, TUMOUR_CLASSES, margin, 1e-5),
    "xgboost multiclass": Case(xgb.XGBClassifier(**XGB), IRIS_GAPS, IRIS_CLASSES, margin, 1e-5),
    "xgboost regression": Case(xgb.XGBRegressor(**XGB), DIABETES, PROGRESS, margin, 1e-3),
    "xgboost two targets": Case(xgb.XGBRegressor(**XGB), DIABETES, TWO, margin, 1e-3),
    "xgboost poisson": Case(xgb.XGBRegressor(**XGB, objective="count:poisson"), DIABETES, COUNTS, margin, 1e-5),
    "xgboost forest": Case(xgb.XGBRFClassifier(**XGB), TUMOUR, TUMOUR_CLASSES, margin, 1e-5),
    "xgboost stumps": Case(xgb.XGBClassifier(n_estimators=30, max_depth=1, n_jobs=1), TUMOUR_GAPS, TUMOUR_CLASSES,
                           margin, 1e-5),
    "lightgbm binary": Case(lgb.LGBMClassifier(**LGB), TUMOUR, TUMOUR_CLASSES, raw),
    "lightgbm missing": Case(lgb.LGBMClassifier(**LGB), TUMOUR_GAPS, TUMOUR_CLASSES, raw),
    "lightgbm multiclass": Case(lgb.LGBMClassifier(**LGB), IRIS_GAPS, IRIS_CLASSES, raw),
    "lightgbm one against rest": Case(lgb.LGBMClassifier(**LGB, objective="multiclassova"), IRIS, IRIS_CLASSES, raw),
    "lightgbm regression": Case(lgb.LGBMRegressor(**LGB), DIABETES, PROGRESS, raw),
    "lightgbm poisson": Case(lgb.LGBMRegressor(**LGB, objective="poisson"), DIABETES, COUNTS, raw),
    "lightgbm dart": Case(lgb.LGBMClassifier(**LGB, boosting_type="dart"), TUMOUR, TUMOUR_CLASSES, raw),
    "lightgbm zeros missing": Case(lgb.LGBMClassifier(**LGB, zero_as_missing=True, min_child_samples=3), ZEROS,
                                   IRIS_CLASSES, raw),
    "lightgbm sigmoid": Case(lgb.LGBMClassifier(**LGB, sigmoid=1.7), TUMOUR, TUMOUR_CLASSES,
                             lambda m, X: 1.7 * raw(m, X)),
    "lightgbm forest": Case(lgb.LGBMClassifier(**LGB, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7), TUMOUR,
                            TUMOUR_CLASSES, lambda m, X: raw(m, X) / 8),
    "tree": Case(trees.DecisionTreeClassifier(max_depth=6), IRIS_GAPS, IRIS_CLASSES, shares),
    "tree regression": Case(trees.DecisionTreeRegressor(max_depth=5), DIABETES, PROGRESS, value, 1e-9),
    "extra tree": Case(trees.ExtraTreeClassifier(max_depth=6, random_state=0), TUMOUR, TUMOUR_CLASSES, shares),
    "forest": Case(forests.RandomForestClassifier(**FEW), TUMOUR_GAPS, TUMOUR_CLASSES, shares),
    "forest multiclass": Case(forests.RandomForestClassifier(**FEW), IRIS, IRIS_CLASSES, shares),
    "forest regression": Case(forests.RandomForestRegressor(**FEW), DIABETES, PROGRESS, value, 1e-9),
    "forest two targets": Case(forests.RandomForestRegressor(**FEW), DIABETES, TWO, value, 1e-9),
    "extra trees": Case(forests.ExtraTreesClassifier(**FEW), TUMOUR, TUMOUR_CLASSES, shares),
    "boosting": Case(forests.GradientBoostingClassifier(n_estimators=8), TUMOUR, TUMOUR_CLASSES, log_odds),
    "boosting multiclass": Case(forests.GradientBoostingClassifier(n_estimators=5), IRIS, IRIS_CLASSES, log_odds),
    "boosting from zero": Case(forests.GradientBoostingClassifier(n_estimators=5, init="zero"), IRIS, IRIS_CLASSES,
                               log_odds),
    "boosting exponential": Case(forests.GradientBoostingClassifier(n_estimators=8, loss="exponential"), TUMOUR,
                                 TUMOUR_CLASSES, lambda m, X: 2 * log_odds(m, X)),
    "boosting regression": Case(forests.GradientBoostingRegressor(n_estimators=8), DIABETES, PROGRESS, value, 1e-9),
    "histograms": Case(forests.HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=15), TUMOUR_GAPS,
                       TUMOUR_CLASSES, log_odds),
    "histograms multiclass": Case(forests.HistGradientBoostingClassifier(max_iter=5), IRIS_GAPS, IRIS_CLASSES,
                                  log_odds),
    "histograms regression": Case(forests.HistGradientBoostingRegressor(max_iter=5), DIABETES, PROGRESS, value, 1e-9),
    "histograms poisson": Case(forests.HistGradientBoostingRegressor(max_iter=5, loss="poisson"), DIABETES, COUNTS,
                               log_value),
    "ebm": Case(glassbox.ExplainableBoostingClassifier(**EBM), IRIS_GAPS[:100], IRIS_CLASSES[:100], log_odds),
    "ebm multiclass": Case(glassbox.ExplainableBoostingClassifier(**EBM), IRIS_GAPS, IRIS_CLASSES, log_odds),
    "ebm pairs": Case(
        glassbox.ExplainableBoostingRegressor(**EBM | {"interactions": 3, "max_bins": 64, "max_interaction_bins": 8}),
        DIABETES, PROGRESS, value, 1e-9),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_model_is_read_to_its_own_scores_and_computed_within_the_rounding_of_its_leaves(name: str) -> None:
    case = CASES[name]
    model = fitted(case.estimator, case.X, case.y)
    found = _reader(model)(model)
    with quiet():
        own = np.asarray(case.own(model, case.X)).reshape(len(case.X), -1)
    np.testing.assert_allclose(found.scores(case.X), own, rtol=0, atol=case.tolerance)
    reading = read(model, X=case.X)
    np.testing.assert_allclose(reading.clear(case.X), own, rtol=0, atol=case.tolerance)
    result = agreement(reading.program, reading.encoding, found, case.X)
    exact = 1e-9 * np.abs(own).max()
    bound = (len(found.trees) + 1) / 2 / reading.program.scale if reading.kind == "trees" else 0.0
    assert result.worst_error <= bound + exact
    assert result.same_class >= 0.99
    assert result.rows == len(case.X)


@pytest.mark.parametrize(
    "name",
    ["xgboost multiclass", "lightgbm binary", "lightgbm one against rest", "forest", "boosting exponential", "ebm"],
)
def test_the_link_makes_the_librarys_probabilities_of_the_scores(name: str) -> None:
    case = CASES[name]
    model = fitted(case.estimator, case.X, case.y)
    reading = read(model, X=case.X)
    with quiet():
        own = model.predict_proba(case.X)
    if name == "lightgbm one against rest":  # LightGBM leaves these as they are
        own = own / own.sum(axis=1, keepdims=True)
    ours = prediction(reading.clear(case.X), reading.link, classes=len(reading.classes))
    np.testing.assert_allclose(ours, own, rtol=0, atol=1e-6)
    assert reading.classes == tuple(str(label) for label in model.classes_)


def frame(X: Floats) -> pd.DataFrame:
    codes = np.where(np.isnan(X[:, 1]), -1, np.nan_to_num(X[:, 1])).astype(int)
    kinds = pd.Categorical.from_codes(codes, categories=[f"kind {i:02d}" for i in range(12)])
    return pd.DataFrame({"first": X[:, 0], "kind": kinds, "second": X[:, 2]})


def with_strange_codes(X: Floats) -> Floats:
    strange = X.copy()
    strange[::5, 1], strange[1::5, 1] = 40, -3
    return strange


LGB_CATEGORIES = LGB | {"n_estimators": 15, "min_child_samples": 3, "cat_smooth": 1, "min_data_per_group": 2}
CATEGORICAL = {
    "xgboost sets": (xgb.XGBClassifier(**XGB, enable_categorical=True, max_cat_to_onehot=2), {}, margin),
    "xgboost single": (xgb.XGBClassifier(**XGB, enable_categorical=True, max_cat_to_onehot=99), {}, margin),
    "lightgbm": (lgb.LGBMClassifier(**LGB_CATEGORIES), {}, raw),
    "histograms": (forests.HistGradientBoostingClassifier(max_iter=6), {}, log_odds),
    "ebm": (glassbox.ExplainableBoostingClassifier(**EBM), {}, log_odds),
    "ebm pairs": (
        glassbox.ExplainableBoostingClassifier(**EBM | {"interactions": 2, "max_interaction_bins": 8}), {}, log_odds
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CATEGORICAL)
def test_categories_of_a_data_frame_are_its_codes(name: str) -> None:
    estimator, options, own = CATEGORICAL[name]
    X, y = categorical()
    model = fitted(estimator, frame(X), y, **options)
    found = _reader(model)(model)
    with quiet():
        scores = np.asarray(own(model, frame(X))).reshape(len(X), -1)
    np.testing.assert_allclose(found.scores(X), scores, rtol=0, atol=1e-5)
    reading = read(model, X=X)
    assert agreement(reading.program, reading.encoding, found, X).worst_error < 1e-4


NUMBERED = {
    "xgboost": (xgb.XGBClassifier(**XGB, enable_categorical=True, feature_types=["q", "c", "q"]), {}, margin),
    "lightgbm": (lgb.LGBMClassifier(**LGB_CATEGORIES), {"categorical_feature": [1]}, raw),
    "histograms": (forests.HistGradientBoostingClassifier(max_iter=6, categorical_features=[1]), {}, log_odds),
    "ebm": (
        glassbox.ExplainableBoostingClassifier(**EBM, feature_types=["continuous", "nominal", "continuous"]),
        {},
        log_odds,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERED)
def test_a_category_that_training_never_saw_goes_where_the_library_sends_it(name: str) -> None:
    estimator, options, own = NUMBERED[name]
    X, y = categorical()
    model = fitted(estimator, X, y, **options)
    strange = with_strange_codes(X)
    with quiet():
        scores = np.asarray(own(model, strange)).reshape(len(X), -1)
    reading, found = read(model, X=X), _reader(model)(model)
    np.testing.assert_allclose(found.scores(strange), scores, rtol=0, atol=1e-5)
    assert agreement(reading.program, reading.encoding, found, strange).worst_error < 1e-4


def test_a_category_is_refused_where_the_model_refuses_it() -> None:
    X, y = categorical()
    model = fitted(xgb.XGBClassifier(**XGB, enable_categorical=True), frame(X), y)
    with pytest.raises(DataError, match="category of feature 1 that the model knows, got 40 in row 0"):
        read(model, X=X).encoding.encode(with_strange_codes(X))


def test_codes_apart_from_one_another_are_kept() -> None:
    X, y = categorical()
    X[:, 1] = 3 * X[:, 1] + 2
    model = fitted(forests.HistGradientBoostingClassifier(max_iter=6, categorical_features=[1]), X, y)
    np.testing.assert_allclose(_reader(model)(model).scores(X)[:, 0], model.decision_function(X), atol=1e-12)


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("name", ["xgboost missing", "xgboost multiclass", "xgboost two targets"])
def test_a_file_of_xgboost_is_read_to_the_same_scores(tmp_path: Path, name: str, suffix: str) -> None:
    case = CASES[name]
    model = fitted(case.estimator, case.X, case.y)
    model.save_model(tmp_path / f"model.{suffix}")
    reading = read(str(tmp_path / f"model.{suffix}"), X=case.X)
    booster = read(model.get_booster(), X=case.X)
    np.testing.assert_allclose(reading.clear(case.X), booster.clear(case.X), atol=case.tolerance)
    assert reading.link == booster.link


@pytest.mark.parametrize("name", ["lightgbm missing", "lightgbm multiclass", "lightgbm sigmoid", "lightgbm forest"])
def test_a_file_of_lightgbm_is_read_to_the_same_scores(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    model = fitted(case.estimator, case.X, case.y)
    model.booster_.save_model(tmp_path / "model.txt")
    reading = read(tmp_path / "model.txt", X=case.X)
    np.testing.assert_allclose(reading.clear(case.X), read(model.booster_, X=case.X).clear(case.X), atol=1e-12)


def test_trees_after_the_best_round_of_early_stopping_are_left_out(tmp_path: Path) -> None:
    model = xgb.XGBClassifier(n_estimators=60, max_depth=3, learning_rate=1.0, n_jobs=1, early_stopping_rounds=5)
    half = slice(0, None, 2)
    fitted(model, TUMOUR[half], TUMOUR_CLASSES[half], eval_set=[(TUMOUR, TUMOUR_CLASSES[::-1])], verbose=False)
    model.save_model(tmp_path / "model.json")
    found = read(tmp_path / "model.json", X=TUMOUR)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    np.testing.assert_allclose(found.clear(TUMOUR)[:, 0], margin(model, TUMOUR), atol=1e-5)
    np.testing.assert_allclose(read(model, X=TUMOUR).clear(TUMOUR)[:, 0], margin(model, TUMOUR), atol=1e-5)


REFUSED = {
    "dart": (xgb.XGBClassifier(n_estimators=3, booster="dart"), TUMOUR_CLASSES, "dart"),
    "gblinear": (xgb.XGBClassifier(n_estimators=3, booster="gblinear"), TUMOUR_CLASSES, "gblinear"),
    "objective": (xgb.XGBClassifier(n_estimators=3, objective="binary:hinge"), TUMOUR_CLASSES, "binary:hinge"),
    "vector leaves": (
        xgb.XGBRegressor(n_estimators=3, multi_strategy="multi_output_tree", tree_method="hist"),
        np.column_stack([TUMOUR_CLASSES, TUMOUR[:, 0]]),
        "several outputs in a leaf",
    ),
    "missing": (xgb.XGBClassifier(n_estimators=3, missing=0.0), TUMOUR_CLASSES, "0.0 for a missing value"),
    "linear trees": (lgb.LGBMRegressor(**LGB, linear_tree=True), TUMOUR[:, 0] * 1.5, "linear_tree"),
    "root": (lgb.LGBMRegressor(**LGB, reg_sqrt=True), TUMOUR[:, 0], "sqrt"),
    "own start": (
        forests.GradientBoostingClassifier(n_estimators=3, init=trees.DecisionTreeClassifier(max_depth=1)),
        TUMOUR_CLASSES,
        "starts from DecisionTreeClassifier",
    ),
    "several targets": (
        trees.DecisionTreeClassifier(max_depth=2),
        np.column_stack([TUMOUR_CLASSES, TUMOUR[:, 0] > 14]),
        "with 2 targets",
    ),
    "embedding": (forests.RandomTreesEmbedding(n_estimators=3), None, "RandomTreesEmbedding"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_compiled_is_refused_by_name(name: str) -> None:
    estimator, y, words = REFUSED[name]
    model = fitted(estimator, TUMOUR, y)
    with pytest.raises(UnsupportedError, match=words) as error:
        read(model, X=TUMOUR)
    assert error.value.hint


def test_a_value_is_refused_where_the_model_knows_no_missing_one() -> None:
    model = fitted(lgb.LGBMClassifier(**LGB), TUMOUR, TUMOUR_CLASSES)
    with pytest.raises(DataError, match="got a missing one in row"):
        read(model, X=TUMOUR).encoding.encode(TUMOUR_GAPS)
