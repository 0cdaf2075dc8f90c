"""The precision and the ring of a linear program: from the error that a score may have to primes.

Let a program have m weights for each score and numbers in [-1, 1]. A score is within 2^-p of its float64 value if each
of these is at most 2^-(p+2), and what is left covers the rounding of numbers, and float64 on both sides:

    weights rounded to weight_bits       m · 2^-(weight_bits + 1)
    the flood, 2^40 times the noise      2^(flood_bits - scale_bits - weight_bits)
    the answer cut to answer_bits        rounding · Q / 2^(answer_bits + scale_bits + weight_bits)

p is 20, or where the weights are too large for the largest ring, as much as that holds, down to the worst accepted.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from holdfast.errors import UnsupportedError
from holdfast.he import MAX_ANSWER_BITS, MIN_FLOODING_BITS
from holdfast.he.bounds import ZERO, Norms, fresh
from holdfast.he.parameters import ERROR_BOUND, Parameters
from holdfast.private_inference.coefficients.layout import (
    MAX_PRIME_BITS,
    MAX_PRIMES,
    MIN_ERROR_BITS,
    MIN_SCALE_BITS,
    SPARE_BITS,
    USUAL_ERROR_BITS,
    CoefficientLayout,
)
from holdfast.private_inference.coefficients.packing import DEGREE, MAX_OUTPUTS, MAX_WIDTH, Packing
from holdfast.private_inference.program import LinearProgram

_ROUNDING_BITS: Final = 8
"""Cutting an answer rounds N coefficients that a ternary secret multiplies: below 2^8 units (`he.answer_noise`)."""
_ANY: Final = Parameters.generate(DEGREE, bits=(MAX_PRIME_BITS,))


def choose_layout(program: LinearProgram, *, worst_error: float = 2.0**-10) -> CoefficientLayout:
    """The layout in which a linear program is asked as precisely as it can be.

    Args:
        program: the weights.
        worst_error: the largest error of a score that is accepted, if it is to be below 2^-20, or the weights are too
            large for that.

    Raises:
        UnsupportedError: the program is too wide, or its weights are too large even so.
    """
    outputs, width = program.weights.shape
    if width > MAX_WIDTH:
        raise UnsupportedError(
            f"private prediction takes at most {MAX_WIDTH} encoded numbers, got {width}",
            hint="leave out features, or use fewer bins or pairs of features",
        )
    noise, largest = _noise_and_score(program)
    least = max(MIN_ERROR_BITS, math.ceil(-math.log2(worst_error)))
    for error_bits in range(max(USUAL_ERROR_BITS, least), least - 1, -1):
        for modulus_bits in range(MAX_PRIME_BITS, MAX_PRIMES * MAX_PRIME_BITS, 3):
            layout = _layout(program, error_bits, modulus_bits, noise=noise, largest=largest)
            if layout is not None:
                return layout
    raise UnsupportedError(
        f"the weights (absolute sum {np.abs(program.weights).sum(axis=1).max():.3g} for {outputs} scores) are too large"
        " for private scores that are exact enough",
        hint="divide the weights and the intercept by a common factor; the predicted classes stay the same",
    )


def _layout(
    program: LinearProgram, error_bits: int, modulus_bits: int, *, noise: float, largest: float
) -> CoefficientLayout | None:
    """The layout at one precision in a modulus of about so many bits; None where it does not do."""
    outputs, width = program.weights.shape
    n_primes = -(-modulus_bits // MAX_PRIME_BITS)
    prime_bits = -(-modulus_bits // n_primes)
    weight_bits = error_bits + 1 + math.ceil(math.log2(max(width, 2)))
    score_bits = math.ceil(math.log2(largest)) + 1 + SPARE_BITS
    # Generated primes are the largest of their size: their product is short of 2^(n·bits) by less than a bit.
    scale_bits = n_primes * prime_bits - 1 - score_bits - weight_bits
    hidden = (noise * 2.0**weight_bits + 2 * ERROR_BOUND * DEGREE) * MAX_OUTPUTS
    flood_bits = math.ceil(MIN_FLOODING_BITS - 1 + math.log2(hidden))
    answer_bits = error_bits + 2 + _ROUNDING_BITS + score_bits + 1
    if (
        scale_bits < MIN_SCALE_BITS
        or scale_bits + weight_bits - flood_bits < error_bits + 2
        or answer_bits > MAX_ANSWER_BITS
    ):
        return None
    return CoefficientLayout(
        width=width,
        n_outputs=outputs,
        prime_bits=(prime_bits,) * n_primes,
        scale_bits=scale_bits,
        weight_bits=weight_bits,
        answer_bits=answer_bits,
        flood_bits=flood_bits,
        error_bits=error_bits,
    )


def _noise_and_score(program: LinearProgram) -> tuple[float, float]:
    """The largest noise of a product with weights of scale one, and a bound on any coefficient of the product."""
    outputs, width = program.weights.shape
    packing = Packing(width=width, n_outputs=outputs)
    noise, largest = 0.0, 2.0 ** -(SPARE_BITS + 1)
    for part in range(packing.n_parts):
        total, sums = ZERO, 0.0
        for block in range(packing.n_blocks):
            norms = Norms.of(packing.plaintext(program.weights, part=part, block=block))
            total, sums = total + fresh(_ANY).times(norms), sums + norms.l1
        offset = float(np.abs(program.intercept[packing.outputs_of(part)]).max())
        noise, largest = max(noise, total.coefficient), max(largest, sums + offset)
    return noise, largest
