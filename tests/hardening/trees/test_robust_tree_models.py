"""Robust trees of a schema are models like any other: kept as ONNX, attacked, and hardened with."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from tests.attacks.attack_cases import loan_schema, numbers_schema

from holdfast.attacks import FeasibleChange, evasion, synthetic_rows
from holdfast.attacks.tables.moves import Moves
from holdfast.data import Dataset, Feature, Relation, Schema
from holdfast.data.relation import TOLERANCE
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.hardening import harden
from holdfast.hardening.trees import RobustBoostingClassifier, RobustForestClassifier, feasible_radius, fit_robust_trees
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
    encoding, radius = Encoding(train.schema), feasible_radius(THREAT, train)
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
    train, test = halves[0], halves[1].take(np.arange(50))
    encoding, radius = Encoding(train.schema), feasible_radius(THREAT, train)
    fitted = type(estimator)(**estimator.get_params() | {"radius": radius}).fit(encoding.encode(train.X), train.y)
    found = evasion(fitted.as_model(train.schema), test, threat=THREAT, rng=np.random.default_rng(0), max_queries=150)
    certified = fitted.certified(encoding.encode(test.X), test.y, radius=feasible_radius(THREAT, test))
    assert not (certified & ~found.robust).any()
    assert 0.5 < certified.mean() <= found.robust.mean()


def test_harden_takes_robust_trees_and_reports_a_sure_gain(halves: tuple[Dataset, Dataset]) -> None:
    train, test = halves
    model = fit_estimator(GradientBoostingClassifier(n_estimators=15, random_state=0), train)
    trainer = partial(fit_robust_trees, RobustBoostingClassifier(n_estimators=15, max_bins=32))
    result = harden(model, train, test, trainer=trainer, threat=THREAT, rng=np.random.default_rng(0), max_queries=100)
    assert result.improved
    assert result.gain.low is not None
    assert result.gain.low > 0.1


def test_the_radius_is_one_sided_where_the_feature_is_and_whole_for_a_category() -> None:
    schema = replace(loan_schema(), relations=())
    columns, data = Encoding(schema).columns, some_rows(schema)
    radius = feasible_radius(FeasibleChange(budget=0.1, max_category_changes=1), data)
    for column, down, up in zip(columns, radius[..., 0].max(axis=0), radius[..., 1].max(axis=0), strict=True):
        feature = schema.features[column.source]
        if feature.mutability == "fixed" or column.kind == "missing":
            assert (down, up) == (0, 0)
        elif column.kind == "equals":
            assert (down, up) == pytest.approx((1, 1))
        elif feature.kind == "real":
            assert down == pytest.approx(0.0 if feature.mutability == "increase" else 0.2)
            assert up == pytest.approx(0.0 if feature.mutability == "decrease" else 0.2)
    assert {feature.mutability for feature in schema.features} >= {"free", "fixed"}


def some_rows(schema: Schema) -> Dataset:
    rows = synthetic_rows(schema, 200, np.random.default_rng(0))
    return Dataset(schema, rows, np.arange(200) % len(schema.classes))


def test_every_feasible_row_lies_in_the_box() -> None:
    data = some_rows(loan_schema())
    threat = FeasibleChange(budget=0.1, max_category_changes=1)
    found = Moves(data.X, threat, data.schema)
    rng, encoding = np.random.default_rng(1), Encoding(data.schema)
    low, high = (
        encoding.encode(data.X) + sign * feasible_radius(threat, data)[..., at] for sign, at in ((-1, 0), (1, 1))
    )
    for _ in range(10):
        wild = found.box.low + rng.random(data.X.shape) * (found.box.high - found.box.low)
        changed = encoding.encode(found.settle(wild, data.X, np.arange(len(data)), rng))
        assert (low <= changed).all()
        assert (changed <= high).all()


def test_a_quotient_moves_no_further_than_what_it_is_a_quotient_of() -> None:
    money = [Feature(name=name, kind="real", low=1, high=100) for name in ("loan", "income")]
    schema = Schema(
        features=(*money, Feature(name="share", kind="real", low=0, high=100)),
        target="y",
        classes=("no", "yes"),
        relations=(Relation.parse("share == loan / income"),),
    )
    rows = np.array([[50.0, 80.0, 0.625], [50.0, 20.0, 2.5]])
    radius = feasible_radius(FeasibleChange(budget=0.1), Dataset(schema, rows, np.array([0, 1])))
    # a loan of 59.9 of an income of 70.1, in encoded units of 50: of 10.1 in the second row; and what is left open
    most = np.array([59.9 / 70.1, 59.9 / 10.1]) * (1 + TOLERANCE) / (1 - TOLERANCE)
    assert radius[:, 2, 1] == pytest.approx((most - [0.625, 2.5]) / 50)
    assert radius[:, 0] == pytest.approx(0.2, abs=1e-9)


def test_what_robust_trees_cannot_take_is_said(halves: tuple[Dataset, Dataset]) -> None:
    train, estimator = halves[0], ESTIMATORS[0]
    with pytest.raises(UsageError, match="source_class"):
        fit_robust_trees(RobustBoostingClassifier(source_class="fraud"), train, evasion_radius=np.zeros(30))
    with pytest.raises(UsageError, match="30 columns"):
        fit_robust_trees(estimator, train, evasion_radius=np.zeros(4))
    with pytest.raises(UsageError, match=f"each of {len(train)} rows"):
        fit_robust_trees(estimator, train, evasion_radius=np.zeros((3, 30, 2)))
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
