"""Attribute inference: a model that memorises adds to imputation, one that knows nothing does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from holdfast.attacks.privacy.attribute import AttributeResult, attribute_inference
from holdfast.data import Dataset, Feature, Schema
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.evidence import Evidence

SCHEMA = Schema(
    features=(
        Feature(name="a", kind="real", low=-5, high=5),
        Feature(name="b", kind="real", low=-5, high=5),
        Feature(name="secret", kind="category", categories=("x", "y", "z"), nullable=True),
        Feature(name="dose", kind="real", low=-5, high=5),
    ),
    target="ward",
    classes=("1", "2", "3", "4", "5", "6"),
)
SUBJECT = "sha256:" + "0" * 64


def people(count: int, seed: int, *, linked: bool = False) -> Dataset:
    """The secret decides half of the labels; with `linked`, feature a tells the secret."""
    rng = np.random.default_rng(seed)
    ab = rng.normal(size=(count, 2)).clip(-4, 4)
    secret, dose = rng.integers(0, 3, count), rng.normal(size=count).clip(-4, 4)
    if linked:
        ab[:, 0] = secret + rng.normal(0, 0.1, count)
    y = np.where(rng.random(count) < 0.5, secret, rng.integers(0, 6, count))
    return Dataset(SCHEMA, np.column_stack([ab, secret, dose]), y)


@dataclass
class Memory:
    """Knows its records by heart: sure of the label of a record, and all labels are alike to it elsewhere."""

    data: Dataset

    @property
    def schema(self) -> Schema:
        return SCHEMA

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        close = np.abs(X[:, None] - self.data.X[None])
        hit = (close[:, :, :3] < 1e-9).all(axis=2) & (close[:, :, 3] < 1.5)
        P = np.full((len(X), 6), 1 / 6)
        known = hit.any(axis=1)
        P[known] = np.eye(6)[self.data.y[hit[known].argmax(axis=1)]]
        return P


@dataclass
class Ignorant:
    """Says the same of everyone."""

    answer: float = 1 / 6

    @property
    def schema(self) -> Schema:
        return SCHEMA

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.full((len(X), 6), self.answer)


def attacked(model: object, *, feature: str = "secret", linked: bool = False) -> AttributeResult:
    return attribute_inference(
        model,
        members=people(200, 1, linked=linked),
        non_members=people(400, 2, linked=linked),
        feature=feature,
        rng=np.random.default_rng(3),
    )


@pytest.fixture(scope="module")
def memory() -> AttributeResult:
    return attacked(Memory(people(200, 1)))


def test_a_model_that_memorises_gives_the_secret_away(memory: AttributeResult) -> None:
    assert memory.accuracy.value > 0.95
    assert memory.imputation.value < 0.65
    assert memory.gain.low > 0.2
    assert memory.advantage.low > 0.2
    assert memory.choices == 3
    assert "helps to guess 'secret'" in memory.to_evidence(SUBJECT).title


def test_members_given_away_are_those_that_imputation_misses(memory: AttributeResult) -> None:
    assert memory.given_away.tolist() == np.flatnonzero(memory.with_model & ~memory.by_imputation).tolist()
    assert len(memory.given_away) > 50


def test_a_model_that_knows_nothing_adds_nothing() -> None:
    result = attacked(Ignorant())
    assert result.gain.low <= 0
    assert result.advantage.low <= 0 <= result.advantage.high
    assert "was not seen to help" in result.to_evidence(SUBJECT).title


def test_what_anyone_could_guess_is_no_gain() -> None:
    result = attacked(Ignorant(), linked=True)
    assert result.imputation.value > 0.9
    assert result.gain.value == pytest.approx(0, abs=0.1)


def test_a_number_is_guessed_to_one_of_ten_ranges() -> None:
    result = attacked(Ignorant(), feature="dose")
    assert result.choices == 10
    assert result.accuracy.low < 0.2


def test_a_record_without_the_value_is_left_out() -> None:
    members = people(40, 4)
    X = members.X.copy()
    X[:10, 2] = np.nan
    members = Dataset(SCHEMA, X, members.y)
    result = attribute_inference(
        Ignorant(), members=members, non_members=people(80, 5), feature="secret", rng=np.random.default_rng(6)
    )
    assert result.members.tolist() == list(range(10, 40))


def test_the_result_is_evidence(memory: AttributeResult) -> None:
    evidence = memory.to_evidence(SUBJECT)
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert evidence.kind == "attribute-inference"
    assert evidence.figures["accuracy"].bound == "lower"
    assert sum(evidence.samples["with_model"]) == memory.with_model.sum()


def test_the_same_generator_gives_the_same_result() -> None:
    one, other = attacked(Ignorant()), attacked(Ignorant())
    assert (one.with_model == other.with_model).all()


def test_a_feature_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a feature of the model, got 'ward'"):
        attacked(Ignorant(), feature="ward")


@pytest.mark.parametrize(("members", "others"), [(1, 400), (200, 39)])
def test_too_few_records_are_refused(members: int, others: int) -> None:
    with pytest.raises(DataError, match="expected at least"):
        attribute_inference(
            Ignorant(),
            members=people(members, 1),
            non_members=people(others, 2),
            feature="secret",
            rng=np.random.default_rng(0),
        )


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_value_that_is_the_same_everywhere_or_missing_is_refused(value: float) -> None:
    data = people(100, 1)
    X = data.X.copy()
    X[:, 2] = value
    flat = Dataset(SCHEMA, X, data.y)
    with pytest.raises(DataError, match="with different values of 'secret'"):
        attribute_inference(Ignorant(), members=flat, non_members=flat, feature="secret", rng=np.random.default_rng(0))


def test_answers_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="expected probabilities"):
        attacked(Ignorant(np.nan))
