"""scikit-learn's own checks, on every private estimator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from holdfast.training.estimators import DPGradientBoostingClassifier, DPLinearRegression, DPLogisticRegression
from holdfast.training.estimators.mlp import DPMLPClassifier

torch.set_num_threads(1)

FITS_TWICE = "compares two fits of the same rows; the noise comes from the operating system, so no two are alike"
NOISY_CHECKS = dict.fromkeys(
    (
        "check_fit_idempotent",
        "check_supervised_y_2d",
        "check_classifier_data_not_an_array",
        "check_regressor_data_not_an_array",
        "check_regressors_int",
    ),
    FITS_TWICE,
)
ESTIMATORS = [DPLogisticRegression(steps=10), DPLinearRegression(), DPGradientBoostingClassifier(rounds=3)]
PERCEPTRON = DPMLPClassifier(epochs=1, hidden_layer_sizes=(3,))


def expected_to_fail(estimator: Any) -> dict[str, str]:
    return NOISY_CHECKS


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_to_fail)
def test_scikit_learns_check(estimator: Any, check: Any) -> None:
    check(estimator)


# The other checks fit tables of thirty sizes, each with a sampling rate that takes a second to account for.
@parametrize_with_checks([PERCEPTRON], legacy=False, expected_failed_checks=expected_to_fail)
def test_scikit_learns_check_of_the_perceptron(estimator: Any, check: Any) -> None:
    check(estimator)
