"""Circuits compute their program: on plain slots for many shapes, and on ciphertexts for some."""

from __future__ import annotations

import numpy as np
import pytest
from slot_programs import bit_rows, convolution_program, network_program, tree_program
from slot_session import SlotSession
from slot_simulator import Values, simulated_engine, simulated_scores

from holdfast.errors import UnsupportedError, UsageError
from holdfast.private_inference.program import Affine, NetworkProgram
from holdfast.private_inference.slots import NetworkCircuit, SlotLayout, TreeCircuit, choose_layout
from holdfast.private_inference.slots.tree_circuit import zero_test, zero_test_levels

EXACT_ENOUGH = 2.0**-9


@pytest.mark.parametrize(
    ("leaves", "bits", "depth", "outputs", "batch"),
    [(1, 1, 1, 1, False), (5, 16, 2, 3, True), (300, 40, 5, 2, False), (40, 600, 3, 4, False), (100, 130, 7, 1, True)],
)
def test_trees_on_slots_give_their_fixed_point_scores(
    leaves: int, bits: int, depth: int, outputs: int, batch: bool
) -> None:
    program = tree_program(leaves, bits, depth, outputs=outputs)
    layout = choose_layout(program, width=bits, batch=batch)
    circuit = TreeCircuit(layout, program, engine=simulated_engine(layout.parameters))
    rows = bit_rows(program, 3)
    assert np.array_equal(simulated_scores(circuit, rows), program.clear(rows.astype(np.int64)) / program.scale)


@pytest.mark.parametrize("sizes", [(5, 3, 1), (784, 32, 10), (50, 100, 7)])
def test_networks_on_slots_give_their_scores(sizes: tuple[int, ...]) -> None:
    program, X = network_program(sizes)
    layout = choose_layout(program, width=sizes[0])
    circuit = NetworkCircuit(layout, program, engine=simulated_engine(layout.parameters))
    assert np.allclose(simulated_scores(circuit, X[:5]), program.clear(X[:5]), atol=1e-9)


def test_convolutions_on_slots_give_their_scores() -> None:
    program, X = convolution_program()
    layout = choose_layout(program, width=81)
    circuit = NetworkCircuit(layout, program, engine=simulated_engine(layout.parameters))
    assert np.allclose(simulated_scores(circuit, X[:5]), program.clear(X[:5]), atol=1e-9)


@pytest.mark.parametrize("depth", range(1, 16))
def test_the_zero_test_is_zero_at_every_mismatch_and_nowhere_else(depth: int) -> None:
    values = [zero_test(depth, 2 * mismatches - (depth + 1)) % 786_433 for mismatches in range(depth + 1)]
    assert values[0] != 0
    assert not any(values[1:])
    assert zero_test_levels(depth) == (depth - 1).bit_length()


@pytest.mark.parametrize(("batch", "rows"), [(False, 2), (True, 3)])
def test_encrypted_trees_give_exactly_their_scores(batch: bool, rows: int) -> None:
    program = tree_program(60, 100, 4, outputs=3)
    layout = choose_layout(program, width=100, batch=batch)
    bits = bit_rows(program, rows)
    scores = SlotSession.of(layout).scores(TreeCircuit(layout, program), bits)
    assert np.array_equal(scores, program.clear(bits.astype(np.int64)) / program.scale)


def test_fifty_encrypted_trees_of_depth_four_give_exactly_their_scores() -> None:
    program = tree_program(244, 512, 4)
    layout = choose_layout(program, width=512)
    bits = bit_rows(program, 2)
    scores = SlotSession.of(layout).scores(TreeCircuit(layout, program), bits)
    assert np.array_equal(scores, program.clear(bits.astype(np.int64)) / program.scale)


def test_an_encrypted_network_is_as_exact_as_stated() -> None:
    program, X = network_program((60, 32, 16, 5))
    layout = choose_layout(program, width=60)
    scores = SlotSession.of(layout).scores(NetworkCircuit(layout, program), X[:1])
    assert np.abs(scores - program.clear(X[:1])).max() < EXACT_ENOUGH


def test_an_encrypted_convolution_is_as_exact_as_stated() -> None:
    program, X = convolution_program()
    layout = choose_layout(program, width=81)
    scores = SlotSession.of(layout).scores(NetworkCircuit(layout, program), X[:1])
    assert np.abs(scores - program.clear(X[:1])).max() < EXACT_ENOUGH


def test_rows_that_were_not_asked_about_are_blotted_out() -> None:
    program = tree_program(30, 20, 2)
    layout = choose_layout(program, width=20, batch=True)
    circuit = TreeCircuit(layout, program, engine=simulated_engine(layout.parameters))
    asked = bit_rows(program, 3)
    full = bit_rows(program, layout.interleave)  # a client that fills the other samples, and asks about three
    full[:3] = asked
    arranged = layout.arrange(full).reshape(-1, 2, layout.parameters.slots).astype(np.int64)
    query = [Values(slots, layout.query_level) for slots in arranged]
    (answer,) = circuit.evaluate(query, None, n_rows=3)
    by_sample = answer.slots.reshape(1, -1, layout.interleave)
    assert by_sample[..., :3].any()
    assert not by_sample[..., 3:].any()


@pytest.mark.parametrize(
    "program",
    [
        tree_program(9000, 16, 2),
        network_program((8, 9000, 2), rows=4)[0],
        network_program((8, 8), rows=4)[0],
        network_program((8,) * 12, rows=4)[0],
    ],
    ids=["too many leaves", "too wide", "linear", "too deep"],
)
def test_what_does_not_fit_is_refused(program: NetworkProgram) -> None:
    with pytest.raises(UnsupportedError):
        choose_layout(program, width=8)


def test_values_too_large_to_be_exact_are_refused() -> None:
    layer = Affine(weights=np.full((4, 4), 1e4), bias=np.zeros(4))
    program = NetworkProgram(layers=(layer, layer, layer), bounds=(1e5, 1e14, 1e30))
    with pytest.raises(UnsupportedError, match="exact enough"):
        choose_layout(program, width=4)


def test_a_circuit_refuses_the_layout_of_another_program() -> None:
    program, _ = network_program((60, 32, 5))
    layout = choose_layout(program, width=60)
    with pytest.raises(UsageError):
        NetworkCircuit(layout, network_program((60, 32, 4))[0])
    with pytest.raises(UsageError):
        TreeCircuit(layout, tree_program(30, 60, 2, outputs=5))


@pytest.mark.parametrize("kind", ["trees", "trees in batches", "network"])
def test_sizes_stay_within_the_bars(kind: str) -> None:
    if kind == "network":
        layout = choose_layout(network_program((784, 128, 64, 10))[0], width=784)
    else:
        layout = choose_layout(tree_program(2600, 2048, 6), width=2048, batch=kind != "trees")
    parameters = layout.parameters
    assert layout.key_request.packed_bytes(parameters) <= 39.5e6
    assert parameters.log2_total <= 430
    assert layout.answer_bits * parameters.degree / 8 <= 64_000
    if kind != "trees in batches":
        bits = sum(prime.bit_length() for prime in parameters.primes)
        assert bits * parameters.degree / 8 <= 600_000 - 1_024  # and a header


def test_a_layout_tells_nothing_of_the_program_but_its_shape() -> None:
    first, second = (tree_program(60, 100, 4, seed=seed) for seed in (1, 2))
    layouts: list[SlotLayout] = [choose_layout(program, width=100) for program in (first, second)]
    assert layouts[0].to_json() == layouts[1].to_json()
