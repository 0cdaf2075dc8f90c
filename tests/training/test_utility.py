"""Utility figures agree with scikit-learn's, and their intervals hold what they promise."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from holdfast.data import Dataset
from holdfast.errors import DataError
from holdfast.evidence import Evidence
from holdfast.intervals import proportion
from holdfast.models import LinearModel
from holdfast.training import measure_utility


@pytest.fixture(scope="module")
def model(small: Dataset) -> LinearModel:
    return LinearModel(small.schema, np.array([[3.0, -0.5, 0.0, 0.2, 0.1, -0.1]]), np.array([0.4]))


def test_the_figures_are_those_of_scikit_learn(model: LinearModel, small: Dataset) -> None:
    figures = {name: figure.value for name, figure in measure_utility(model, small).figures.items()}
    probabilities = model.predict_proba(small.X)
    predicted = probabilities.argmax(axis=1)
    recalls = metrics.recall_score(small.y, predicted, average=None)
    assert figures == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(small.y, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(small.y, predicted),
            "auc": metrics.roc_auc_score(small.y, probabilities[:, 1]),
            "matthews_correlation": metrics.matthews_corrcoef(small.y, predicted),
            "log_loss": metrics.log_loss(small.y, probabilities),
            "brier_score": 2 * metrics.brier_score_loss(small.y, probabilities[:, 1]),
            "recall[no]": recalls[0],
            "recall[yes]": recalls[1],
        }
    )


def test_the_evidence_is_about_the_model_and_survives_json(model: LinearModel, small: Dataset) -> None:
    evidence = measure_utility(model, small)
    assert (evidence.kind, evidence.subject) == ("utility", model.digest)
    assert "sha256:" not in json.dumps(dict(evidence.context))
    assert len(evidence.samples["own_class_probability"]) == len(small)
    assert Evidence.from_json(json.loads(json.dumps(evidence.to_json()))).digest == evidence.digest


def test_three_classes_are_measured(small: Dataset) -> None:
    data = Dataset(replace(small.schema, classes=("a", "b", "c")), small.X, np.arange(60) % 3)
    three = LinearModel(data.schema, np.eye(3, 6), np.zeros(3))
    figures = measure_utility(three, data).figures
    assert figures["auc"].value == pytest.approx(
        metrics.roc_auc_score(data.y, three.predict_proba(data.X), multi_class="ovr")
    )
    assert {"recall[a]", "recall[b]", "recall[c]"} <= set(figures)


def test_one_class_alone_has_no_curve_and_no_recall_of_the_other(model: LinearModel, small: Dataset) -> None:
    figures = measure_utility(model, small.take(small.y == 1)).figures
    assert "auc" not in figures
    assert "recall[no]" not in figures
    assert figures["balanced_accuracy"].value == figures["accuracy"].value


def test_no_row_cannot_be_measured(model: LinearModel, small: Dataset) -> None:
    with pytest.raises(DataError, match="rows to test on"):
        measure_utility(model, small.take([]))


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (0, 40), (17, 40), (40, 40)])
def test_the_interval_is_the_exact_one(successes: int, trials: int) -> None:
    exact = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    figure = proportion(successes, trials)
    assert (figure.low, figure.high) == pytest.approx((exact.low, exact.high))
