"""Images are taken in their range and shape, and nothing else is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from holdfast.errors import DataError, UsageError, WireError
from holdfast.private_inference.encoding import NumericEncoding
from holdfast.private_inference.networks import PixelEncoding
from holdfast.private_inference.networks.encoding import encoding_for

BYTES = PixelEncoding(shape=(1, 3, 2), low=0.0, high=255.0)


def test_pixels_are_divided_by_the_end_of_their_range() -> None:
    X = np.arange(12.0).reshape(2, 1, 3, 2) * 20
    np.testing.assert_array_equal(BYTES.encode(X), X.reshape(2, 6) / 255)
    np.testing.assert_array_equal(BYTES.encode(X.reshape(2, 6)), X.reshape(2, 6) / 255)
    assert (BYTES.width, BYTES.n_features) == (6, 6)


@pytest.mark.parametrize("value", [-0.1, 255.5, np.nan, np.inf])
def test_a_pixel_out_of_range_is_refused_with_its_place(value: float) -> None:
    X = np.zeros((3, 6))
    X[2, 4] = value
    with pytest.raises(DataError, match="at 4 in row 2"):
        BYTES.encode(X)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(DataError, match="shape"):
        BYTES.encode(np.zeros((3, 5)))


def test_the_json_comes_back_the_same() -> None:
    assert PixelEncoding.from_json(BYTES.to_json()) == BYTES


@pytest.mark.parametrize(
    "change",
    [
        {"shape": []},
        {"shape": [1, 0]},
        {"shape": [2**17]},
        {"shape": [2**9, 2**9]},
        {"shape": [1, True]},
        {"shape": "12"},
        {"low": 255.0},
        {"high": float("nan")},
        {"high": "1"},
        {"kind": "bins"},
        {"more": 1},
    ],
    ids=str,
)
def test_malformed_json_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        PixelEncoding.from_json({**BYTES.to_json(), **change})


def test_a_range_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(UsageError, match="range"):
        PixelEncoding(shape=(4,), low=1.0, high=0.0)


def test_the_range_follows_the_rows() -> None:
    unit = np.random.default_rng(0).random((5, 1, 8, 8))
    assert encoding_for(unit, (1, 8, 8)) == PixelEncoding(shape=(1, 8, 8), low=0.0, high=1.0)
    assert encoding_for(np.round(unit * 255), (1, 8, 8)) == PixelEncoding(shape=(1, 8, 8), low=0.0, high=255.0)
    signed = encoding_for(unit * 6 - 3, (1, 8, 8))
    assert isinstance(signed, PixelEncoding)
    assert (signed.low, signed.high) == (-8.0, 8.0)
    assert isinstance(encoding_for(unit.reshape(5, -1)[:, :10] * 3, (10,)), NumericEncoding)
