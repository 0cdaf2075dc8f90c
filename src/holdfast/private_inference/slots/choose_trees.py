"""The layout of a tree program.

The modulus of the answer holds t, the flood and its room for rounding; each step of the circuit brings the noise down
by one more prime of `_SWITCH_BITS`, after which it is little more than that of rounding.
"""

from __future__ import annotations

import math
from typing import Final

from holdfast.he import MIN_FLOODING_BITS, KeyRequest, Norms, Parameters, bounds
from holdfast.he.bounds import Bound
from holdfast.he.parameters import ERROR_BOUND
from holdfast.private_inference.program import TreeProgram
from holdfast.private_inference.slots.choice import (
    DEGREE,
    MOST_BABY_STEPS,
    baby_steps,
    check_size,
    first_geometry,
    interleaves,
    special_bits,
)
from holdfast.private_inference.slots.cost import Work, multiplying, rescaling, transforming
from holdfast.private_inference.slots.layout import MAX_KEY_BYTES, SlotLayout
from holdfast.private_inference.slots.matrices import SlotMatrix, matrix_entries
from holdfast.private_inference.slots.tree_circuit import zero_test_levels, zero_test_roots

PLAINTEXT_MODULUS: Final = 786_433
"""3·2^18 + 1: it has slots at every degree up to 2^17."""
_SWITCH_BITS: Final = 43
"""Noise of rounding, squared, is brought down to itself by it; and there are enough such primes that are 1 mod t."""
_ANSWER_BITS: Final = 31
_ROUNDING_BITS: Final = 20.98
"""Between the flood and the modulus of an answer: t, and room for rounding it to `_ANSWER_BITS`."""


def choose_tree_layout(program: TreeProgram, *, batch: bool = False) -> SlotLayout:
    """The layout in which a tree program is asked, for single rows or for batches.

    Raises:
        UnsupportedError: it has too many leaves, or is too deep.
    """
    leaves, width = program.selection.shape
    interleave = interleaves(width, leaves, rows=2) if batch else 1
    geometry, n_parts = first_geometry(width, leaves, rows=2, interleave=interleave, what="leaves")
    outputs = len(program.values)
    flood = _flood_bits(min(outputs, geometry.columns // geometry.outputs) * interleave)
    answer_primes = -(-math.ceil(flood + _ROUNDING_BITS) // 50)
    bits = [50 if answer_primes == 2 else _SWITCH_BITS] * answer_primes
    bits += [_SWITCH_BITS] * (1 + zero_test_levels(program.depth))
    special = special_bits(bits, hint="train shallower trees (max_depth), or fewer classes")
    parameters = Parameters.generate(DEGREE, bits=bits, special_bits=special, plaintext_modulus=PLAINTEXT_MODULUS)
    matrix = SlotMatrix.of(matrix_entries(program.selection), geometry, interleave=interleave, n_parts=n_parts)
    check_size(matrix)
    level = len(bits)
    relinearise = level - 1 if program.depth > 1 else 0

    def request(baby: int) -> KeyRequest:
        elements = matrix.steps(baby=baby).elements(parameters)
        return KeyRequest(relinearise_level=relinearise, rotations=dict.fromkeys(elements, level))

    options = [baby_steps(geometry.diagonals, most=most) for most in MOST_BABY_STEPS]
    small = (baby for baby in options if request(baby).packed_bytes(parameters) <= MAX_KEY_BYTES)
    baby = next(small, options[-1])
    return SlotLayout(
        parameters=parameters,
        key_request=request(baby),
        scale=1.0,
        magnitude=1.0,
        query_level=level,
        answer_level=answer_primes,
        answer_scale=1.0,
        answer_magnitude=None,
        answer_bits=_ANSWER_BITS,
        flood_bits=flood,
        width=width,
        n_outputs=outputs,
        score_scale=program.scale,
        n_parts=n_parts,
        period=geometry.period,
        interleave=interleave,
        first_outputs=geometry.outputs,
        diagonals=geometry.diagonals,
        period_out=geometry.outputs,
        baby_steps=(baby,),
        predicted_ms=_work(parameters, matrix, baby=baby, depth=program.depth).milliseconds,
    )


def _flood_bits(n_positions: int) -> int:
    """Bits that drown the noise of an answer, which is that of rounding times a plaintext with the leaves' values."""
    some = Parameters.generate(DEGREE, bits=[50], plaintext_modulus=PLAINTEXT_MODULUS)
    t, message = PLAINTEXT_MODULUS, bounds.integer_message(some)
    l2 = 1.05 * t * math.sqrt(DEGREE / 12)  # coefficients are as good as uniform modulo t
    values = Norms(canonical=4.5 * l2, l1=0.5 * t * DEGREE, l2=l2, largest=t / 2)
    rounding = bounds.rounding(some)
    product = (1.1 * rounding.canonical) ** 2 / 2.0 ** (_SWITCH_BITS - 1)  # of two noises, in the last zero test
    tested = rounding.scaled(1.1) + Bound.fixed(canonical=product, coefficient=product)
    noise = tested.times(values) + message.times(values) + message
    drowned = noise.coefficient / t + 2 * ERROR_BOUND * DEGREE
    return math.ceil(MIN_FLOODING_BITS - 1 + math.log2(drowned * n_positions))


def _work(parameters: Parameters, matrix: SlotMatrix, *, baby: int, depth: int) -> Work:
    """What a query of one group takes; the products of the zero test go down one level after the other."""
    level, n_diagonals, n_parts = parameters.max_level, sum(map(len, matrix.parts)), len(matrix.parts)
    work = transforming(parameters, level, steps=matrix.steps(baby=baby), n_diagonals=n_diagonals, n_parts=n_parts)
    squares, odd = zero_test_roots(depth)
    products = (1 if squares else 0) + len(squares) + odd - 1
    return work + rescaling(level) + multiplying(parameters, level - 1).times(products)
