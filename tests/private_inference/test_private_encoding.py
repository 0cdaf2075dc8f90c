"""A row becomes numbers in [-1, 1], the same as in the clear, or is refused with the feature's name."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.data import Feature, Schema
from holdfast.errors import DataError, UsageError, WireError
from holdfast.models import Encoding
from holdfast.private_inference.encoding import NumericEncoding, NumericFeature
from holdfast.private_inference.registry import encoding_from_json

SCHEMA = Schema(
    features=(
        Feature(name="amount", kind="real", low=-3.0, high=50.5),
        Feature(name="count", kind="integer", low=0, high=7, nullable=True),
        Feature(name="country", kind="category", categories=("AT", "DE", "FR"), nullable=True),
        Feature(name="sex", kind="category", categories=("f", "m")),
    ),
    target="fraud",
    classes=("no", "yes"),
)
ENCODING = NumericEncoding.of_schema(SCHEMA)


@settings(max_examples=80, deadline=None)
@given(
    amount=st.floats(-3.0, 50.5),
    count=st.sampled_from([*range(8), math.nan]),
    country=st.sampled_from([0, 1, 2, math.nan]),
    sex=st.sampled_from([0, 1]),
)
def test_the_encoding_is_that_of_the_clear_model(amount: float, count: float, country: float, sex: float) -> None:
    X = np.array([[amount, count, country, sex]])
    E = ENCODING.encode(X)
    assert (Encoding(SCHEMA).encode(X) == E).all()
    assert np.abs(E).max() <= 1
    assert E.shape == (1, ENCODING.width)


RIGHT = [1.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (0, 50.6, "feature 'amount' is 50.6, its range is -3 to 50.5, in row 1"),
        (0, -3.1, "'amount' is -3.1"),
        (0, math.inf, "'amount' is inf"),
        (0, math.nan, "feature 'amount' has no value in row 1"),
        (1, 2.5, "'count' is 2.5 in row 1, expected a whole number"),
        (1, 8.0, "'count' is 8"),
        (2, 3.0, "feature 'country' is category number 3, it has 0 to 2"),
        (2, 0.5, "'country' is 0.5 in row 1, expected a whole number"),
        (2, -1.0, "'country' is category number -1"),
        (3, math.nan, "feature 'sex' has no value"),
    ],
)
def test_a_row_that_the_schema_does_not_allow_is_refused_by_name(at: int, value: float, sentence: str) -> None:
    wrong = list(RIGHT)
    wrong[at] = value
    with pytest.raises(DataError, match=sentence):
        ENCODING.encode(np.array([RIGHT, wrong]))


@pytest.mark.parametrize("X", [np.zeros((1, 3)), np.zeros(4), np.zeros((1, 5)), np.zeros((1, 1, 4))])
def test_rows_of_another_shape_are_refused(X: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected rows of 4 features"):
        ENCODING.encode(X)


def test_it_survives_json() -> None:
    assert encoding_from_json(json.loads(json.dumps(ENCODING.to_json()))) == ENCODING


FEATURE = ENCODING.to_json()["features"][0]


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "numeric"},
        {"kind": "numeric", "features": {}},
        {"kind": "numeric", "features": [], "extra": 1},
        {"kind": "numeric", "features": [FEATURE | {"extra": 1}]},
        *(
            {"kind": "numeric", "features": [FEATURE | change]}
            for change in (
                {"low": 60.0},
                {"low": math.nan},
                {"high": math.inf},
                {"high": 1e200},
                {"high": "1"},
                {"high": None},
                {"name": ""},
                {"name": 5},
                {"categories": -1},
                {"categories": 10**6},
                {"categories": True},
                {"categories": 3},
                {"nullable": 1},
                {"whole": None},
            )
        ),
    ],
    ids=str,
)
def test_a_malformed_encoding_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(WireError):
        NumericEncoding.from_json(document)


def test_ranges_around_rows_tell_their_size_to_a_factor_of_two_and_no_more() -> None:
    X = np.array([[3.0, -100.0, 0.0], [2.0, 90.0, 0.0]])
    encoding = NumericEncoding.around(X, names=["a", "b", "c"])
    assert [(f.low, f.high) for f in encoding.features[:2]] == [(-16, 16), (-512, 512)]
    assert np.abs(encoding.encode(4 * X)).max() <= 1
    assert encoding == NumericEncoding.around(X * [[1.2, 1.1, 1]], names=["a", "b", "c"])


def test_no_features_are_refused() -> None:
    with pytest.raises(UsageError, match="expected 1 to 10000 features"):
        NumericEncoding(features=())
    with pytest.raises(UsageError, match="range"):
        NumericFeature(name="a", low=1.0, high=1.0)
