"""The public encoding: what it takes and refuses, and that its JSON is read strictly."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.private_inference.trees.tree_models import random_ensemble, random_rows

from holdfast.errors import DataError, WireError
from holdfast.evidence import canonical_json
from holdfast.private_inference.registry import encoding_from_json
from holdfast.private_inference.trees import BinEncoding, Block, CategoryBins, NumberBins, compile_trees

NUMBER = NumberBins(grid=(-1.0, 0.0, 2.5), missing=True, low=-10.0, high=10.0)
KIND = CategoryBins(codes=(0, 2, 5), open=False, missing=False)
OPEN = CategoryBins(codes=(1,), open=True, missing=True)
ENCODING = BinEncoding(
    n_features=3,
    blocks=(
        Block(features=(0,), bins=(NUMBER,), coding="thermometer"),
        Block(features=(1,), bins=(KIND,), coding="thermometer"),
        Block(features=(2,), bins=(OPEN,), coding="thermometer"),
        Block(features=(0, 2), bins=(NUMBER, OPEN), coding="one-hot"),
    ),
    width=32,
)


def test_bits_are_those_of_a_thermometer_a_category_and_a_pair() -> None:
    bits = ENCODING.encode(np.array([[0.0, 2.0, 1.0], [np.nan, 5.0, 7.0], [-1.5, 0.0, np.nan]]))
    np.testing.assert_array_equal(bits[:, :4], [[0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0]])
    np.testing.assert_array_equal(bits[:, 4:7], [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(bits[:, 7:9], [[1, 0], [0, 0], [0, 1]])
    assert bits[:, 9:].argmax(axis=1).tolist() == [2 * 3 + 0, 4 * 3 + 1, 0 * 3 + 2]
    assert (bits[:, 9:].sum(axis=1) == 1).all()


@pytest.mark.parametrize("bins", [NUMBER, KIND, OPEN, NumberBins(grid=(), missing=False)])
@pytest.mark.parametrize("seed", range(3))
def test_every_function_of_the_cell_is_linear_in_the_bits(bins: NumberBins | CategoryBins, seed: int) -> None:
    f = np.random.default_rng(seed).normal(size=(bins.n_cells, 2))
    weights, constant = bins.linear(f)
    np.testing.assert_allclose(bins.thermometer(np.arange(bins.n_cells)) @ weights + constant, f, atol=1e-12)
    np.testing.assert_array_equal(bins.cells(np.maximum(bins.values, -10.0), name="x"), np.arange(bins.n_cells))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([11.0, 0.0, 1.0], "feature 0 between -10 and 10, got 11 in row 1"),
        ([-10.5, 0.0, 1.0], "feature 0 between -10 and 10, got -10.5 in row 1"),
        ([0.0, 1.0, 1.0], "a category of feature 1 that the model knows, got 1 in row 1"),
        ([0.0, np.nan, 1.0], "a value of feature 1, got a missing one in row 1"),
        ([0.0, 0.0, 1.5], "whole numbers as categories of feature 2"),
        ([np.inf, 0.0, 1.0], "finite values"),
        ([0.0, 0.0], "rows of 3 features"),
    ],
)
def test_a_row_that_the_model_does_not_take_is_refused_in_one_sentence(row: list[float], message: str) -> None:
    good = [0.0, 0.0, 1.0]
    with pytest.raises(DataError, match=message):
        ENCODING.encode(np.array([good[: len(row)], row]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 5))
def test_the_json_of_an_encoding_is_read_back_the_same(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    X = random_rows(rng, 30)
    encoding, _ = compile_trees(random_ensemble(rng, depth=depth), X=X)
    document = json.loads(canonical_json(encoding.to_json()))
    again = encoding_from_json(document)
    assert again == encoding
    np.testing.assert_array_equal(again.encode(X), encoding.encode(X))


def changed(path: list[str | int], value: Any) -> Any:
    document = copy.deepcopy(ENCODING.to_json())
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


NUMBER_AT: list[str | int] = ["blocks", 0, "bins", 0]
KIND_AT: list[str | int] = ["blocks", 1, "bins", 0]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        changed(["kind"], "pixels"),
        changed(["extra"], 1),
        changed(["n_features"], 2),
        changed(["n_features"], 0),
        changed(["n_features"], True),
        changed(["n_features"], 10**9),
        changed(["width"], 8),
        changed(["width"], 2.0),
        changed(["width"], 2**40),
        changed(["blocks"], "blocks"),
        changed(["blocks", 0], {}),
        changed(["blocks", 0, "coding"], "unary"),
        changed(["blocks", 0, "coding"], ["one-hot"]),
        changed(["blocks", 3, "coding"], "thermometer"),
        changed(["blocks", 0, "features"], [-1]),
        changed(["blocks", 0, "features"], ["0"]),
        changed(["blocks", 0, "features"], [0, 1]),
        changed(["blocks", 3, "features"], [2, 2]),
        changed(["blocks", 0, "bins"], [None]),
        changed(["blocks", 0, "bins"], 5),
        changed([*NUMBER_AT, "grid"], [0.0, 0.0]),
        changed([*NUMBER_AT, "grid"], [1.0, 0.0]),
        changed([*NUMBER_AT, "grid"], [0.0, float("nan")]),
        changed([*NUMBER_AT, "grid"], [0.0, float("inf")]),
        changed([*NUMBER_AT, "grid"], [0.0, 10**400]),
        changed([*NUMBER_AT, "grid"], ["0"]),
        changed([*NUMBER_AT, "grid"], {"0": 1}),
        changed([*NUMBER_AT, "grid"], [0.0] * 100_000),
        changed([*NUMBER_AT, "missing"], 1),
        changed([*NUMBER_AT, "low"], 11.0),
        changed([*NUMBER_AT, "high"], float("inf")),
        changed([*NUMBER_AT, "high"], None),
        changed([*KIND_AT, "codes"], [0, 0]),
        changed([*KIND_AT, "codes"], [0.5]),
        changed([*KIND_AT, "codes"], []),
        changed([*KIND_AT, "codes"], list(range(2_000))),
        changed([*KIND_AT, "codes"], [2**60]),
        changed([*KIND_AT, "open"], "no"),
        changed([*KIND_AT, "missing"], None),
    ],
)
def test_a_malformed_encoding_is_refused(document: Any) -> None:
    with pytest.raises(WireError) as error:
        BinEncoding.from_json(document)
    assert "\n" not in str(error.value)


def test_pairs_that_multiply_beyond_all_bounds_are_refused() -> None:
    large = {"grid": [float(i) for i in range(30_000)], "missing": False, "low": 0.0, "high": 1.0}
    block = {"features": list(range(40)), "bins": [large] * 40, "coding": "one-hot"}
    with pytest.raises(WireError):
        BinEncoding.from_json({"kind": "bins", "n_features": 40, "width": 512, "blocks": [block]})
