"""What an answer hides and how exact it is: the bounds on flooding, noise and positions."""

from __future__ import annotations

import math
from typing import Final

from holdfast.errors import UsageError
from holdfast.he import bounds
from holdfast.he.ciphertext import Ciphertext
from holdfast.he.parameters import ERROR_BOUND, MAX_LOG2_MODULUS, Parameters

MIN_FLOODING_BITS: Final = 40
"""Statistical bits by which an answer's noise must be drowned."""
MAX_ANSWER_BITS: Final = 56
"""Bits of a coefficient of an answer."""


def flooding_bits(parameters: Parameters, ciphertext: Ciphertext, *, flood_bits: int, n_positions: int) -> float:
    """How well an answer drowns its noise: its statistical distance from one without any is at most 2^-this.

    Each revealed coefficient adds `noise / 2^(flood_bits + 1)`, as a uniform integer and itself moved by the noise are
    so far apart (Asharov, Jain, López-Alt, Tromer, Vaikuntanathan and Wichs 2012, lemma 1). The distance is that of all
    that an honest client sees, its own key and query included, and so the mean over these: what counts is the mean size
    of the noise, which its root mean square is above, and not its tail. To that comes, in the worst case, `42·N` for
    the public key's error times u and the second half's error times s.
    """
    noise = min(ciphertext.noise.coefficient, ciphertext.noise.rms) / bounds.unit(parameters)
    noise += 2 * ERROR_BOUND * parameters.degree
    return flood_bits + 1 - math.log2(noise * max(n_positions, 1))


def answer_noise(parameters: Parameters, level: int, *, flood_bits: int, answer_bits: int) -> float:
    """The largest noise of an honest answer, in units of 1 modulo 2^answer_bits.

    It is the flood, scaled, and one part in 2^40 for what it drowns; and the rounding of the second half, N halves
    times the ternary secret, which is passed with probability below 2^-60 in a thousand coefficients (`bounds`).
    """
    flood = (1 + 2.0**-MIN_FLOODING_BITS) * 2.0 ** (flood_bits + answer_bits - math.log2(parameters.modulus(level)))
    rounding = bounds.COEFFICIENT_TAIL * math.sqrt((1 + bounds.secret_l2(parameters.degree) ** 2) / 12)
    return float(flood + rounding + 2)


def precision(parameters: Parameters, level: int, *, flood_bits: int, answer_bits: int, scale: float) -> float:
    """How far a CKKS answer can be from the result's message: cutting, flood and noise."""
    noise = answer_noise(parameters, level, flood_bits=flood_bits, answer_bits=answer_bits)
    return noise * float(parameters.modulus(level) / 2**answer_bits / scale)


def hint_bits(parameters: Parameters, level: int, *, flood_bits: int, answer_bits: int) -> float:
    """Bits that a revealed coefficient holds above the flood, at least one: all it can tell a malicious client."""
    return max(1.0, min(answer_bits, math.log2(parameters.modulus(level)) - flood_bits))


def max_positions(parameters: Parameters, level: int, *, flood_bits: int, answer_bits: int) -> int:
    """Coefficients that one answer may reveal so that its mask is secure against a public key made maliciously.

    With a body of its own making, a client turns every revealed coefficient into a linear equation in the ternary mask
    `u`, exact down to the flood: enough to read that many bits over log2(3) coefficients of `u` outright. What is left
    of `u` must still be 128-bit secure for q; the table is linear in the degree to within two per cent, and is scaled
    so.
    """
    spare = 1 - math.log2(parameters.modulus(level)) / MAX_LOG2_MODULUS[parameters.degree]
    hints = hint_bits(parameters, level, flood_bits=flood_bits, answer_bits=answer_bits)
    return math.floor(spare * parameters.degree * math.log2(3) / hints)


def check_answer(
    parameters: Parameters, ciphertext: Ciphertext, n_positions: int, *, flood_bits: int, answer_bits: int
) -> None:
    """Refuse an answer that would give too much away, or could not be read.

    Raises:
        UsageError: it is so.
    """
    level = ciphertext.level
    if len(ciphertext.parts) != 2:
        raise UsageError("expected a relinearised result to reveal, got one of three parts")
    if not 8 <= answer_bits <= min(MAX_ANSWER_BITS, math.log2(parameters.modulus(level))):
        raise UsageError(f"expected an answer of 8 to {MAX_ANSWER_BITS} bits and below the modulus, got {answer_bits}")
    most = max_positions(parameters, level, flood_bits=flood_bits, answer_bits=answer_bits)
    if n_positions > most:
        raise UsageError(f"expected at most {most} revealed coefficients in one answer, got {n_positions}")
    hidden = flooding_bits(parameters, ciphertext, flood_bits=flood_bits, n_positions=n_positions)
    if hidden < MIN_FLOODING_BITS:
        raise UsageError(
            f"expected a flood that drowns the noise by {MIN_FLOODING_BITS} bits, got {hidden:.1f} bits",
            hint=f"flood with at least {math.ceil(flood_bits + MIN_FLOODING_BITS - hidden)} bits",
        )
    noise = answer_noise(parameters, level, flood_bits=flood_bits, answer_bits=answer_bits)
    if parameters.plaintext_modulus is not None:
        room = 2**answer_bits / (2 * parameters.plaintext_modulus)
    else:
        room = 2**answer_bits * (0.5 - ciphertext.message.coefficient / parameters.modulus(level))
    if noise >= room:
        raise UsageError(
            f"expected room for the noise of an answer, {math.log2(noise):.1f} bits, got {math.log2(max(room, 1)):.1f}",
            hint="take more answer bits, a smaller flood or a higher level",
        )
