"""Canaries in tables: they go through any training, and tell a training that memorises from one that does not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from holdfast import limits
from holdfast.attacks.privacy.audit import INTERFERING_CANARIES
from holdfast.attacks.privacy.audit_curves import gaussian
from holdfast.attacks.privacy.canaries import TableCanaries, audit_training, mislabelled, own_category
from holdfast.data import Dataset, Feature, Schema
from holdfast.errors import UnsupportedError, UsageError
from holdfast.models import Encoding, LinearModel, fit_estimator
from holdfast.training import train_private

DELTA = 1e-5


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def canaries(tumour: Dataset) -> TableCanaries:
    return own_category(tumour, count=200, rng=rng())


def test_canaries_with_a_category_of_their_own_come_after_the_records(tumour: Dataset, canaries: TableCanaries) -> None:
    data, codes = canaries.data, canaries.data.X[:, -1]
    assert len(data) == len(tumour) + canaries.included.sum()
    assert np.array_equal(data.X[: len(tumour), :-1], tumour.X)
    assert not codes[: len(tumour)].any()
    assert codes[len(tumour) :].tolist() == (np.flatnonzero(canaries.included) + 1).tolist()
    assert len(canaries.rows) == 200


def test_labels_take_turns_and_what_a_model_makes_of_all_but_the_mark_is_no_sign(canaries: TableCanaries) -> None:
    assert canaries.rows.y.tolist() == [0, 1] * 100
    schema = canaries.data.schema
    numbers = len(schema.features) - 1
    coef = np.zeros((1, Encoding(schema).width))
    coef[0, :numbers] = rng().normal(size=numbers)
    assert not canaries.scores(LinearModel(schema, coef, np.array([5.0]))).any()
    coef[0, -1] = 2.0  # of the last category, whose label is the last class
    assert canaries.scores(LinearModel(schema, coef, np.array([5.0]))).nonzero()[0].tolist() == [199]


def test_mislabelled_canaries_have_another_label_and_no_record_is_there_twice(tumour: Dataset) -> None:
    canaries = mislabelled(tumour, count=100, rng=rng())
    truth = {row.tobytes(): label for row, label in zip(tumour.X, tumour.y, strict=True)}
    assert all(truth[row.tobytes()] != label for row, label in zip(canaries.rows.X, canaries.rows.y, strict=True))
    assert len(canaries.data) == len(tumour) - 100 + canaries.included.sum()


def test_a_training_that_memorises_categories_contradicts_a_claim(tumour: Dataset) -> None:
    canaries = own_category(tumour, count=400, rng=rng())
    unregularised = LogisticRegression(C=100)
    result = audit_training(canaries, lambda data: fit_estimator(unregularised, data), claim=gaussian(3.0, DELTA))
    assert result.contradicts
    assert result.method is INTERFERING_CANARIES


def test_a_training_that_memorises_labels_contradicts_a_claim(tumour: Dataset) -> None:
    canaries = mislabelled(tumour, count=250, rng=rng())
    tree = DecisionTreeClassifier(random_state=0)
    result = audit_training(canaries, lambda data: fit_estimator(tree, data), claim=gaussian(1.0, DELTA), guesses=100)
    assert result.contradicts


def test_private_training_keeps_its_claim(canaries: TableCanaries) -> None:
    result = audit_training(
        canaries,
        lambda data: train_private(data, epsilon=2.0, delta=DELTA, steps=5).model,
        claim=gaussian(2.0, DELTA),
    )
    assert not result.contradicts
    assert result.epsilon_lower <= 2.0


def test_a_training_that_fails_says_so_itself(canaries: TableCanaries) -> None:
    def fails(data: Dataset) -> object:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        audit_training(canaries, fails, claim=gaussian(1.0, DELTA))


@pytest.mark.parametrize("count", [0, limits.MAX_CATEGORIES])
def test_a_number_of_canaries_that_does_not_fit_is_refused(tumour: Dataset, count: int) -> None:
    for make in (own_category, mislabelled):
        with pytest.raises(UsageError, match="canaries"):
            make(tumour, count=count, rng=rng())


def test_a_table_that_has_such_a_column_is_refused() -> None:
    schema = Schema(features=(Feature(name="canary", kind="real", high=1),), target="y", classes=("a", "b"))
    with pytest.raises(UnsupportedError, match="a column 'canary'"):
        own_category(Dataset(schema, np.zeros((2, 1)), np.array([0, 1])), count=3, rng=rng())


def test_all_but_the_mark_is_as_in_a_mean_record() -> None:
    schema = Schema(
        features=(
            Feature(name="all missing", kind="real", high=1, nullable=True),
            Feature(name="colour", kind="category", categories=("r", "g", "b")),
            Feature(name="size", kind="integer", high=9),
        ),
        target="y",
        classes=("a", "b"),
    )
    X = np.array([[np.nan, 1, 3], [np.nan, 1, 9], [np.nan, 0, 4]])
    canaries = own_category(Dataset(schema, X, np.array([0, 1, 0])), count=2, rng=rng())
    assert np.isnan(canaries.rows.X[:, 0]).all()
    assert canaries.rows.X[:, 1:].tolist() == [[1, 5, 1], [1, 5, 2]]
