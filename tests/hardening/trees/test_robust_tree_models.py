"""Robust trees of a schema are models like any other: kept as ONNX, attacked, and hardened with."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from tests.attacks.attack_cases import loan_schema, numbers_schema

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.data import Dataset
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.hardening import harden
from holdfast.hardening.trees import RobustBoostingClassifier, RobustForestClassifier, fit_robust_trees, tree_radius
from holdfast.models import Encoding, fit_estimator, load_model

THREAT = FeasibleChange(budget=0.05)
ESTIMATORS = [
    RobustBoostingClassifier(n_estimators=8, max_depth=4, max_bins=32),
    RobustForestClassifier(n_estimators=8, max_depth=4, max_bins=32),
]


@pytest.fixture(scope="module")
def halves(tumour: Dataset) -> tuple[Dataset, Dataset]:
    return tumour.split(test_fraction=0.4, seed=0)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_the_model_says_what_the_estimator_says_and_is_loaded_back(
    estimator: RobustBoostingClassifier | RobustForestClassifier, halves: tuple[Dataset, Dataset]
) -> None:
    train, test = halves
    encoding, radius = Encoding(train.schema), tree_radius(THREAT, train.schema)
    model = fit_robust_trees(estimator, train, evasion_radius=radius, seed=3)
    again = fit_robust_trees(estimator, train, evasion_radius=radius, seed=3)
    options = {"radius": radius} | ({"random_state": 3} if isinstance(estimator, RobustForestClassifier) else {})
    fitted = type(estimator)(**estimator.get_params() | options).fit(encoding.encode(train.X), train.y)
    P = model.predict_proba(test.X)
    np.testing.assert_allclose(P, fitted.predict_proba(encoding.encode(test.X)), atol=1e-5)  # ONNX adds in float32
    np.testing.assert_array_equal(load_model(model.onnx).predict_proba(test.X), P)
    assert model.digest == again.digest


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_no_attack_flips_a_certified_row(
    estimator: RobustBoostingClassifier | RobustForestClassifier, halves: tuple[Dataset, Dataset]
) -> None:
    train, test = halves
    encoding, radius = Encoding(train.schema), tree_radius(THREAT, train.schema)
    fitted = type(estimator)(**estimator.get_params() | {"radius": radius}).fit(encoding.encode(train.X), train.y)
    found = evasion(fitted.as_model(train.schema), test, threat=THREAT, rng=np.random.default_rng(0), max_queries=150)
    certified = fitted.certified(encoding.encode(test.X), test.y)
    assert not (certified & ~found.robust).any()
    assert 0.5 < certified.mean() <= found.robust.mean()


def test_harden_takes_robust_trees_and_reports_a_sure_gain(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    model = fit_estimator(GradientBoostingClassifier(n_estimators=15, random_state=0), train)
    trainer = partial(fit_robust_trees, RobustBoostingClassifier(n_estimators=15, max_bins=32))
    result = harden(model, train, test, train=trainer, threat=THREAT, rng=np.random.default_rng(0), max_queries=100)
    assert result.improved
    assert result.gain.low is not None
    assert result.gain.low > 0.1


def test_the_radius_is_one_sided_where_the_feature_is_and_whole_for_a_category() -> None:
    schema = loan_schema()
    columns = Encoding(schema).columns
    radius = tree_radius(FeasibleChange(budget=0.1, max_category_changes=1), schema)
    for column, (down, up) in zip(columns, radius, strict=True):
        feature = schema.features[column.source]
        if feature.mutability == "fixed" or column.kind == "missing":
            assert (down, up) == (0, 0)
        elif column.kind == "equals":
            assert (down, up) == (1, 1)
        else:
            assert down == pytest.approx(0.0 if feature.mutability == "increase" else 0.2)
            assert up == pytest.approx(0.0 if feature.mutability == "decrease" else 0.2)
    assert {feature.mutability for feature in schema.features} >= {"free", "fixed"}


def test_every_feasible_row_lies_in_the_box() -> None:
    schema = loan_schema()
    threat = FeasibleChange(budget=0.1, max_category_changes=1)
    rows = synthetic_rows(schema, 200, np.random.default_rng(0))
    box = threat.box(rows, schema)
    encoding, radius = Encoding(schema), tree_radius(threat, schema)
    before = encoding.encode(rows)
    numeric = np.array([column.kind == "scaled" for column in encoding.columns])
    for end in (box.low, box.high):
        moved = (encoding.encode(end) - before)[:, numeric]
        assert (moved >= -radius[numeric, 0] - 1e-9).all()
        assert (moved <= radius[numeric, 1] + 1e-9).all()


def test_what_robust_trees_cannot_take_is_said(halves: tuple[Dataset, Dataset]) -> None:
    train, estimator = halves[0], ESTIMATORS[0]
    with pytest.raises(UsageError, match="attacked_class"):
        fit_robust_trees(RobustBoostingClassifier(attacked_class="fraud"), train, evasion_radius=np.zeros(30))
    with pytest.raises(UsageError, match="30 columns"):
        fit_robust_trees(estimator, train, evasion_radius=np.zeros(4))
    one_class = train.take(train.y == 0)
    with pytest.raises(DataError, match="two classes"):
        fit_robust_trees(estimator, one_class, evasion_radius=np.zeros(30))
    three = numbers_schema(2, classes=3)
    rows = synthetic_rows(three, 30, np.random.default_rng(0))
    with pytest.raises(UnsupportedError, match="the schema has 3"):
        fit_robust_trees(estimator, Dataset(three, rows, np.arange(30) % 3), evasion_radius=np.zeros(2))
    fitted = RobustBoostingClassifier(n_estimators=1).fit(train.X[:, :2], train.y)
    with pytest.raises(DataError, match="2 encoded columns"):
        fitted.as_model(train.schema)
