"""The public layout: it comes back from JSON as it was, and malformed ones are refused before they are used."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from slot_programs import bit_rows, convolution_program, tree_program

from holdfast.errors import WireError
from holdfast.private_inference.slots import SlotLayout, choose_layout


@pytest.fixture(scope="module")
def trees() -> SlotLayout:
    return choose_layout(tree_program(60, 100, 4, outputs=2), width=100)


@pytest.fixture(scope="module")
def images() -> SlotLayout:
    return choose_layout(convolution_program()[0], width=81)


@pytest.mark.parametrize("kind", ["trees", "images"])
def test_a_layout_comes_back_from_json_as_it_was(kind: str, request: pytest.FixtureRequest) -> None:
    layout: SlotLayout = request.getfixturevalue(kind)
    document = json.loads(json.dumps(layout.to_json()))
    again = SlotLayout.from_json(document)
    assert again.to_json() == layout.to_json()
    values = np.random.default_rng(0).uniform(0, 1, (2, layout.width))
    assert np.array_equal(again.arrange(values), layout.arrange(values))


MALFORMED: dict[str, Any] = {
    "kind": "coefficients",
    "width": 0,
    "n_outputs": 10**6,
    "n_parts": -1,
    "period": 3,
    "interleave": 3,
    "first_outputs": 10**9,
    "diagonals": 0,
    "period_out": 5,
    "baby_steps": [0],
    "input_map": ["x"],
    "query_level": 99,
    "answer_level": 0,
    "answer_bits": 64,
    "flood_bits": -1,
    "scale": "1",
    "answer_scale": 1e308,
    "magnitude": float("nan"),
    "score_scale": 0,
    "predicted_ms": -1,
    "answer_magnitude": None,
    "parameters": {},
    "key_request": {},
}


@pytest.mark.parametrize("field", MALFORMED)
def test_a_malformed_field_is_refused(field: str, images: SlotLayout) -> None:
    with pytest.raises(WireError):
        SlotLayout.from_json(images.to_json() | {field: MALFORMED[field]})


@pytest.mark.parametrize("kind", [True, "1", None, [1], 1.5])
def test_a_field_of_another_type_is_refused(kind: object, trees: SlotLayout) -> None:
    with pytest.raises(WireError):
        SlotLayout.from_json(trees.to_json() | {"width": kind})


def test_a_field_too_many_or_too_few_is_refused(trees: SlotLayout) -> None:
    document = trees.to_json()
    for wrong in (document | {"more": 1}, {k: v for k, v in document.items() if k != "width"}, [], None):
        with pytest.raises(WireError):
            SlotLayout.from_json(wrong)


def test_more_keys_than_a_client_should_upload_are_refused(trees: SlotLayout) -> None:
    document = trees.to_json()
    rotations = [[element, trees.query_level] for element in range(3, 203, 2)]
    request = document["key_request"] | {"rotations": rotations}
    with pytest.raises(WireError, match="evaluation keys of at most"):
        SlotLayout.from_json(document | {"key_request": request})


def test_more_work_is_expected_to_take_longer() -> None:
    times = [choose_layout(tree_program(leaves, 512, 4), width=512).predicted_ms for leaves in (60, 250, 1000)]
    assert times == sorted(times)
    assert times[0] < times[-1]


def test_an_answer_reveals_one_coefficient_for_each_score_of_a_single_row(trees: SlotLayout) -> None:
    assert trees.n_answers(3) == 3
    assert trees.positions(0, n_rows=3).tolist() == [0, 1]


def test_a_batch_reveals_as_many_coefficients_as_it_has_scores() -> None:
    program = tree_program(60, 100, 4, outputs=2)
    layout = choose_layout(program, width=100, batch=True)
    rows = layout.interleave + 1
    assert layout.n_groups(rows) == 2
    revealed = sum(len(layout.positions(i, n_rows=rows)) for i in range(layout.n_answers(rows)))
    assert revealed == 2 * layout.interleave * 2
    assert layout.arrange(bit_rows(program, rows)).shape == (layout.n_ciphertexts(rows), 16384)
