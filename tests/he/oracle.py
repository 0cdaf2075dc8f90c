"""Arithmetic over residues in NumPy, plainly: what the native kernels must equal, bit for bit.

Residues are uint64 arrays `(..., limbs, N)` with values in [0, q) for the prime q of each limb, q < 2^50. A quotient is
guessed in float64 and at most one off, because its operands are exact there; the remainder is then taken in wrapping
64-bit integers and put right.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Residues: TypeAlias = NDArray[np.uint64]

PRIME_BITS: Final = 50


class Ring:
    """`Z_q[X] / (X^N + 1)` for several primes q < 2^50, each 1 modulo 2N.

    Value k of the NTT domain is the polynomial at `psi^(2·bitrev(k) + 1)`; `psi` is the first of `g^((q-1)/2N)`,
    g = 2, 3, …, that has order 2N.
    """

    def __init__(self, degree: int, primes: tuple[int, ...]) -> None:
        self.degree = degree
        self.primes = primes
        self._q = np.array(primes, dtype=np.uint64)[:, None]
        tables = [_root_tables(degree, q) for q in primes]
        self._roots = np.stack([table[0] for table in tables])
        self._inverse_roots = np.stack([table[1] for table in tables])

    def select(self, rows: Sequence[int]) -> Ring:
        """The same ring over some of the primes."""
        return Ring(self.degree, tuple(self.primes[row] for row in rows))

    def head(self, count: int) -> Ring:
        """The same ring over the first primes."""
        return self.select(range(count))

    def forward(self, a: Residues) -> Residues:
        """Coefficients to the NTT domain (Longa-Naehrig 2016, algorithm 1)."""
        out = a.copy()
        blocks, half = 1, self.degree // 2
        while half:
            view = out.reshape(*a.shape[:-1], blocks, 2, half)
            roots, q = self._roots[:, blocks : 2 * blocks, None], self._q[:, :, None]
            left, right = view[..., 0, :], _times(view[..., 1, :], roots, q)
            view[..., 0, :], view[..., 1, :] = _plus(left, right, q), _minus(left, right, q)
            blocks, half = 2 * blocks, half // 2
        return out

    def inverse(self, a: Residues) -> Residues:
        """The NTT domain back to coefficients (Longa-Naehrig 2016, algorithm 2)."""
        out = a.copy()
        blocks, half = self.degree // 2, 1
        while blocks:
            view = out.reshape(*a.shape[:-1], blocks, 2, half)
            roots, q = self._inverse_roots[:, blocks : 2 * blocks, None], self._q[:, :, None]
            left, right = view[..., 0, :].copy(), view[..., 1, :].copy()
            view[..., 0, :], view[..., 1, :] = _plus(left, right, q), _times(_minus(left, right, q), roots, q)
            blocks, half = blocks // 2, 2 * half
        return self.scale(out, [pow(self.degree, -1, q) for q in self.primes])

    def add(self, a: Residues, b: Residues) -> Residues:
        """`a + b`."""
        return _plus(a, b, self._q)

    def subtract(self, a: Residues, b: Residues) -> Residues:
        """`a - b`."""
        return _minus(a, b, self._q)

    def negate(self, a: Residues) -> Residues:
        """`-a`."""
        return _minus(np.zeros_like(a), a, self._q)

    def multiply(self, a: Residues, b: Residues) -> Residues:
        """`a·b`, value by value."""
        return _times(a, b, self._q)

    def scale(self, a: Residues, constants: Sequence[int]) -> Residues:
        """`a` times one integer per prime."""
        return _times(a, _column([c % q for c, q in zip(constants, self.primes, strict=True)]), self._q)

    def dot(self, a: Sequence[Residues], b: Sequence[Residues]) -> Residues:
        """`Σ a[i]·b[i]`; each a[i] may be `(parts, limbs, N)` with b[i] `(limbs, N)`."""
        total = self.multiply(a[0], b[0])
        for left, right in zip(a[1:], b[1:], strict=True):
            total = self.add(total, self.multiply(left, right))
        return total

    def combine(self, a: Sequence[Residues], weights: Residues) -> Residues:
        """`out[o] = Σ_i weights[o, i]·a[i]`, weights (limbs, runs, outputs, len(a)), each constant on runs."""
        whole = np.repeat(weights.transpose(2, 3, 0, 1), a[0].shape[-1] // weights.shape[1], axis=-1)
        return np.stack([self.dot(a, list(output)) for output in whole])

    def permute(self, a: Residues, indices: NDArray[np.int32]) -> Residues:
        """`out[..., j] = a[..., indices[j]]`."""
        return np.ascontiguousarray(a[..., indices])

    def galois_indices(self, element: int) -> NDArray[np.int32]:
        """The permutation that takes X to X^element in the NTT domain; element is odd."""
        return _galois_indices(self.degree, element % (2 * self.degree))

    def reduce(self, coefficients: NDArray[np.int64]) -> Residues:
        """Signed integers `(..., N)` to residues `(..., limbs, N)`."""
        return np.mod(coefficients[..., None, :], self._q.astype(np.int64)).astype(np.uint64)


def convert(a: Residues, source: Ring, target: Ring) -> Residues:
    """Coefficients `(..., source limbs, N)` to `(..., target limbs, N)`: the same integers, centred around zero.

    Halevi-Polyakov-Shoup 2018, section 2.2. Within 2^-45 of half the product of the source primes either sign may come.
    """
    modulus = int(np.prod([int(q) for q in source.primes], dtype=object))
    cofactors = [modulus // q for q in source.primes]
    y = source.scale(a, [pow(c, -1, q) for c, q in zip(cofactors, source.primes, strict=True)])
    fractions = y.astype(np.float64) / source._q.astype(np.float64)
    overflow = np.rint(fractions.sum(axis=-2)).astype(np.uint64)[..., None, :]
    total = target.scale(np.repeat(overflow, len(target.primes), axis=-2), [-modulus] * len(target.primes))
    for i, cofactor in enumerate(cofactors):
        row = y[..., i : i + 1, :] % target._q
        total = target.add(total, target.scale(row, [cofactor] * len(target.primes)))
    return total


def decompose(c: Residues, chain: Ring, full: Ring, digit: int) -> Residues:
    """The digits of a polynomial: `(limbs, N)` to `(dnum, full limbs, N)`, all in the NTT domain.

    Digit number d is the centred residue modulo the primes `d·digit … (d+1)·digit - 1` of the chain, over the primes of
    `full`: the chain's, then the special ones (Han-Ki 2020, section 3).
    """
    coefficients = chain.inverse(c)
    digits = []
    for first in range(0, len(chain.primes), digit):
        rows = range(first, min(first + digit, len(chain.primes)))
        digits.append(full.forward(convert(coefficients[rows.start : rows.stop], chain.select(rows), full)))
    return np.stack(digits)


def key_product(digits: Residues, key: Residues, full: Ring, indices: NDArray[np.int32] | None = None) -> Residues:
    """`Σ_d digits[d]·key[d]` with the key `(dnum, 2, full limbs, N)`: `(2, full limbs, N)`.

    With `indices` the digits are permuted first: the hoisted rotation of Halevi-Shoup 2018, section 5.
    """
    moved = digits if indices is None else full.permute(digits, indices)
    return full.dot([part[None] for part in moved], list(key))


def mod_down(a: Residues, chain: Ring, full: Ring, t: int = 1) -> Residues:
    """Divide by the special primes and round: `(parts, full limbs, N)` to `(parts, limbs, N)`, in the NTT domain.

    The error is a multiple of t, at most t/2 per coefficient and half a unit more.
    """
    kept = len(chain.primes)
    special = full.select(range(kept, len(full.primes)))
    modulus = int(np.prod([int(q) for q in special.primes], dtype=object))
    rest = special.scale(
        special.inverse(np.ascontiguousarray(a[..., kept:, :])), [pow(t, -1, modulus)] * len(special.primes)
    )
    correction = chain.scale(chain.forward(convert(rest, special, chain)), [t] * kept)
    return chain.scale(chain.subtract(a[..., :kept, :], correction), [pow(modulus, -1, q) for q in chain.primes])


def drop_prime(a: Residues, chain: Ring, t: int = 1) -> Residues:
    """Divide by the last prime and round: `(parts, limbs, N)` to `(parts, limbs - 1, N)`; as `mod_down`."""
    return mod_down(a, chain.head(len(chain.primes) - 1), chain, t)


def pack_bits(a: Residues, widths: Sequence[int]) -> bytes:
    """Residues `(..., limbs, N)` as bits, `widths[i]` for each value of limb i, lowest bit first, limb after limb."""
    rows = a.reshape(-1, len(widths), a.shape[-1])
    packed = (_row_bits(row[i], width) for row in rows for i, width in enumerate(widths))
    return b"".join(packed)


def unpack_bits(data: bytes, widths: Sequence[int], shape: tuple[int, ...]) -> Residues:
    """What `pack_bits` packed, of this shape. The values may be anything that fits their width.

    Raises:
        ValueError: the number of bytes is not that of the shape.
    """
    count = int(np.prod(shape[:-2], dtype=np.int64))
    if len(data) != count * sum(widths) * shape[-1] // 8:
        raise ValueError(f"expected {count * sum(widths) * shape[-1] // 8} bytes of packed residues, got {len(data)}")
    rows, offset = [], 0
    for width in list(widths) * count:
        size = width * shape[-1] // 8
        bits = np.unpackbits(np.frombuffer(data, np.uint8, size, offset), bitorder="little").reshape(-1, width)
        words = np.packbits(np.pad(bits, ((0, 0), (0, 64 - width))), axis=1, bitorder="little")
        rows.append(words.view("<u8").ravel())
        offset += size
    return np.stack(rows).reshape(shape).astype(np.uint64)


def _column(values: Sequence[int]) -> Residues:
    return np.array(values, dtype=np.uint64)[:, None]


def _plus(a: Residues, b: Residues, q: Residues) -> Residues:
    total = a + b
    return np.minimum(total, total - q)  # the one that wrapped around is huge


def _minus(a: Residues, b: Residues, q: Residues) -> Residues:
    difference = a - b
    return np.minimum(difference, difference + q)


def _times(a: Residues, b: Residues, q: Residues) -> Residues:
    quotient = a.astype(np.float64) * b
    quotient *= 1 / q.astype(np.float64)
    remainder = a * b
    remainder -= quotient.astype(np.uint64) * q
    remainder = np.minimum(remainder, remainder + q)  # the quotient was one too large
    return np.minimum(remainder, remainder - q)  # or one too small


def _row_bits(row: Residues, width: int) -> bytes:
    octets = np.ascontiguousarray(row, dtype="<u8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(octets, axis=1, bitorder="little", count=width)
    return np.packbits(bits, bitorder="little").tobytes()


@lru_cache(maxsize=64)
def _root_tables(degree: int, q: int) -> tuple[Residues, Residues]:
    """`psi^bitrev(k)` and `psi^-bitrev(k)` for k < N."""
    exponent = (q - 1) // (2 * degree)
    psi = next(root for g in range(2, q) if pow(root := pow(g, exponent, q), degree, q) == q - 1)
    order = _bit_reversal(degree)
    return _powers(psi, degree, q)[order], _powers(pow(psi, -1, q), degree, q)[order]


def _powers(base: int, count: int, q: int) -> Residues:
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * base % q)
    return np.array(powers, dtype=np.uint64)


@lru_cache(maxsize=1024)
def _galois_indices(degree: int, element: int) -> NDArray[np.int32]:
    order = _bit_reversal(degree)
    exponents = (2 * order + 1) * element % (2 * degree)
    indices = order[(exponents - 1) // 2].astype(np.int32)
    indices.flags.writeable = False
    return indices


@lru_cache(maxsize=16)
def _bit_reversal(size: int) -> NDArray[np.int64]:
    order = np.zeros(1, dtype=np.int64)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order
