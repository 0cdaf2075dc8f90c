"""How exact a network's scores are: the scales of its numbers and weights, and the noise before its last map.

Let numbers have the scale s_i before layer i. A layer's weights take w_i bits, and its squaring brings the scale to
2·s_i, of which primes are dropped down to s_(i+1). For h hidden layers a query's modulus has

    2·s_0 + s_1 + … + s_(h-1) + Σ w_i + room for a score and its weights

bits: the last scale is free, and the first counts twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from holdfast.he import Parameters, bounds, slots_bound
from holdfast.he.bounds import Bound
from holdfast.he.steps import Gain, Steps
from holdfast.private_inference.program import NetworkProgram
from holdfast.private_inference.slots.choice import DEGREE
from holdfast.private_inference.slots.matrices import SlotMatrix
from holdfast.private_inference.slots.network_circuit import SQUARE_PRIMES

_ROUNDING_BITS: Final = 12.0
"""Rounding the weights of one layer moves a score by about 2^-12."""
_MIN_BITS: Final = 20
"""Of these weights' scale, a prime that is 1 modulo 2N: of smaller ones there are too few."""
_TYPICAL: Final = 4.0
"""Lanes are taken to be this much smaller than their bounds, where an average counts; and numbers than theirs."""
_LAST_INCREASE: Final = 2
"""Bits by which the last scale is larger than that before it: it costs nothing, and the noise of rounding fades."""


def scales(first: int, hidden: int, *, decrease: int) -> list[int]:
    """Bits of the scales before each layer, the last one included, smaller by `decrease` after each squaring."""
    before = [first - decrease * i for i in range(hidden)]
    return [*before, before[-1] + _LAST_INCREASE]


def weight_bits(program: NetworkProgram, matrices: Sequence[SlotMatrix]) -> list[int]:
    """Bits of the scale of each hidden layer's weights, so that rounding these moves a score by about 2^-12.

    A diagonal that repeats with `span` slots has 2·span coefficients, each off by up to a half; a slot's weight by
    `sqrt(span / 6)` in the mean square, and half of that in its real part. Later layers enlarge the error.
    """
    bits = []
    for i, matrix in enumerate(matrices):
        slot = math.sqrt(min(DEGREE, 2 * matrix.geometry.span * matrix.interleave) / 24)
        lane = 1.0 if i == 0 else program.bounds[i - 1] ** 2 / _TYPICAL
        met = min(program.layers[i].n_inputs, sum(map(len, matrix.parts)) << len(matrix.geometry.foldings))
        later = _enlarged(program, i)
        error = slot * math.sqrt(met) * lane / _TYPICAL * later
        bits.append(max(_MIN_BITS, math.ceil(_ROUNDING_BITS + math.log2(max(error, 1.0)))))
    return bits


def _enlarged(program: NetworkProgram, hidden: int) -> float:
    """By how much an error of the lanes of a hidden layer shows in a score."""
    later, lanes = program.layers[hidden + 1 :], program.bounds[hidden:-1]
    norms = [float(np.linalg.norm(layer.weights, 2)) for layer in later]
    return math.prod(norms) * math.prod(2 * bound / _TYPICAL for bound in lanes)


def last_weight_bits(program: NetworkProgram) -> int:
    """Bits of the scale of the last map's weights: each coefficient of its plaintext is off by up to a half.

    The lanes' polynomial has the lanes' mean square as its l2 norm.
    """
    square = (program.bounds[-2] / _TYPICAL) ** 2
    return max(8, math.ceil(_ROUNDING_BITS + math.log2(square)))


def lanes_noise(
    program: NetworkProgram,
    matrices: Sequence[SlotMatrix],
    gains: Sequence[Gain],
    steps: Sequence[Steps],
    *,
    parameters: Parameters,
    scale: float,
) -> tuple[Bound, float]:
    """The noise before the last map, and the scale there; the same bounds as the evaluator's.

    Args:
        program: its bounds hold for all rows.
        matrices: of the hidden layers.
        gains: theirs.
        steps: theirs.
        parameters: the primes.
        scale: of the query.
    """
    noise, level = bounds.fresh(parameters), parameters.max_level
    rounding = bounds.rounding(parameters)
    for matrix, gain, turns, bound in zip(matrices, gains, steps, program.bounds, strict=False):
        prime = float(parameters.primes[level - 1])
        n_diagonals = sum(len(part) for part in matrix.parts)
        noise = gain.bound(noise, parameters=parameters, level=level, scale=prime, steps=turns, n_diagonals=n_diagonals)
        y = noise.scaled(1 / prime).with_fresh(rounding)
        message = slots_bound(parameters, magnitude=bound, scale=scale)
        both = y.canonical * y.canonical
        noise = y.times_unknown(message).scaled(2) + Bound.fixed(canonical=both, coefficient=both)
        noise = noise + bounds.switching(parameters, level - 1) + rounding
        scale *= scale
        for dropped in range(SQUARE_PRIMES):
            divisor = parameters.primes[level - 2 - dropped]
            noise, scale = noise.scaled(1 / divisor).with_fresh(rounding), scale / divisor
        level -= 1 + SQUARE_PRIMES
    return noise, scale
