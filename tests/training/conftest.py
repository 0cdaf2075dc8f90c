"""What the training tests train on: the tumour data, and a table small enough to reason about."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.data import Dataset, Feature, Schema, from_frame
from holdfast.data.tumour import tumour_frame, tumour_schema


@pytest.fixture(scope="session")
def tumour() -> Dataset:
    return from_frame(tumour_frame(), tumour_schema())


@pytest.fixture(scope="session")
def small_schema() -> Schema:
    return Schema(
        features=(
            Feature(name="amount", kind="real", low=0, high=100),
            Feature(name="age", kind="integer", low=18, high=120, nullable=True),
            Feature(name="branch", kind="category", categories=("north", "south", "west")),
        ),
        target="fraud",
        classes=("no", "yes"),
    )


@pytest.fixture(scope="session")
def small(small_schema: Schema) -> Dataset:
    rng = np.random.default_rng(7)
    y = np.arange(60) % 2
    amount = np.clip(30 + 25 * y + rng.normal(0, 10, 60), 0, 100)
    age = np.where(rng.random(60) < 0.1, np.nan, rng.integers(18, 90, 60))
    return Dataset(small_schema, np.column_stack([amount, age, rng.integers(0, 3, 60)]), y)
