"""Numbers to polynomials and back: in slots, in coefficients, and so that a product sums over all slots.

Slot i is the polynomial's value at `psi^(5^i)`, of the second row of BGV at `psi^(-5^i)`; psi is a root of unity of
order 2N, modulo t in BGV and `exp(i·pi/N)` in CKKS (Gentry, Halevi and Smart 2012; Cheon, Kim, Kim and Song 2017).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import rings
from holdfast.he.bounds import Norms
from holdfast.he.ciphertext import Plaintext
from holdfast.he.parameters import Parameters

_EXACT: Final = 2.0**62
"""Rounded numbers below it fit an int64."""


class Encoder:
    """Makes plaintexts for one parameter set. It holds no state; threads may share it."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def encode(
        self, slots: NDArray[np.generic], *, level: int, scale: float = 1.0, extended: bool = False
    ) -> Plaintext:
        """Numbers in slots.

        Args:
            slots: BGV integers (2, N/2), or (N/2,) for both rows alike; CKKS real numbers (N/2,).
            level: of the ciphertexts that the plaintext goes with.
            scale: what CKKS multiplies the numbers by before it rounds.
            extended: whether it goes with `Extended` ciphertexts as well.

        Raises:
            UsageError: the shape, the type or the level is another, or a scaled number is no finite one.
        """
        return self._plaintext(self._from_slots(slots), level=level, scale=scale, extended=extended)

    def encode_coefficients(
        self, coefficients: NDArray[np.generic], *, level: int, scale: float = 1.0, extended: bool = False
    ) -> Plaintext:
        """Numbers (N,) as the coefficients of the polynomial: integers in BGV, real numbers in CKKS.

        Raises:
            UsageError: see `encode`.
        """
        if coefficients.shape != (self.parameters.degree,):
            raise UsageError(f"expected {self.parameters.degree} coefficients, got the shape {coefficients.shape}")
        t = self.parameters.plaintext_modulus
        numbers = coefficients.astype(np.float64) if t is None else _centred(_integers(coefficients), t)
        return self._plaintext(numbers, level=level, scale=scale, extended=extended)

    def encode_outputs(
        self, vectors: NDArray[np.generic], *, level: int, scale: float = 1.0, extended: bool = False
    ) -> Plaintext:
        """A plaintext whose product with a ciphertext of slots z has `vectors[j] @ z` as its coefficient j.

        With c the number of vectors, rounded up to a power of two: in each row z must repeat every `N/2 / c` slots, and
        so must the vectors; `vectors[j] @ z` is over all slots of all rows. A single vector may be anything.

        It is `Σ_j X^j·V_j(X)`. The sum over all slots of a polynomial is N times its coefficient 0 (N/2 times in CKKS,
        where the other half is the conjugate), and a polynomial whose rows repeat c times only has coefficients at
        multiples of c, so that the products do not run into one another.

        Args:
            vectors: (outputs, rows·N/2), BGV integers, the second row after the first, or CKKS real numbers.
            level: see `encode`.
            scale: see `encode`.
            extended: see `encode`.

        Raises:
            UsageError: see `encode`; or the vectors do not repeat.
        """
        parameters = self.parameters
        if vectors.ndim != 2 or not 1 <= len(vectors) <= parameters.slots:
            raise UsageError(f"expected one to {parameters.slots} vectors of outputs, got the shape {vectors.shape}")
        copies = 1 << (len(vectors) - 1).bit_length()
        total = np.zeros(parameters.degree)
        for j, vector in enumerate(vectors):
            rows = vector.reshape(parameters.rows, -1)
            polynomial = self._from_slots(rows if parameters.rows == 2 else vector)
            apart = polynomial.reshape(-1, copies)
            if np.abs(apart[:, 1:]).max(initial=0) > 1e-9 * np.abs(apart).max():
                raise UsageError(f"expected vectors of outputs that repeat {copies} times over the slots")
            total[j::copies] = apart[:, 0]
        t = parameters.plaintext_modulus
        if t is None:
            total *= parameters.slots
        else:
            total = _centred(np.rint(total).astype(np.int64) * parameters.degree, t)
        return self._plaintext(total, level=level, scale=scale, extended=extended)

    def decode(self, coefficients: NDArray[np.generic]) -> NDArray[np.generic]:
        """The slots of a polynomial: BGV integers (2, N/2) in (-t/2, t/2), CKKS real numbers (N/2,)."""
        n, t = self.parameters.degree, self.parameters.plaintext_modulus
        if t is None:
            twisted = coefficients.astype(np.float64) * np.exp(1j * np.pi / n * np.arange(n))
            return np.asarray((np.fft.ifft(twisted) * n)[_exponents(n)].real)
        ring = rings.plain(n, t)
        values = ring.forward(ring.reduce(coefficients.astype(np.int64)))[0].astype(np.int64)
        return _centred(values, t).astype(np.int64)[_places(n)]

    def _from_slots(self, slots: NDArray[np.generic]) -> NDArray[np.float64]:
        """The coefficients of a polynomial with these slots; in BGV centred integers."""
        n, t = self.parameters.degree, self.parameters.plaintext_modulus
        if t is None:
            if slots.shape != (n // 2,):
                raise UsageError(f"expected {n // 2} slots, got the shape {slots.shape}")
            exponents, values = _exponents(n), np.empty(n)
            values[exponents] = values[n - 1 - exponents] = slots
            return np.asarray((np.fft.fft(values) / n * np.exp(-1j * np.pi / n * np.arange(n))).real)
        if slots.shape not in ((n // 2,), (2, n // 2)):
            raise UsageError(f"expected {n // 2} slots in one row or two, got the shape {slots.shape}")
        residues = np.empty((1, n), dtype=np.uint64)
        residues[0, _places(n)] = _integers(slots) % t
        return _centred(rings.plain(n, t).inverse(residues)[0].astype(np.int64), t)

    def _plaintext(self, coefficients: NDArray[np.float64], *, level: int, scale: float, extended: bool) -> Plaintext:
        parameters = self.parameters
        if not 1 <= level <= parameters.max_level:
            raise UsageError(f"expected a level from 1 to {parameters.max_level}, got {level}")
        if not 0 < scale < math.inf or (scale != 1 and parameters.rows == 2):
            raise UsageError(f"expected a scale above zero, and of 1 for integers, got {scale}")
        ring = rings.full(parameters, level) if extended else rings.chain(parameters, level)
        scaled = coefficients * scale
        largest = float(np.abs(scaled).max())
        if not largest < 2.0**900:
            raise UsageError(f"expected finite numbers to encode, got {largest}")
        shift = max(0, math.ceil(math.log2(max(largest, 1.0) / _EXACT)))
        residues = ring.reduce(np.rint(scaled / 2.0**shift).astype(np.int64))
        if shift:  # beyond 62 bits the float64 holds zeros
            residues = ring.scale(residues, [2**shift] * len(ring.primes))
        return Plaintext(
            residues=ring.forward(residues),
            level=level,
            scale=float(scale),
            norms=Norms.of(_rounded(scaled, shift)),
            extended=extended,
        )


def galois_element(parameters: Parameters, steps: int) -> int:
    """The automorphism `X -> X^element` that moves slot i + steps to slot i, cyclically in each row."""
    return pow(5, steps % parameters.slots, 2 * parameters.degree)


def row_swap_element(parameters: Parameters) -> int:
    """The automorphism that swaps the two rows of BGV (in CKKS, conjugates)."""
    return 2 * parameters.degree - 1


def _rounded(scaled: NDArray[np.float64], shift: int) -> NDArray[np.float64]:
    return np.asarray(np.rint(scaled / 2.0**shift) * 2.0**shift)


def _integers(numbers: NDArray[np.generic]) -> NDArray[np.int64]:
    if numbers.dtype.kind not in "iu":
        raise UsageError(f"expected integers to encode, got {numbers.dtype}")
    return numbers.astype(np.int64)


def _centred(numbers: NDArray[np.int64], t: int) -> NDArray[np.float64]:
    """The representatives in (-t/2, t/2), as float64, in which they are exact."""
    residues = numbers % t
    return np.where(residues > t // 2, residues - t, residues).astype(np.float64)


@lru_cache(maxsize=8)
def _exponents(degree: int) -> NDArray[np.int64]:
    """`(5^i - 1) / 2 mod N` for each slot i: the polynomial at `psi^(2k + 1)` is slot i for k the i-th of these."""
    powers = [1]
    for _ in range(degree // 2 - 1):
        powers.append(powers[-1] * 5 % (2 * degree))
    return (np.array(powers, dtype=np.int64) - 1) // 2


@lru_cache(maxsize=8)
def _places(degree: int) -> NDArray[np.int64]:
    """Where the slots (2, N/2) of BGV are in the NTT domain."""
    order = np.zeros(1, dtype=np.int64)
    while len(order) < degree:
        order = np.concatenate([2 * order, 2 * order + 1])
    first = _exponents(degree)
    return order[np.stack([first, degree - 1 - first])]
