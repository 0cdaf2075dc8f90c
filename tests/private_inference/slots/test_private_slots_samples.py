"""Batches of a network, sample after sample: its scores, only those asked for, and a layout that is checked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from slot_programs import convolution_program, network_program
from slot_session import SlotSession

from holdfast.errors import UnsupportedError, UsageError, WireError
from holdfast.he import Encoder, decrypt
from holdfast.limits import MAX_QUERY_BYTES
from holdfast.private_inference import wire
from holdfast.private_inference.program import Affine, NetworkProgram
from holdfast.private_inference.slots import NetworkCircuit, SampleCircuit, SampleLayout, choose_layout

EXACT_ENOUGH = 2.0**-6
ROWS = 600


def batch_layout(program: NetworkProgram, *, width: int) -> SampleLayout:
    layout = choose_layout(program, width=width, batch=True)
    assert isinstance(layout, SampleLayout)
    return layout


@pytest.fixture(scope="module")
def images() -> SampleLayout:
    return batch_layout(convolution_program()[0], width=81)


def test_a_batch_gives_the_scores_of_the_clear_model_and_of_single_rows() -> None:
    program, X = network_program((20, 17, 9, 3), rows=ROWS)
    layout = batch_layout(program, width=20)
    scores = SlotSession.of(layout).scores(SampleCircuit(layout, program), X)
    assert scores.shape == (ROWS, 3)
    assert np.abs(scores - program.clear(X)).max() < EXACT_ENOUGH
    row = choose_layout(program, width=20)
    alone = SlotSession.of(row).scores(NetworkCircuit(row, program), X[:1])
    assert np.abs(scores[:1] - alone).max() < 2 * EXACT_ENOUGH


def test_a_batch_of_images_with_more_scores_than_lanes_is_as_exact_as_stated() -> None:
    program, X = convolution_program(rows=ROWS)
    last = Affine(weights=np.random.default_rng(1).normal(0, 0.3, (11, 8)), bias=np.linspace(-1, 1, 11))
    program = NetworkProgram(
        layers=(*program.layers[:2], last), bounds=(*program.bounds[:2], 4.0), input_map=program.input_map
    )
    layout = batch_layout(program, width=81)
    assert layout.n_results == 2
    scores = SlotSession.of(layout).scores(SampleCircuit(layout, program), X)
    assert np.abs(scores - program.clear(X)).max() < EXACT_ENOUGH


def test_samples_that_were_not_asked_about_are_blotted_out() -> None:
    program, X = network_program((8, 6, 4), rows=1024)
    layout = batch_layout(program, width=8)
    session = SlotSession.of(layout)
    (result, *_) = SampleCircuit(layout, program).evaluate(session.encrypt(X), session.keys, n_rows=ROWS)
    slots = Encoder(layout.parameters).decode(decrypt(session.secret, result))[layout.result_slots(maps=2)]
    assert np.abs(slots[:ROWS, :4] - program.clear(X[:ROWS])).max() < EXACT_ENOUGH
    assert np.abs(slots[ROWS:]).max() < EXACT_ENOUGH
    assert np.abs(program.clear(X[ROWS:])).max() > 50 * EXACT_ENOUGH


def test_answers_share_half_of_the_coefficients_out_among_them(images: SampleLayout) -> None:
    revealed = [images.positions(i, n_rows=ROWS) for i in range(images.answers_per_result)]
    assert np.array_equal(np.concatenate(revealed), np.arange(images.parameters.slots))
    assert images.n_answers(ROWS) == images.answers_per_result
    assert wire.least_rows(images) == images.max_rows // 2


def test_a_batch_of_a_thousand_images_fits_a_query() -> None:
    program, _ = network_program((784, 128, 64, 10))
    layout = batch_layout(program, width=784)
    assert layout.max_rows == 1024
    assert wire.query_bytes(layout, 1000) <= MAX_QUERY_BYTES
    assert layout.key_request.packed_bytes(layout.parameters) <= 40e6
    assert layout.answer_bits * layout.parameters.degree / 8 <= 64 * 1024


def test_what_does_not_fit_a_batch_is_refused() -> None:
    wide = Affine(weights=np.broadcast_to(0.01, (1280, 6400)), bias=np.zeros(1280))
    last = Affine(weights=np.full((2, 1280), 0.01), bias=np.zeros(2))
    linear, _ = network_program((8, 8), rows=4)
    deep, _ = network_program((8,) * 12, rows=4)
    for program in (NetworkProgram(layers=(wide, last), bounds=(1.0, 1.0)), linear, deep):
        with pytest.raises(UnsupportedError) as refused:
            choose_layout(program, width=program.layers[0].n_inputs, batch=True)
        assert refused.value.hint


def test_a_circuit_refuses_the_layout_of_another_program(images: SampleLayout) -> None:
    with pytest.raises(UsageError):
        SampleCircuit(images, network_program((81, 8, 3))[0])


def test_a_layout_comes_back_from_json_as_it_was(images: SampleLayout) -> None:
    again = SampleLayout.from_json(json.loads(json.dumps(images.to_json())))
    assert again.to_json() == images.to_json()
    values = np.random.default_rng(0).uniform(0, 1, (2, images.width))
    assert np.array_equal(again.arrange(values), images.arrange(values))


MALFORMED: dict[str, Any] = {
    "kind": "slots",
    "width": 0,
    "n_outputs": 10**6,
    "lanes": 12,
    "maps": 0,
    "input_map": [81],
    "query_level": 99,
    "answer_level": 0,
    "answer_bits": 64,
    "flood_bits": True,
    "scale": "1",
    "answer_scale": 1e308,
    "magnitude": float("nan"),
    "answer_magnitude": None,
    "mask_scale": 0,
    "parameters": {},
    "key_request": {},
}


@pytest.mark.parametrize("field", MALFORMED)
def test_a_malformed_field_is_refused(field: str, images: SampleLayout) -> None:
    with pytest.raises(WireError):
        SampleLayout.from_json(images.to_json() | {field: MALFORMED[field]})


def test_a_layout_with_a_field_too_many_or_too_large_is_refused(images: SampleLayout) -> None:
    document = images.to_json()
    small = {name: value for name, value in document.items() if name != "lanes"}
    for wrong in (document | {"more": 1}, small, [], None, document | {"input_map": [0] * 8 * 129}):
        with pytest.raises(WireError):
            SampleLayout.from_json(wrong)
