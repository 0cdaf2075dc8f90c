"""Robust trees are scikit-learn estimators, and say in one sentence what they cannot take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.hardening.trees.tree_cases import two_blobs

from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.hardening.trees import RobustBoostingClassifier, RobustForestClassifier

ESTIMATORS = [
    RobustBoostingClassifier(n_estimators=5, max_depth=3, max_bins=16),
    RobustForestClassifier(n_estimators=5, max_depth=4, max_bins=16, random_state=0),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_check(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_estimators": 0}, "n_estimators as a whole number from 1"),
        ({"n_estimators": True}, "n_estimators as a whole number from 1"),
        ({"max_depth": 17}, "max_depth as a whole number from 1 to 16"),
        ({"max_bins": 257}, "max_bins as a whole number from 2 to 256"),
        ({"max_bins": 2.5}, "max_bins as a whole number"),
        ({"min_weight": 0.0}, "min_weight above 0"),
        ({"min_weight": np.nan}, "min_weight above 0"),
        ({"source_class": "no such"}, "source_class of"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused(estimator: Any, options: dict[str, Any], says: str) -> None:
    X, y = two_blobs(20, 2, 0)
    kept = estimator.get_params()
    with pytest.raises(UsageError, match=says):
        type(estimator)(**{**kept, **options}).fit(X, y)


@pytest.mark.parametrize("options", [{"learning_rate": 0}, {"learning_rate": 1.5}, {"l2": -1}, {"l2": "much"}])
def test_a_step_of_boosting_that_means_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"expected {next(iter(options))}"):
        RobustBoostingClassifier(**options).fit(*two_blobs(20, 2, 0))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_rows_that_cannot_be_trained_on_are_refused(estimator: Any) -> None:
    X, y = two_blobs(20, 2, 0)
    for rows, labels in ((X * np.nan, y), (X[:, 0], y), (X[:0], y[:0]), (X, y[:5]), (X * 1e35, y), (X, y * 0)):
        with pytest.raises(DataError):
            estimator.fit(rows, labels)
    with pytest.raises(DataError, match="features"):
        estimator.fit(X, y).predict(X[:, :1])


def test_more_than_two_classes_are_refused_with_a_way_round() -> None:
    X, _ = two_blobs(60, 2, 0)
    y = np.digitize(X[:, 1], [0.0, 1.5])
    with pytest.raises(UnsupportedError, match="binary") as caught:
        RobustBoostingClassifier().fit(X, y)
    assert "OneVsRestClassifier" in caught.value.hint
    assert OneVsRestClassifier(RobustBoostingClassifier(0.1, n_estimators=5)).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_column_without_two_values_and_rows_nobody_can_tell_apart_do_no_harm(estimator: Any) -> None:
    X, y = np.zeros((40, 2)), np.tile([0, 1], 20)
    P = estimator.fit(X, y).predict_proba(X)
    assert P.shape == (40, 2)
    assert np.ptp(P) < 0.5
