"""The answer: a few coefficients of a result, for the owner of the key, and nothing else.

    1. re-randomise  add u times the client's public key and an error, for a fresh ternary u: both halves look new
    2. choose        of the first half keep the revealed coefficients; the second half stays whole
    3. flood         drown the noise of these, which depends on the model and on u, in a uniform integer
    4. cut           round both halves from q to 2^answer_bits; nothing new is told by that

BGV has its message in the lowest digits; multiplied by `1/t mod q`, which is `-(q-1)/t`, it moves to the top ones,
where rounding leaves it alone: the phase becomes `-(q/t)·message + noise`.

What hides the model: the second half is `a·u + error` beside what it was, a ring-LWE sample; a revealed coefficient is
a message plus a flood, at a statistical distance of at most `noise / 2^(flood_bits + 1)` from one without any noise,
in the mean over honest keys and queries (`answer_bounds.flooding_bits`). Whoever makes up noise, or evaluation keys,
gets to see the model's influence on it above the flood, at most `hint_bits` for each revealed coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import IntegrityError, UsageError
from holdfast.he import bounds, rings, sampling
from holdfast.he.answer_bounds import answer_noise, check_answer
from holdfast.he.ciphertext import Ciphertext
from holdfast.he.kernels import Ring
from holdfast.he.keys import PublicKey, SecretKey
from holdfast.he.parameters import Parameters


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What the evaluator returns, modulo 2^answer_bits.

    Args:
        first: the first half at the revealed coefficients, (positions,).
        second: the second half, (N,).
        level: of the result that it was cut from.
        answer_bits, flood_bits: as it was made.
    """

    first: NDArray[np.uint64] = field(repr=False)
    second: NDArray[np.uint64] = field(repr=False)
    level: int
    answer_bits: int
    flood_bits: int


def reveal(
    ciphertext: Ciphertext,
    positions: NDArray[np.int64],
    *,
    public: PublicKey,
    flood_bits: int,
    answer_bits: int,
    addend: Sequence[float] | NDArray[np.generic],
) -> Answer:
    """Reveal some coefficients of a result, plus an addend each, to the owner of the public key.

    Args:
        ciphertext: the result, at a level of the public key or below.
        positions: the coefficients, at most `max_positions`.
        public: the key of the query's owner.
        flood_bits: each is flooded by an integer from [-2^flood_bits, 2^flood_bits); t times that in BGV.
        answer_bits: what both halves are rounded to.
        addend: for each of them a number in the unit of the message: an integer in BGV.

    Raises:
        UsageError: there are too many positions, the flood does not drown the noise, or it drowns the message; or the
            public key, the positions and the addends do not go with the result.
    """
    parameters = public.parameters
    _check_positions(parameters, positions)
    if ciphertext.level > public.level:
        raise UsageError(f"expected a result at level {public.level} or below, got one at level {ciphertext.level}")
    check_answer(parameters, ciphertext, len(positions), flood_bits=flood_bits, answer_bits=answer_bits)
    first, second = masked(ciphertext, positions, public=public, flood_bits=flood_bits)
    modulus, t = parameters.modulus(ciphertext.level), parameters.plaintext_modulus
    raised = pow(t, -1, modulus) if t else 1
    added = [int(a) if t else round(float(a) * ciphertext.scale) for a in addend]
    if len(added) != len(positions):
        raise UsageError(f"expected an addend for each of {len(positions)} revealed coefficients, got {len(added)}")
    whole = [(c + a) * raised % modulus for c, a in zip(first, added, strict=True)]
    cut = [((c << answer_bits) + modulus // 2) // modulus % 2**answer_bits for c in whole]
    ring = rings.chain(parameters, ciphertext.level)
    rounded = round_to_power(ring.scale(second, [raised] * ciphertext.level), ring, answer_bits)
    return Answer(
        first=np.array(cut, dtype=np.uint64),
        second=rounded,
        level=ciphertext.level,
        answer_bits=answer_bits,
        flood_bits=flood_bits,
    )


def masked(
    ciphertext: Ciphertext, positions: NDArray[np.int64], *, public: PublicKey, flood_bits: int
) -> tuple[list[int], NDArray[np.uint64]]:
    """Steps 1 to 3, modulo q: the chosen coefficients in [0, q), flooded, and the second half (level, N)."""
    parameters, level = public.parameters, ciphertext.level
    ring, unit, stream = rings.chain(parameters, level), bounds.unit(parameters), sampling.KeyStream.fresh()
    u = ring.forward(ring.reduce(sampling.ternary(stream, parameters.degree)))
    error = ring.reduce(unit * sampling.error(stream, parameters.degree))
    first = ring.inverse(ring.add(ciphertext.parts[0], ring.multiply(public.body[:level], u)))
    second = ring.inverse(ring.add(ciphertext.parts[1], ring.multiply(public.a[:level], u)))
    chosen = _integers(np.ascontiguousarray(first[:, positions]), ring.primes)
    flood = sampling.flood(stream, len(positions), bits=flood_bits)
    modulus = parameters.modulus(level)
    flooded = [(c + unit * f) % modulus for c, f in zip(chosen, flood, strict=True)]
    return flooded, ring.add(second, error)


def read(
    secret: SecretKey,
    answer: Answer,
    positions: NDArray[np.int64],
    *,
    scale: float = 1.0,
    magnitude: float | None = None,
) -> NDArray[np.generic]:
    """The revealed coefficients: exact integers in (-t/2, t/2) for BGV, real numbers within `precision` for CKKS.

    Args:
        secret: the key of the query.
        answer: to that query.
        positions: the coefficients that it reveals.
        scale: of the result; 1 in BGV.
        magnitude: for CKKS the largest absolute value that an honest answer can have.

    Raises:
        UsageError: the positions are not those of the answer.
        IntegrityError: a coefficient is not what an honest answer can have: another key, another query, or damage. A
            coefficient of garbage passes with probability `2t·noise / 2^answer_bits` in BGV and `2·magnitude·scale / q`
            in CKKS, which is not small: garbage in all of several coefficients is what does not pass.
    """
    parameters, bits = secret.parameters, answer.answer_bits
    _check_positions(parameters, positions)
    if answer.first.shape != positions.shape or answer.second.shape != (parameters.degree,):
        raise UsageError(f"expected an answer to {len(positions)} positions, got one to {len(answer.first)}")
    products = secret.inner_products(answer.second, positions)
    phase = [int(p) for p in (answer.first + products) & np.uint64(2**bits - 1)]
    allowed = answer_noise(parameters, answer.level, flood_bits=answer.flood_bits, answer_bits=bits)
    t = parameters.plaintext_modulus
    if t is None:
        unit = parameters.modulus(answer.level) / 2**bits / scale
        values = np.array([(p - (p >> (bits - 1) << bits)) * unit for p in phase])
        if magnitude is not None and np.abs(values).max(initial=0) > magnitude + allowed * unit:
            raise IntegrityError("expected an answer that this key decrypts, got one whose values are out of bounds")
        return values
    nearest = [(p * t + 2 ** (bits - 1)) >> bits for p in phase]
    if any(abs(p * t - n * 2**bits) > allowed * t for p, n in zip(phase, nearest, strict=True)):
        raise IntegrityError("expected an answer that this key decrypts, got one whose noise is out of bounds")
    return np.array([(t // 2 - n) % t - t // 2 for n in nearest], dtype=np.int64)


def round_to_power(residues: NDArray[np.uint64], ring: Ring, bits: int) -> NDArray[np.uint64]:
    """Coefficients (limbs, N) modulo the product q of the primes, times 2^bits / q and rounded, modulo 2^bits.

    With `y_i = c·(q/q_i)^-1 mod q_i`, `c/q` is `Σ y_i/q_i` up to an integer (Halevi, Polyakov and Shoup 2019, section
    2.3). The integer parts of `y_i·2^bits / q_i` are by long division, the fractions in float64: where they add up to
    within 2^-48 of a half, either neighbour may come.
    """
    modulus = math.prod(ring.primes)
    scaled = ring.scale(residues, [pow(modulus // prime, -1, prime) for prime in ring.primes])
    whole = np.zeros(residues.shape[1], dtype=np.uint64)
    fraction = np.zeros(residues.shape[1])
    for rest, prime in zip(scaled, ring.primes, strict=True):
        quotient, left = np.zeros_like(rest), bits
        while left:
            step = min(left, 13)  # a residue of 50 bits and 13 more fit 64
            digit, rest = np.divmod(rest << np.uint64(step), np.uint64(prime))
            quotient, left = (quotient << np.uint64(step)) | digit, left - step
        whole += quotient
        fraction += rest / prime
    return (whole + np.rint(fraction).astype(np.uint64)) & np.uint64(2**bits - 1)


def _check_positions(parameters: Parameters, positions: NDArray[np.int64]) -> None:
    if positions.ndim != 1 or not ((positions >= 0) & (positions < parameters.degree)).all():
        raise UsageError(f"expected positions from 0 to {parameters.degree - 1}, got others")


def _integers(residues: NDArray[np.uint64], primes: Sequence[int]) -> list[int]:
    """Columns of residues (limbs, positions) to integers in [0, q)."""
    modulus = math.prod(primes)
    basis = [modulus // prime * pow(modulus // prime, -1, prime) for prime in primes]
    return [sum(int(r) * b for r, b in zip(column, basis, strict=True)) % modulus for column in residues.T]
