"""What private estimators reach, refuse, enter in the ledger and hand on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_diabetes

from holdfast.data import Dataset, Feature
from holdfast.errors import BudgetError, ConfigError, DataError, UnsupportedError, UsageError
from holdfast.models import StoredModel, load_model
from holdfast.models.stumps import model_of_stumps
from holdfast.private_inference.readers import read_model
from holdfast.training import epsilon_of
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.estimators import DPGradientBoostingClassifier, DPLinearRegression, DPLogisticRegression
from holdfast.training.estimators.inputs import into_ranges, schema_for
from holdfast.training.estimators.mlp import DPMLPClassifier
from holdfast.training.tables.cells import Cells, candidate_cells, merged
from holdfast.training.tables.curves import stumps_of
from holdfast.training.tables.ranges import UNSEEN, learn_ranges

CLASSIFIERS = [
    DPLogisticRegression(8.0),
    DPGradientBoostingClassifier(8.0, rounds=10),
    DPMLPClassifier(8.0, epochs=5),
]
ALL = [*CLASSIFIERS, DPLinearRegression(8.0)]
FEATURES = (
    Feature(name="amount", kind="real", low=-4, high=12, nullable=True),
    Feature(name="colour", kind="category", categories=("red", "green", "blue"), nullable=True),
    Feature(name="count", kind="integer", low=0, high=20),
)


def name_of(estimator: Any) -> str:
    return type(estimator).__name__


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, np.ndarray]:
    """A category, missing values, and a column called as a target would be."""
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 400)
    amount = np.where(rng.random(400) < 0.1, np.nan, rng.normal(4 * y, 2).clip(-4, 12))
    colour = np.array(["red", "green", "blue", None], dtype=object)[rng.integers(0, 4, 400)]
    frame = pd.DataFrame({"count": rng.integers(0, 21, 400), "amount": amount, "colour": colour})
    return frame, np.where(y == 1, "yes", "no")


@pytest.mark.parametrize(
    ("estimator", "bar"),
    [(DPLogisticRegression, 0.97), (DPGradientBoostingClassifier, 0.92)],
    ids=["logistic", "boosting"],
)
def test_ranges_learned_with_noise_do_on_the_tumour_data(estimator: Any, bar: float, tumour: Dataset) -> None:
    # Means of four fits are .991 with a deviation of .002, and .961 with one of .006.
    train, test = tumour.split(test_fraction=0.2, seed=1)
    assert np.mean([estimator(8.0).fit(train.X, train.y).score(test.X, test.y) for _ in range(4)]) >= bar


def test_linear_regression_is_near_the_one_without_privacy() -> None:
    X, y = load_diabetes(return_X_y=True, scaled=False)
    ranges = ([18, 1, 10, 50, 50, 0, 0, 1, 2, 50], [100, 2, 60, 200, 500, 400, 150, 15, 8, 200])
    fits = [DPLinearRegression(8.0, feature_ranges=ranges, target_range=(0, 400)).fit(X, y) for _ in range(4)]
    # Least squares without privacy has .52 on these rows; means of four fits are .506 with a deviation of .002.
    assert np.mean([fit.score(X, y) for fit in fits]) > 0.49
    assert all(fit.target_range_ == (0, 400) for fit in fits)


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=name_of)
def test_a_table_with_categories_and_missing_values_is_taken_by_name(estimator: Any, table: Any) -> None:
    frame, y = table
    fitted = clone(estimator).set_params(features=[*FEATURES]).fit(frame[["amount", "colour", "count"]], y)
    assert list(fitted.classes_) == ["no", "yes"]
    assert fitted.score(frame[["amount", "colour", "count"]], y) > 0.6


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=name_of)
def test_the_model_can_be_kept_and_predicts_what_the_estimator_does(estimator: Any, tumour: Dataset) -> None:
    fitted = estimator.fit(tumour.X, tumour.y)
    assert isinstance(fitted.model_, StoredModel)
    again = load_model(fitted.model_.onnx)
    rows = into_ranges(tumour.X, fitted.schema_.features)
    assert np.array_equal(again.predict_proba(rows), fitted.predict_proba(tumour.X))


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [(DPLogisticRegression(8.0), "linear"), (DPGradientBoostingClassifier(8.0, rounds=3), "additive")],
    ids=["logistic", "boosting"],
)
def test_private_inference_reads_the_model(estimator: Any, kind: str, tumour: Dataset) -> None:
    assert read_model(estimator.fit(tumour.X, tumour.y).model_, X=None, classes=None).kind == kind


@pytest.mark.parametrize("classes", [2, 3])
def test_stumps_add_up_to_the_curves_at_every_cut_and_beside_it(classes: int) -> None:
    rng = np.random.default_rng(classes)
    scores = 1 if classes == 2 else classes
    schema = schema_for(FEATURES, ("a", "b", "c")[:classes])
    cells = [Cells(f, candidate_cells(f).cuts[::5]) for f in FEATURES]
    curves = [rng.normal(size=(len(one), scores)) for one in cells]
    intercept = rng.normal(size=scores)
    model = model_of_stumps(schema, *stumps_of(schema, intercept, cells, curves))
    amounts = np.concatenate([cells[0].cuts, cells[0].cuts - 1e-3, [-4.0, 12.0, np.nan]])
    X = np.column_stack([amounts, rng.integers(0, 4, len(amounts)), rng.integers(0, 21, len(amounts))]).astype(float)
    X[X[:, 1] == 3, 1] = np.nan
    total = intercept + sum(curve[one.of(values)] for one, values, curve in zip(cells, X.T, curves, strict=True))
    wanted = softmax(total, axis=1)[:, -1] if classes > 2 else expit(total[:, 0])
    assert model.predict_proba(X)[:, -1] == pytest.approx(wanted, abs=1e-6)  # sums of float32


def test_cells_are_many_where_records_are_many() -> None:
    feature = Feature(name="skewed", kind="real", low=0, high=1e4)
    values = np.random.default_rng(0).exponential(30.0, 10_000)
    candidate = candidate_cells(feature)
    cells = merged(candidate, np.bincount(candidate.of(values), minlength=len(candidate)), rows=1e4, noise=1.0)
    counts = np.bincount(cells.of(values), minlength=len(cells))
    assert len(cells) > 10
    assert counts.max() < 3_000  # a piece from 30 to 42 or so holds an eighth of these; evenly cut, one would hold all


def test_ranges_hold_what_can_be_seen_and_fall_back_where_nothing_can() -> None:
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(2_000, 10, 5_000), rng.normal(0, 1e-3, 5_000), np.full(5_000, -7.0)])
    ranges = learn_ranges(X, noise_multiplier=5.0)
    assert (ranges[:, 0] <= X.min(axis=0)).all()
    assert (ranges[:, 1] >= np.quantile(X, 0.99, axis=0)).all()
    assert ranges[1, 1] < 0.1
    assert learn_ranges(X[:10], noise_multiplier=50.0) == pytest.approx(np.tile(UNSEEN, (3, 1)))


@pytest.mark.parametrize("estimator", ALL, ids=name_of)
def test_what_a_fit_costs_is_what_was_asked_for_and_is_said(estimator: Any, tumour: Dataset) -> None:
    fitted = estimator.fit(tumour.X, tumour.y)
    assert fitted.epsilon_ == epsilon_of(fitted.events_, delta=1e-5)
    assert 7.5 < fitted.epsilon_ <= 8
    assert fitted.statement_.own_epsilon == fitted.epsilon_
    assert name_of(estimator) in fitted.statement_.to_text()


def test_a_fit_is_entered_before_it_begins_and_one_over_the_limit_does_not_start(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger.json", epsilon_limit=2.5, delta=1e-5)
    X, y = np.random.default_rng(0).uniform(-1, 1, (50, 2)), np.arange(50) % 2
    estimator = DPLogisticRegression(2.0, ledger=ledger).fit(X, y)
    (entry,) = ledger.read().entries
    assert entry.events == estimator.events_
    model = estimator.model_
    with pytest.raises(BudgetError):
        estimator.fit(X, y)
    assert len(ledger.read().entries) == 1
    assert estimator.model_ is model


FROM_ROWS = [Feature(name=name, kind="real", low=-1, high=1, range_source="data") for name in "ab"]
X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
Y = np.arange(40) % 2
REFUSED: dict[str, tuple[dict[str, Any], Any, Any, type[Exception], str]] = {
    "epsilon 0": ({"epsilon": 0.0}, X, Y, UsageError, "epsilon"),
    "epsilon infinite": ({"epsilon": np.inf}, X, Y, UsageError, "epsilon"),
    "epsilon NaN": ({"epsilon": np.nan}, X, Y, UsageError, "epsilon"),
    "delta of one row": ({"delta": 1 / 40}, X, Y, UsageError, "number of records"),
    "one row": ({}, X[:1], Y[:1], DataError, "1 sample"),
    "NaN": ({}, np.where(X > 0.9, np.nan, X), Y, DataError, "NaN"),
    "text": ({}, np.full((40, 2), "red"), Y, DataError, "convert"),
    "range upside down": ({"feature_ranges": (1, -1)}, X, Y, ConfigError, "the smaller first"),
    "ranges of other columns": ({"feature_ranges": ([0, 0, 0], 1)}, X, Y, UsageError, "2 numbers"),
    "no range": ({"feature_ranges": 3}, X, Y, UsageError, r"\(low, high\)"),
    "ranges from the rows": ({"features": FROM_ROWS}, X, Y, ConfigError, "public ranges"),
    "features and ranges": ({"features": FEATURES, "feature_ranges": (0, 1)}, X, Y, UsageError, "both"),
    "other features": ({"features": FEATURES}, X, Y, UsageError, "2 columns"),
}


@pytest.mark.parametrize("estimator", ALL, ids=name_of)
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_fitted_is_refused_in_one_sentence(estimator: Any, case: str) -> None:
    options, rows, y, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        type(estimator)(**options).fit(rows, y)


def test_labels_outside_the_public_classes_are_refused() -> None:
    with pytest.raises(DataError, match=r"classes.*got 1"):
        DPLogisticRegression(classes=[0, 2]).fit(X, Y)
    with pytest.raises(DataError, match="1 class"):
        DPLogisticRegression().fit(X, np.zeros(40))
    with pytest.raises(DataError, match="has no record"):
        DPLogisticRegression(classes=[0, 1, 2]).fit(X, Y)


@pytest.mark.parametrize("estimator", ALL, ids=name_of)
def test_a_constant_column_does_no_harm(estimator: Any) -> None:
    rows = np.column_stack([X, np.full(40, 3.0)])
    assert np.isfinite(estimator.fit(rows, Y).predict(rows)).all()


def test_options_without_meaning_are_refused() -> None:
    with pytest.raises(UsageError, match="rounds"):
        DPGradientBoostingClassifier(rounds=0).fit(X, Y)
    with pytest.raises(UsageError, match="batch_size of at most"):
        DPMLPClassifier(batch_size=41).fit(X, Y)
    with pytest.raises(UnsupportedError, match="encoded columns"):
        DPLinearRegression().fit(np.ones((5, 127)), np.arange(5.0))
