"""The layout of a network program: the smallest scale at which its scores are exact enough, once noise is drowned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from holdfast.errors import UnsupportedError, UsageError
from holdfast.he import MIN_FLOODING_BITS, KeyRequest, Parameters, precision
from holdfast.he.parameters import ERROR_BOUND
from holdfast.he.steps import Gain, Steps
from holdfast.private_inference.program import NetworkProgram
from holdfast.private_inference.slots.choice import (
    DEGREE,
    MOST_BABY_STEPS,
    baby_steps,
    check_size,
    first_geometry,
    key_cost,
    special_bits,
)
from holdfast.private_inference.slots.cost import Work, multiplying, rescaling, transforming
from holdfast.private_inference.slots.geometry import Geometry
from holdfast.private_inference.slots.layout import MAX_KEY_BYTES, SlotLayout
from holdfast.private_inference.slots.matrices import SlotMatrix, gain_of, matrix_entries, next_geometry
from holdfast.private_inference.slots.network_circuit import SQUARE_PRIMES
from holdfast.private_inference.slots.network_precision import lanes_noise, last_weight_bits, scales, weight_bits

MAGNITUDE: Final = 1.0
"""Largest absolute value of a number in a query."""
_ROOM_BITS: Final = 3
"""Between the largest score and the modulus: garbage passes for a score once in four, for ten of them once in 2^20."""
_MARGIN: Final = 7
"""Bits that keep the noise of switching keys below that of rounding."""
_ANSWER_BITS: Final = 31
_MAX_QUERY_BITS: Final = 292
"""Of the modulus of a query, so that one row takes 600,000 bytes."""
_GOOD_ERROR, _WORST_ERROR = 2.0**-12, 2.0**-6
"""Of a score, by the flood: what is aimed at, and what is accepted."""
_SLACK: Final = 1.01
"""Noise is taken to be a little more than the same sum says elsewhere, in another order."""
_DECREASES: Final = (3, 2, 1, 0)
"""Bits by which the scale may be smaller after each squaring: what comes later is made larger fewer times."""
_SMALLER: Final = "take fewer squarings, or train with smaller activations"
_SCALES: Final = range(50, 100)


_Choice: TypeAlias = tuple[SlotLayout, float]
"""A layout, and the largest error of a score by its flood."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Shape:
    """All matrices but the last, and how they are applied."""

    matrices: tuple[SlotMatrix, ...]
    gains: tuple[Gain, ...]
    weight_bits: tuple[int, ...]
    baby: tuple[int, ...]
    n_parts: int

    @property
    def first(self) -> Geometry:
        return self.matrices[0].geometry

    @property
    def last(self) -> Geometry:
        return self.matrices[-1].geometry

    @property
    def steps(self) -> list[Steps]:
        return [matrix.steps(baby=baby) for matrix, baby in zip(self.matrices, self.baby, strict=True)]


def choose_network_layout(program: NetworkProgram, *, width: int) -> SlotLayout:
    """The layout in which a network is asked, for single rows of so many numbers.

    Raises:
        UnsupportedError: a layer is too wide, there are too many, or values grow too large to be exact enough.
    """
    if len(program.layers) < 2:
        raise UnsupportedError("a network of one affine map is a linear model", hint="compile it as a linear model")
    shape = _shape(program)
    for most_baby_steps in MOST_BABY_STEPS:
        shape = replace(shape, baby=_baby_steps(shape.matrices, most_baby_steps))
        best = _best_layout(program, shape, width=width)
        if best is not None and best[1] <= _WORST_ERROR:
            return best[0]
    raise UnsupportedError(
        f"the network's {len(program.layers)} layers and values of up to {max(program.bounds):.3g} leave no room"
        " for scores that are exact enough",
        hint=_SMALLER,
    )


def _best_layout(program: NetworkProgram, shape: _Shape, *, width: int) -> _Choice | None:
    """The layout at the smallest scale that is good enough, or else at the largest that there is room for."""
    low, high, best = _SCALES.start, _SCALES.stop, None
    while low < high:
        middle = (low + high) // 2
        choices = [_layout(program, shape, middle, decrease, width=width) for decrease in _DECREASES]
        fitting = [choice for choice in choices if choice is not None]
        if not fitting:
            high = middle
            continue
        good = next((choice for choice in fitting if choice[1] <= _GOOD_ERROR), None)
        best = good or min(fitting, key=lambda choice: choice[1])
        low, high = (low, middle) if good else (middle + 1, high)
    return best


def _shape(program: NetworkProgram) -> _Shape:
    first = program.layers[0]
    geometry, n_parts = first_geometry(first.n_inputs, first.n_outputs, rows=1, interleave=1, what="values of a layer")
    matrices = []
    for i, layer in enumerate(program.layers[:-1]):
        geometry = geometry if i == 0 else next_geometry(geometry, layer.n_outputs)
        entries = matrix_entries(layer.weights, block=layer.block)
        parts = n_parts if i == 0 else 1
        matrices.append(SlotMatrix.of(entries, geometry, interleave=1, n_parts=parts))
    for matrix in matrices:
        check_size(matrix)
    gains = tuple(gain_of(matrix) for matrix in matrices)
    baby = _baby_steps(matrices, MOST_BABY_STEPS[0])
    return _Shape(
        matrices=tuple(matrices),
        gains=gains,
        weight_bits=tuple(weight_bits(program, matrices)),
        baby=baby,
        n_parts=n_parts,
    )


def _baby_steps(matrices: Sequence[SlotMatrix], most: int) -> tuple[int, ...]:
    """How many multiples of its unit, of those that the diagonals of a matrix reach to, are baby steps."""
    return tuple(baby_steps(matrix.steps(baby=1).giant, most=most) for matrix in matrices)


def _layout(program: NetworkProgram, shape: _Shape, scale_bits: int, decrease: int, *, width: int) -> _Choice | None:
    """The layout at a scale, None where there is no room."""
    last, k, magnitude = program.layers[-1], _outputs_per_answer(program, shape), program.bounds[-1]
    last_bits = last_weight_bits(program)
    sizes = scales(scale_bits, len(shape.matrices), decrease=decrease)
    room = math.log2(max(magnitude, 2.0**-10)) + _ROOM_BITS + last_bits
    bits, n_answer = _prime_bits(sizes, shape.weight_bits, room=room)
    if sum(bits) > _MAX_QUERY_BITS:
        return None
    try:
        special = special_bits(bits, hint=_SMALLER, margin=_MARGIN)
        parameters = Parameters.generate(DEGREE, bits=bits, special_bits=special)
    except (UsageError, UnsupportedError):
        return None
    keys = _keys(shape, parameters)
    if keys.packed_bytes(parameters) > MAX_KEY_BYTES:
        return None
    noise, scale = lanes_noise(
        program, shape.matrices, shape.gains, shape.steps, parameters=parameters, scale=2.0**scale_bits
    )
    answer_scale = scale * 2.0**last_bits
    norm = math.sqrt(shape.last.outputs * np.sort(np.square(last.weights).sum(axis=1))[-k:].sum()) * 2.0**last_bits
    flood = _flood_bits(noise.deviation * norm, n_positions=k)
    error = precision(parameters, n_answer, flood_bits=flood, answer_bits=_ANSWER_BITS, scale=answer_scale)
    layout = SlotLayout(
        parameters=parameters,
        key_request=keys,
        scale=2.0**scale_bits,
        magnitude=MAGNITUDE,
        query_level=len(bits),
        answer_level=n_answer,
        answer_scale=answer_scale,
        answer_magnitude=magnitude,
        answer_bits=_ANSWER_BITS,
        flood_bits=flood,
        width=width,
        n_outputs=last.n_outputs,
        score_scale=1.0,
        n_parts=shape.n_parts,
        period=shape.first.period,
        interleave=1,
        first_outputs=shape.first.outputs,
        diagonals=shape.first.diagonals,
        period_out=shape.last.outputs,
        baby_steps=shape.baby,
        predicted_ms=_work(shape, parameters).milliseconds,
        input_map=None if program.input_map is None else tuple(program.input_map.tolist()),
    )
    return layout, error


def _flood_bits(rms: float, *, n_positions: int) -> int:
    """Bits that drown a noise of this root mean square, and that of re-randomising."""
    noise = _SLACK * rms + 2 * ERROR_BOUND * DEGREE
    return math.ceil(MIN_FLOODING_BITS - 1 + math.log2(noise * n_positions))


def _prime_bits(sizes: Sequence[int], weights: Sequence[int], *, room: float) -> tuple[list[int], int]:
    """Sizes of the primes, and how many of them are left for the answer."""
    dropped: list[int] = []
    for before, after, weight in zip(sizes, sizes[1:], weights, strict=False):
        drop = 2 * before - after
        dropped = [drop // 2, drop - drop // 2, weight, *dropped]
    answer = math.ceil(sizes[-1] + room)
    fewest = -(-answer // 50)
    choices = [[-(-answer // n)] * n + dropped for n in (fewest, fewest + 1)]
    bits = min(choices, key=lambda bits: key_cost(bits, margin=_MARGIN))
    return bits, len(bits) - len(dropped)


def _outputs_per_answer(program: NetworkProgram, shape: _Shape) -> int:
    copies = DEGREE // 2 // shape.last.outputs
    return max(1, min(copies, program.layers[-1].n_outputs))


def _keys(shape: _Shape, parameters: Parameters) -> KeyRequest:
    level, rotations = parameters.max_level, dict[int, int]()
    for matrix, baby in zip(shape.matrices, shape.baby, strict=True):
        for element in matrix.steps(baby=baby).elements(parameters):
            rotations[element] = max(level, rotations.get(element, 0))
        level -= 1 + SQUARE_PRIMES
    return KeyRequest(relinearise_level=parameters.max_level - 1, rotations=rotations)


def _work(shape: _Shape, parameters: Parameters) -> Work:
    """What a query of one group takes."""
    work, level = Work(), parameters.max_level
    for matrix, steps in zip(shape.matrices, shape.steps, strict=True):
        n_diagonals, n_parts = sum(map(len, matrix.parts)), len(matrix.parts)
        work += transforming(parameters, level, steps=steps, n_diagonals=n_diagonals, n_parts=n_parts)
        work += rescaling(level) + multiplying(parameters, level - 1)
        level -= 1 + SQUARE_PRIMES
    return work
