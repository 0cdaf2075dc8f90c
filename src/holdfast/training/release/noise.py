"""Gaussian noise in whole numbers, from a stream cipher keyed by the operating system and nothing else.

Floating-point noise gives away low-order bits of what it hides (Mironov, "On significance of the least significant
bits for differential privacy", CCS 2012). Here sums of records are whole numbers S, and the noise is floor(N) of a
normal deviate N. For a whole number S, S + floor(N) = floor(S + N): the result is a function of the Gaussian
mechanism's, so the analysis of the Gaussian mechanism holds for it as it stands.

How a number is drawn (Karney, "Sampling exactly from the normal distribution", 2016, draws whole part and fraction
apart as well): |N| lies in cell j of 2**-6 with probability proportional to exp(-(j/64)²/2), by Walker's alias method
(1977); the place x in the cell is uniform; and j + x is kept with probability exp(-(2 j x + x²) / 2**13). Their product
is proportional to the normal density at (j + x) / 64. The scale is a power of two, so x is itself a whole number of
units and nothing is rounded.

A candidate takes 64 random bits: 10 for a slot of the table, 1 for the sign, 30 for x, the first 16 of the number that
chooses between the slot's own cell and its alias, and the first 7 of the one that decides whether it is kept. In 983 of
1,000 these tell: the 16 are not those of the threshold, and the 7 are below what any x of the cell would need. For the
others 64 bits more of the number in question are drawn, so both are as exact as if all had been drawn at once.
"""

from __future__ import annotations

import os
from decimal import Decimal, localcontext
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from holdfast.training.release.native import native

SCALE_BITS: Final = 36
"""The standard deviation of the noise is 2**36 units, so a unit is far below anything that can be seen."""

MULTIPLICATIVE_GAP: Final = 2.0**-48
"""Each probability of a noise value is right to within this factor.

The number that decides whether a candidate is kept has 53 bits and is compared with an exp that is at least .85, of an
argument below .16: with an exp right to 8 units in the last place, 2**-49.4 and as much again for what all
probabilities are divided by. Taking the density at the middle of a unit costs 2**-69.
"""
ADDITIVE_GAP: Final = 2.0**-65
"""And to within this amount: each of the 640 cells is chosen with a probability right to 2**-74, which makes a distance
of 640 * 2**-75 (and a hundredth more for the candidates dropped), and 2**-75.8 lies beyond ten standard deviations."""

CELL_BITS: Final = 6
CELLS: Final = 10 << CELL_BITS
SLOTS: Final = 2**10
CHOOSER_BITS: Final = 16
FIRST_BITS: Final = 7
"""Of the two numbers, so many bits are in a candidate's word."""

ROW: Final = 4096
"""Numbers are made in rows of so many, which the threads share."""
SPARES: Final = 64
"""Candidates in place of those that are dropped: 26 on average, with a standard deviation of 5."""
RESERVE: Final = 192
"""Words for those whose first bits do not decide: 69 on average, with a standard deviation of 8."""
ROW_WORDS: Final = ROW + SPARES + RESERVE
_PIECE: Final = 8
"""Rows that get their noise at once; the random words for them fit the cache."""
NOISE_WORDS: Final = _PIECE * ROW_WORDS
"""Random words that noise takes at once."""


class Tables(NamedTuple):
    """What the kernel needs to know of the normal distribution.

    Args:
        slots: (SLOTS,) of each, in a word: `sure` of its own cell, of its alias, the alias, and the first 16 bits of
            the threshold; from bits 0, 8, 16 and 32 on. A candidate whose first bits are below `sure` is kept wherever
            it lies in the cell.
        thresholds: (SLOTS,) where in 64 bits a slot goes over from its own cell to its alias.
    """

    slots: npt.NDArray[np.uint64]
    thresholds: npt.NDArray[np.uint64]


class RandomWords:
    """Uniform words, drawn again and again into the same memory: fresh memory takes longer to get than words do.

    Args:
        most: that are drawn at once.
    """

    def __init__(self, most: int) -> None:
        self._words = np.empty(most, dtype=np.uint64)

    def draw(self, count: int) -> npt.NDArray[np.uint64]:
        """`count` words, which the next draw overwrites: AES-256 in counter mode under a key for these alone.

        The key is the operating system's.
        """
        words = self._words[:count]
        words[:] = 0
        view = words.view(np.uint8).data
        Cipher(algorithms.AES(os.urandom(32)), modes.CTR(bytes(16))).encryptor().update_into(view, view)
        return words


def gaussian_integers(count: int) -> npt.NDArray[np.int64]:
    """`count` independent draws of floor(2**SCALE_BITS * N), N standard normal and below 10 in size."""
    drawn = np.zeros((-(-count // ROW), ROW), dtype=np.int64)
    add_gaussian_integers(drawn, RandomWords(NOISE_WORDS))
    return drawn.reshape(-1)[:count]


def add_gaussian_integers(total: npt.NDArray[np.int64], words: RandomWords) -> None:
    """Add an independent draw (see `gaussian_integers`) to each number of `total` (rows, ROW), in place.

    Args:
        total: any number of rows.
        words: at least NOISE_WORDS at once.
    """
    for piece in (total[start : start + _PIECE] for start in range(0, len(total), _PIECE)):
        drawn = words.draw(len(piece) * ROW_WORDS).reshape(-1, ROW_WORDS)
        for row, done in zip(piece, native.add_gaussians(drawn, SPARES, *tables(), piece), strict=True):
            if done < ROW:  # once in 10**10, as spares run out; that the reserve does has a chance below 2**-100
                row[done:] += gaussian_integers(ROW - done)


@cache
def tables() -> Tables:
    """The tables, computed with 50 digits."""
    weights = _whole_weights(SLOTS * 2**64)
    thresholds, aliases = _alias(weights)
    with localcontext() as context:
        context.prec = 50
        sure = [int((Decimal(-(2 * j + 1)) / 2 ** (2 * CELL_BITS + 1)).exp() * 2**FIRST_BITS) for j in range(CELLS)]
    sure += [0] * (SLOTS - CELLS)  # of the slots that have no cell of their own
    slots = [
        sure[slot] | sure[alias] << 8 | alias << 16 | threshold >> (64 - CHOOSER_BITS) << 32
        for slot, (threshold, alias) in enumerate(zip(thresholds, aliases, strict=True))
    ]
    return Tables(np.array(slots, dtype=np.uint64), np.array(thresholds, dtype=np.uint64))


def _whole_weights(total: int) -> list[int]:
    """Whole numbers that add up to `total`, proportional to exp(-(j/64)²/2) to within one: the largest remainders."""
    with localcontext() as context:
        context.prec = 50
        exact = [(Decimal(-j * j) / 2 ** (2 * CELL_BITS + 1)).exp() for j in range(CELLS)]
        scaled = [weight * total / sum(exact) for weight in exact]
        weights = [int(weight) for weight in scaled]
        by_remainder = sorted(range(CELLS), key=lambda j: weights[j] - scaled[j])
    for j in by_remainder[: total - sum(weights)]:
        weights[j] += 1
    return weights


def _alias(weights: list[int]) -> tuple[list[int], list[int]]:
    """Slots of 2**64 each, of one cell up to its threshold and of another above it (Vose 1991, in whole numbers)."""
    left = weights + [0] * (SLOTS - CELLS)
    thresholds, aliases = [2**64 - 1] * SLOTS, list(range(SLOTS))
    small = [slot for slot in range(SLOTS) if left[slot] < 2**64]
    large = [slot for slot in range(SLOTS) if left[slot] > 2**64]
    while small:
        slot, donor = small.pop(), large[-1]
        thresholds[slot], aliases[slot] = left[slot], donor
        left[donor] -= 2**64 - left[slot]
        if left[donor] <= 2**64:
            large.pop()
            if left[donor] < 2**64:
                small.append(donor)
    return thresholds, aliases
