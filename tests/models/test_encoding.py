"""The encoding: bounded whatever the row, the same in Python and in ONNX, and learned from nobody."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx.reference import ReferenceEvaluator

from holdfast.data import Feature, Schema
from holdfast.models import Encoding, LinearModel
from holdfast.models.onnx_graph import parse

SCHEMA = Schema(
    features=(
        Feature(name="size", kind="real", low=10, high=30),
        Feature(name="colour", kind="category", categories=("red", "blue"), nullable=True),
        Feature(name="count", kind="integer", low=0, high=4, nullable=True),
    ),
    target="y",
    classes=("n", "p"),
)
CELLS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, 10.0, 20.0, 30.0]))


def test_ends_go_to_ends_the_centre_to_zero_and_missing_to_its_flag() -> None:
    encoding = Encoding(SCHEMA)
    assert encoding.width == 6
    assert encoding.sources.tolist() == [0, 1, 1, 1, 2, 2]
    X = np.array([[10.0, 0.0, 4.0], [30.0, 1.0, 0.0], [20.0, np.nan, np.nan]])
    assert encoding.encode(X).tolist() == [
        [-1.0, 1.0, 0.0, 0.0, 1.0, 0.0],
        [1.0, 0.0, 1.0, 0.0, -1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0, 0.0, 1.0],
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_every_encoded_value_lies_in_the_unit_interval_whatever_the_row(rows: list[tuple[float, ...]]) -> None:
    E = Encoding(SCHEMA).encode(np.array(rows))
    assert (np.abs(E) <= 1).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_the_onnx_form_encodes_bit_for_bit_the_same(rows: list[tuple[float, ...]]) -> None:
    """Checked with ONNX's own reference evaluator, an implementation that neither side shares."""
    model, _, _ = parse(LinearModel(SCHEMA, np.ones((1, 6)), np.zeros(1)).onnx)
    model.graph.output.append(helper.make_tensor_value_info("encoded", 11, [None, 6]))
    X = np.array(rows)
    with np.errstate(all="ignore"):
        (encoded,) = ReferenceEvaluator(model).run(["encoded"], {"features": X})
    assert (encoded == Encoding(SCHEMA).encode(X)).all()
