"""The layout of a program: how it lies over the slots, and parameters with room for its noise and for flooding it."""

from __future__ import annotations

import math
from typing import Final

from holdfast.errors import UnsupportedError
from holdfast.private_inference.slots.geometry import Geometry, power_of_two
from holdfast.private_inference.slots.matrices import SlotMatrix

DEGREE: Final = 16384
MAX_TOTAL_BITS: Final = 430
"""Of Q·P at this degree (`Parameters`)."""
MOST_BABY_STEPS: Final = (16, 8, 4, 2)
"""Limits on baby steps, from fast to few keys."""
_MAX_PLAINTEXTS: Final = 1024
"""Diagonals of a matrix; over six primes they take 0.8 GB."""
_MAX_BATCH_PLAINTEXTS: Final = 512
"""Diagonals of the first matrix of a layout for batches; with special primes 512 take about 0.7 GB."""
_GIANT_COST: Final = 3.5
"""Of a giant step, in baby steps: it takes a ciphertext apart and divides by P."""


def first_geometry(width: int, n_outputs: int, *, rows: int, interleave: int, what: str) -> tuple[Geometry, int]:
    """How the first matrix lies over the slots, and the ciphertexts of its input.

    Raises:
        UnsupportedError: it does not fit.
    """
    columns = DEGREE // 2 // interleave
    outputs, inputs = power_of_two(n_outputs), power_of_two(width)
    if outputs > columns:
        raise UnsupportedError(f"at most {columns} {what} fit into a ciphertext, got {n_outputs}")
    period = min(inputs, columns)
    diagonals = max(1, period * outputs // (rows * columns))
    geometry = Geometry(rows=rows, columns=columns, period=period, outputs=outputs, diagonals=diagonals)
    return geometry, -(-width // period)


def check_size(matrix: SlotMatrix) -> None:
    """Refuse a matrix that would not fit into memory.

    Raises:
        UnsupportedError: it is so.
    """
    if sum(len(part) for part in matrix.parts) > _MAX_PLAINTEXTS:
        inputs = len(matrix.parts) * matrix.geometry.period
        raise UnsupportedError(
            f"a matrix of {matrix.geometry.outputs} values by {inputs} inputs is too large for private prediction",
            hint="train fewer or shallower trees, use fewer bins, or narrower layers",
        )


def baby_steps(rotations: int, *, most: int) -> int:
    """How many of so many rotations, side by side, are best reached by baby steps; each costs a key."""
    sizes = [1 << i for i in range(most.bit_length())]
    return min(sizes, key=lambda n: n - 1 + _GIANT_COST * (-(-rotations // n) - 1))


def special_bits(bits: list[int], *, hint: str, margin: int = 2) -> list[int]:
    """Special primes for these primes: as many as make the keys smallest, larger than their digits.

    Args:
        bits: of the primes.
        hint: what to do where there is no room.
        margin: by how many bits the product should be larger than that of a digit: so much smaller is the noise of
            switching keys.

    Raises:
        UnsupportedError: there is no room for them.
    """
    choices = []
    for count in range(1, len(bits) + 1):
        largest = max(sum(bits[i : i + count]) for i in range(0, len(bits), count))
        size = min(50, -(-(largest + margin) // count), (MAX_TOTAL_BITS - sum(bits)) // count)
        if size * count >= largest:
            choices.append((-(-len(bits) // count) * (sum(bits) + size * count), [size] * count))
    if not choices:
        raise UnsupportedError(
            f"the model needs a modulus of {sum(bits)} bits, which leaves no room for keys",
            hint=hint,
        )
    return min(choices)[1]


def key_cost(bits: list[int], *, margin: int) -> float:
    """Bits of a key's coefficient, over all its digits; infinite where there is no room for keys."""
    try:
        special = special_bits(bits, hint="", margin=margin)
    except UnsupportedError:
        return math.inf
    return -(-len(bits) // len(special)) * (sum(bits) + sum(special))


def interleaves(width: int, n_outputs: int, *, rows: int) -> int:
    """How many samples of a batch lie side by side: as many as keep the first matrix in memory."""
    best, columns = 1, DEGREE // 2
    for interleave in (1 << i for i in range(1, 14)):
        each = columns // interleave
        if power_of_two(n_outputs) > each:
            break
        period = min(power_of_two(width), each)
        diagonals = max(1, period * power_of_two(n_outputs) // (rows * each))
        if diagonals * -(-width // period) <= _MAX_BATCH_PLAINTEXTS:
            best = interleave
    return best
