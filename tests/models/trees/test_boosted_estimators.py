"""XGBoost and LightGBM behind a schema: the ONNX file says what the library says, and is attacked and kept like any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from tests.attacks.attack_cases import loan_schema

from holdfast.attacks import FeasibleChange, evasion
from holdfast.custody import ModelCard, RecipientKey, SigningKey, open_sealed, seal, write_bundle
from holdfast.data import Dataset, Matrix
from holdfast.errors import UnsupportedError
from holdfast.models import Encoding, OnnxModel, fit_estimator, load_model
from holdfast.models.trees import Ensemble, Rule, Tree, model_of_trees, read_trees
from holdfast.models.trees.cuts import largest_float32_below, up_to

xgboost = pytest.importorskip("xgboost", reason="boosted trees need XGBoost")
lightgbm = pytest.importorskip("lightgbm", reason="boosted trees need LightGBM")

ROUNDING = 1e-6  # five leaves of about 0.1, rounded and summed in float32
ESTIMATORS: dict[str, Any] = {
    "xgboost": xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=5, num_leaves=7, n_jobs=1, verbose=-1),
}


def loans(classes: int) -> Dataset:
    """Whole numbers, categories and missing values of both, without relations."""
    schema = replace(loan_schema(classes), relations=())
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [
            rng.integers(0, len(f.categories), 240) if f.kind == "category" else rng.uniform(f.low, f.high, 240)
            for f in schema.features
        ]
    ).astype(float)
    X[:, 2:5] = X[:, 2:5].round()
    score = X[:, 0] - X[:, 1] + 8 * X[:, 3] + 20 * (X[:, 7] == 1) + rng.normal(0, 5, 240) + X[:, 5]
    X[::7, 5], X[::9, 7] = np.nan, np.nan
    return Dataset(schema, X, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)))


@dataclass(frozen=True)
class Case:
    """An estimator fitted by its own library, and by `fit_estimator`."""

    fitted: Any
    model: OnnxModel
    data: Dataset
    trees: Ensemble
    near: Matrix

    def gap(self, X: Matrix) -> float:
        rows = Encoding(self.data.schema).encode(X).astype(np.float32)
        return float(np.abs(self.model.predict_proba(X) - self.fitted.predict_proba(rows)).max())


@pytest.fixture(scope="module", params=[(e, c) for e in ESTIMATORS for c in (2, 3)], ids=lambda p: f"{p[0]}-{p[1]}")
def case(request: pytest.FixtureRequest) -> Case:
    name, classes = request.param
    data = loans(classes)
    model = fit_estimator(ESTIMATORS[name], data)
    assert isinstance(model, OnnxModel)
    fitted = clone(ESTIMATORS[name]).fit(Encoding(data.schema).encode(data.X).astype(np.float32), data.y)
    trees = read_trees(model)
    return Case(fitted, model, data, trees, at_thresholds(trees, data.X))


def at_thresholds(trees: Ensemble, X: Matrix) -> Matrix:
    """Rows with one number at each threshold of the trees, and at its neighbours in float64 and in float32."""
    found = {(rule.feature, edge) for tree in trees.trees for rule in tree.rules for edge in rule.edges}
    places = sorted((feature, edge) for feature, edge in found if np.isfinite(edge))
    features, edges = np.array([f for f, _ in places]), np.array([edge for _, edge in places])
    single = edges.astype(np.float32)
    near = [edges, *(np.nextafter(edges, way) for way in (-np.inf, np.inf))]
    near += [single, *(np.nextafter(single, np.float32(way)) for way in (-np.inf, np.inf))]
    rows = np.repeat(X[np.arange(len(edges)) % len(X)], len(near), axis=0)
    rows[np.arange(len(rows)), np.repeat(features, len(near))] = np.column_stack(near).ravel()
    return rows


def test_probabilities_are_the_librarys_also_at_thresholds_and_with_missing_values(case: Case) -> None:
    assert np.isnan(case.data.X).any()
    assert case.gap(case.data.X) < ROUNDING
    assert len(case.near) > 60
    assert case.gap(case.near) < ROUNDING
    assert (case.model.predict_proba(case.data.X).argmax(axis=1) == case.data.y).mean() > 0.7


def test_every_row_reaches_the_leaves_that_it_reaches_in_the_library(case: Case) -> None:
    """Exactly: the trees read from the file and from the library differ by the rounding of leaves alone."""
    theirs = read_trees(case.fitted)
    encoded = Encoding(case.data.schema).encode(case.near).astype(np.float32).astype(np.float64)
    base, *grown = case.trees.trees
    np.testing.assert_array_equal(base.leaves, theirs.base[None].astype(np.float32))
    assert len(grown) == len(theirs.trees)
    for mine, other in zip(grown, theirs.trees, strict=True):
        values = other.leaves[other.reached(encoded)]
        np.testing.assert_array_equal(mine.leaves[mine.reached(case.near)], values.astype(np.float32))


def test_evasion_is_exact_and_sealing_keeps_the_digest(case: Case, tmp_path: Path) -> None:
    threat = FeasibleChange(budget=0.05)
    found = evasion(case.model, case.data.take(np.arange(5)), threat=threat, rng=np.random.default_rng(0))
    assert found.exact
    assert 0 < found.robust.sum() < 5
    card = ModelCard(
        name="loans",
        version="1",
        created="2025-01-31T12:00:00Z",
        model_kind="boosted trees",
        intended_use="tests",
        not_for="loans",
        licence="",
        data_digest="",
        schema=case.data.schema.to_json(),
        training={},
    )
    signing, recipient = SigningKey.generate(), RecipientKey.generate()
    bundle = write_bundle(tmp_path / "kept", card=card, files={"model.onnx": case.model.onnx}, signing_key=signing)
    seal(bundle, tmp_path / "sealed", recipient=recipient.public)
    opened = open_sealed(tmp_path / "sealed", key=recipient, signer=signing.public)
    again = load_model(opened.files["model.onnx"])
    assert again.digest == case.model.digest
    np.testing.assert_array_equal(again.predict_proba(case.data.X), case.model.predict_proba(case.data.X))


@pytest.mark.parametrize(
    ("estimator", "classes", "said", "hint"),
    [
        (xgboost.XGBClassifier(n_estimators=2, n_jobs=1, booster="gblinear"), 2, "gblinear", "gbtree"),
        (xgboost.XGBClassifier(n_estimators=2, n_jobs=1, missing=0.0), 2, "0.0 for a missing value", "np.nan"),
        (
            xgboost.XGBClassifier(n_estimators=2, n_jobs=1, objective="binary:hinge"),
            2,
            "binary:hinge",
            "binary:logistic",
        ),
        (
            lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1, zero_as_missing=True),
            2,
            "one threshold",
            "zero_as_missing",
        ),
        (
            lightgbm.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1, objective="multiclassova", num_class=3),
            3,
            "no probabilities of 3 classes",
            "own objective",
        ),
    ],
    ids=["gblinear", "missing", "hinge", "zero-as-missing", "one-against-rest"],
)
def test_what_cannot_be_written_is_refused_with_a_way_round(estimator: Any, classes: int, said: str, hint: str) -> None:
    with pytest.raises(UnsupportedError, match=said) as caught:
        fit_estimator(estimator, loans(classes))
    assert hint in caught.value.hint


def test_trees_that_split_a_category_themselves_are_refused() -> None:
    tree = Tree(
        rules=(Rule(feature=0, categories=frozenset({1})),),
        children=np.array([[~0, ~1]]),
        leaves=np.array([[0.0], [1.0]]),
    )
    ensemble = Ensemble(
        columns=(), trees=(), base=np.zeros(1), link="logistic", classes=("0", "1"), kind="x", cut=up_to
    )
    schema = loan_schema()
    columns = read_trees(model_of_trees(schema, ensemble, kind="x")).columns
    with pytest.raises(UnsupportedError, match="column 0 is not at one threshold") as caught:
        model_of_trees(schema, replace(ensemble, columns=columns, trees=(tree,)), kind="x")
    assert "categorical_feature" in caught.value.hint


def test_an_ensemble_without_trees_says_its_base() -> None:
    base = np.array([np.log(3)])
    ensemble = Ensemble(columns=(), trees=(), base=base, link="logistic", classes=("0", "1"), kind="x", cut=up_to)
    data = loans(2)
    P = model_of_trees(data.schema, ensemble, kind="x").predict_proba(data.X)
    np.testing.assert_allclose(P, np.tile([0.25, 0.75], (len(P), 1)), atol=1e-7)  # one rounding to float32


@given(cut=st.floats(allow_nan=False), x=st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float32_number_is_below_a_cut_just_where_it_is_up_to_the_threshold(cut: float, x: float) -> None:
    for value in (
        np.float32(x),
        *(np.nextafter(np.float32(min(max(cut, -1e38), 1e38)), np.float32(d)) for d in (-9, 9)),
    ):
        assert (float(value) < cut) == (value <= largest_float32_below(cut))


def test_what_lightgbm_takes_for_zero_is_on_the_side_of_zero() -> None:
    """LightGBM puts thresholds at the ends of what it takes for zero, and reads a row without its zeros."""
    x = np.tile([-1.0, 0.0, 1.0], 40)[:, None]
    model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(x, np.tile([0, 1, 0], 40))
    end = np.float64(np.float32(1e-35))
    near = [edge for way in (-np.inf, 0.0, np.inf) for edge in (np.nextafter(end, way), np.nextafter(-end, way))]
    rows = np.array([end, -end, 0.0, -1.0, 1.0, *near])[:, None]
    own, theirs = read_trees(model).scores(rows)[:, 0], model.booster_.predict(rows, raw_score=True)
    assert len(np.unique(theirs)) > 1
    np.testing.assert_allclose(own, theirs, atol=1e-12)  # a sum in float64
