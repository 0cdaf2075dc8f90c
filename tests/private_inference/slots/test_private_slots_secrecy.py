"""What an answer tells: the scores, and nothing of how they came about; noise, only as far as it is drowned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from slot_programs import bit_rows, network_program, tree_program
from slot_session import SlotSession

from holdfast.errors import IntegrityError
from holdfast.he import MIN_FLOODING_BITS, decrypt, flooding_bits, reveal
from holdfast.he.scheme import integers
from holdfast.private_inference.program import TreeProgram
from holdfast.private_inference.slots import NetworkCircuit, TreeCircuit, choose_layout


def test_leaves_that_were_not_reached_change_no_coefficient() -> None:
    program, bits, reached = trees_and_a_row()
    other = replace(program, values=np.where(reached, program.values, 7 - 3 * program.values))
    first, second, _ = messages(program, other, bits)
    assert not np.array_equal(program.values, other.values)
    assert np.array_equal(first, second)


def test_which_leaves_were_reached_only_shows_in_coefficients_that_stay_with_the_server() -> None:
    """Two models whose leaves differ, but not in what those that the row reaches add up to."""
    program, bits, reached = trees_and_a_row()
    one, another = np.flatnonzero(reached)[:2]
    values = program.values.copy()
    values[:, one] += 5
    values[:, another] -= 5
    first, second, positions = messages(program, replace(program, values=values), bits)
    assert np.array_equal(first[positions], second[positions])
    kept = np.delete(np.arange(len(first)), positions)
    assert (first[kept] != second[kept]).any()


def test_an_answer_holds_the_revealed_coefficients_of_the_first_half_alone() -> None:
    program, bits, _ = trees_and_a_row()
    layout = choose_layout(program, width=20)
    session, positions = SlotSession.of(layout), layout.positions(0, n_rows=1)
    (result,) = TreeCircuit(layout, program).evaluate(session.encrypt(bits), session.keys, n_rows=1)
    answer = reveal(
        result,
        positions,
        public=session.public,
        flood_bits=layout.flood_bits,
        answer_bits=layout.answer_bits,
        addend=np.zeros(len(positions)),
    )
    assert answer.first.shape == positions.shape == (2,)


def trees_and_a_row() -> tuple[TreeProgram, np.ndarray, np.ndarray]:
    """Trees, a row of bits, and which leaves it reaches: several."""
    program = tree_program(200, 20, 2, outputs=2)
    bits = bit_rows(program, 1)
    reached = (bits @ program.selection.T == -program.offset)[0]
    assert 2 <= reached.sum() < 200
    return program, bits, reached


def messages(program: TreeProgram, other: TreeProgram, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All coefficients of two models' results for the same row, and which of them are revealed."""
    width = bits.shape[1]
    layout = choose_layout(program, width=width)
    assert choose_layout(other, width=width).to_json() == layout.to_json()
    session, found = SlotSession.of(layout), []
    for model in (program, other):
        (result,) = TreeCircuit(layout, model).evaluate(session.encrypt(bits), session.keys, n_rows=1)
        found.append(decrypt(session.secret, result))
    return found[0], found[1], layout.positions(0, n_rows=1)


def test_the_noise_of_a_network_is_as_small_as_the_flood_was_made_for() -> None:
    """The same row, encrypted anew each time: what differs in the results is noise."""
    program, X = network_program((60, 32, 16, 5))
    layout = choose_layout(program, width=60)
    session, circuit = SlotSession.of(layout), NetworkCircuit(layout, program)
    positions, phases = layout.positions(0, n_rows=1), []
    for _ in range(8):
        (result,) = circuit.evaluate(session.encrypt(X[:1]), session.keys, n_rows=1)
        phases.append(integers(session.secret.phase(result.parts), layout.parameters, result.level)[positions])
    noise = np.array([phase - phases[0] for phase in phases[1:]], dtype=np.float64) / np.sqrt(2)
    assert np.sqrt(np.square(noise).mean()) < result.noise.rms
    assert np.abs(noise).max() < result.noise.coefficient
    hidden = flooding_bits(layout.parameters, result, flood_bits=layout.flood_bits, n_positions=len(positions))
    assert MIN_FLOODING_BITS <= hidden < MIN_FLOODING_BITS + 2


@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_scores_beyond_the_bounds_are_refused_and_never_wrong(factor: float) -> None:
    program, X = network_program((60, 32, 5))
    largest = float(np.abs(program.clear(X[:1])).max())
    narrow = replace(program, bounds=(*program.bounds[:-1], largest / factor))
    layout = choose_layout(narrow, width=60)
    with pytest.raises(IntegrityError, match="out of bounds"):
        SlotSession.of(layout).scores(NetworkCircuit(layout, narrow), X[:1])
