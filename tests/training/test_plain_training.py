"""Training without privacy, and the names that a configuration may use for an estimator."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier

from holdfast.data import Dataset
from holdfast.errors import ConfigError, UnsupportedError
from holdfast.models import LinearModel, OnnxModel, accuracy
from holdfast.training import estimator_from_name, train_plain


@pytest.mark.parametrize(
    ("name", "params", "kind"),
    [
        ("sklearn.linear_model.LogisticRegression", {"C": 10, "max_iter": 500}, LinearModel),
        ("sklearn.ensemble.GradientBoostingClassifier", {"n_estimators": 5, "max_depth": 2}, OnnxModel),
        ("sklearn.tree.DecisionTreeClassifier", {"max_depth": 3, "random_state": 4}, OnnxModel),
        ("sklearn.neural_network.MLPClassifier", {"hidden_layer_sizes": [4, 4], "max_iter": 3_000}, OnnxModel),
    ],
)
def test_an_estimator_is_made_from_its_name_and_trained(small: Dataset, name: str, params: dict, kind: type) -> None:
    model = train_plain(small, estimator=estimator_from_name(name, params), seed=1)
    assert isinstance(model, kind)
    assert accuracy(model, small) > 0.6


def test_the_seed_decides_and_the_estimator_is_left_alone(small: Dataset) -> None:
    forest = RandomForestClassifier(n_estimators=5, max_depth=3)
    first, again, other = (train_plain(small, estimator=forest, seed=seed) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    assert forest.random_state is None
    assert not hasattr(forest, "estimators_")


def test_a_random_state_that_was_set_is_kept(small: Dataset) -> None:
    forest = RandomForestClassifier(n_estimators=5, max_depth=3, random_state=9)
    assert train_plain(small, estimator=forest, seed=1).digest == train_plain(small, estimator=forest, seed=2).digest


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "sklearn.ensemble",
        "sklearn.utils.os",
        "sklearn.tests.test_base.K",
        "sklearn.externals.X",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble.RandomForestClassifier ",
        "sklearn.ensemble..RandomForestClassifier",
        "../sklearn.ensemble.RandomForestClassifier",
        "",
    ],
)
def test_a_name_that_points_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"sklearn\.<module>\.<Class>"):
        estimator_from_name(name, {})


@pytest.mark.parametrize("name", ["sklearn.ensemble.NoSuchClassifier", "sklearn.linear_model.LinearRegression"])
def test_a_name_that_is_no_classifier_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no classifier"):
        estimator_from_name(name, {})


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"trees": 5}, "has no parameter trees"),
        ({"n_estimators": {"a": 1}}, "must be a number"),
        ({"n_estimators": [[1]]}, "must be"),
    ],
)
def test_a_parameter_without_meaning_is_refused(params: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        estimator_from_name("sklearn.ensemble.RandomForestClassifier", params)


def test_an_estimator_around_another_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be made from a name"):
        estimator_from_name("sklearn.ensemble.VotingClassifier", {})


def test_a_value_that_the_estimator_refuses_is_named(small: Dataset) -> None:
    estimator = estimator_from_name("sklearn.ensemble.RandomForestClassifier", {"n_estimators": -1})
    with pytest.raises(ConfigError, match=r"RandomForestClassifier cannot be trained.*n_estimators"):
        train_plain(small, estimator=estimator, seed=0)


def test_an_estimator_without_probabilities_is_refused(small: Dataset) -> None:
    with pytest.raises(UnsupportedError, match="predict_proba"):
        train_plain(small, estimator=RidgeClassifier(), seed=0)
