"""How far to harden: the first that keeps its precision, by rows that its model was not trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.attacks.attack_cases import numbers_schema

from holdfast.attacks import synthetic_rows
from holdfast.data import Dataset
from holdfast.errors import DataError, UsageError
from holdfast.hardening.choice import Choice, strongest_affordable
from holdfast.models import LinearModel

SCHEMA = numbers_schema(2)


@pytest.fixture(scope="module")
def rows() -> Dataset:
    """The second class lies above the middle of the first number; the second number says nothing."""
    X = synthetic_rows(SCHEMA, 150, np.random.default_rng(0))
    return Dataset(SCHEMA, X, (X[:, 0] > 5).astype(np.int64))


def leaning(noise: float) -> Callable[..., LinearModel]:
    """A trainer of models that lean on the number that says nothing."""

    def train(data: Dataset, *, seed: int) -> LinearModel:
        del data, seed
        return LinearModel(SCHEMA, np.array([[1.0, noise]]), np.zeros(1))

    return train


def choose(rows: Dataset, *noises: float, keep: float = 0.97, source_class: str = "yes") -> Choice:
    trainers, rng = [leaning(noise) for noise in noises], np.random.default_rng(0)
    return strongest_affordable(leaning(0.0), trainers, rows, source_class=source_class, rng=rng, keep=keep)


def test_the_first_that_keeps_its_precision_is_chosen_and_nothing_after_it_is_tried(rows: Dataset) -> None:
    found = choose(rows, 3.0, 1.0, 0.1, 0.0)
    assert found.position == 2
    assert found.plain == pytest.approx(1.0)
    assert len(found.hardened) == 3
    assert found.hardened[0] < found.hardened[1] < 0.97 <= found.hardened[2]
    assert choose(rows, 3.0, 1.0).position is None
    assert choose(rows, 3.0, 1.0, keep=0.5).position == 0


def test_precision_is_that_of_rows_that_were_not_trained_on(rows: Dataset) -> None:
    seen: list[np.ndarray] = []

    def train(data: Dataset, *, seed: int) -> LinearModel:
        seen.append(data.X[:, 1])
        return leaning(0.0)(data, seed=seed)

    strongest_affordable(train, [train], rows, source_class="yes", rng=np.random.default_rng(0))
    assert len(seen) == 6
    for third in (seen[:3], seen[3:]):  # each row is left out by one of three models
        assert sorted(np.concatenate(third)) == sorted(np.tile(rows.X[:, 1], 2))


def test_what_cannot_be_chosen_by_is_said(rows: Dataset) -> None:
    with pytest.raises(UsageError, match="one trainer or more"):
        choose(rows)
    with pytest.raises(UsageError, match="share of precision"):
        choose(rows, 0.0, keep=0.0)
    with pytest.raises(UsageError, match="source_class of no, yes"):
        choose(rows, 0.0, source_class="fraud")
    with pytest.raises(DataError, match="3 rows or more"):
        choose(rows.take(rows.y == 1), 0.0)
