"""The numbers that the native kernels want beforehand: roots of unity, permutations, constants of base conversions.

Each is computed once and kept, because the same few rings are used again and again.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he.native import native

_MOST_TRIED = 1000


@lru_cache(maxsize=128)
def prime(degree: int, q: int) -> native.Prime:
    """A prime with its tables.

    Raises:
        UsageError: the degree or the prime is not what `Ring` takes.
    """
    if not (degree >= 2 and 2 < q < 2**50 and q % (2 * degree) == 1):
        raise UsageError(f"expected primes below 2^50 that are 1 modulo twice the degree {degree}, got {q}")
    exponent = (q - 1) // (2 * degree)
    candidates = (pow(g, exponent, q) for g in range(2, _MOST_TRIED))
    psi = next((root for root in candidates if pow(root, degree, q) == q - 1), 0)
    try:
        return native.Prime(degree, q, psi)
    except ValueError as error:
        raise UsageError(
            f"expected a ring with roots of unity, got degree {degree} and modulus {q}: {error}"
        ) from error


@lru_cache(maxsize=256)
def basis(degree: int, primes: tuple[int, ...]) -> native.Basis:
    """The primes of a ring, in their order."""
    if not primes:
        raise UsageError("expected a ring over at least one prime, got none")
    return native.Basis([prime(degree, q) for q in primes])


@lru_cache(maxsize=1024)
def galois_indices(degree: int, element: int) -> NDArray[np.int32]:
    """The permutation of the NTT domain that takes X to X^element."""
    if element % 2 == 0:
        raise UsageError(f"expected an odd Galois element, got {element}")
    order = _bit_reversal(degree)
    exponents = (2 * order + 1) * element % (2 * degree)
    indices = order[exponents // 2].astype(np.int32)
    indices.flags.writeable = False
    return indices


@lru_cache(maxsize=512)
def conversion(degree: int, source: tuple[int, ...], target: tuple[int, ...], t: int = 1) -> native.Conversion:
    """Takes x to `t·[x/t]`, where `[·]` is the centred residue modulo the product of the source primes."""
    modulus = math.prod(source)
    cofactors = [modulus // q for q in source]
    scale = [_inverse(cofactor * t, q) for cofactor, q in zip(cofactors, source, strict=True)]
    matrix = [[cofactor * t % q for cofactor in cofactors] for q in target]
    wrap = [-modulus * t % q for q in target]
    return native.Conversion(basis(degree, source), basis(degree, target), scale, matrix, wrap)


@lru_cache(maxsize=256)
def digit_conversions(
    degree: int, chain: tuple[int, ...], full: tuple[int, ...], digit: int
) -> list[native.Conversion]:
    """For each digit of so many primes, the conversion to all primes."""
    starts = range(0, len(chain), digit)
    return [conversion(degree, chain[start : start + digit], full) for start in starts]


@lru_cache(maxsize=256)
def division(degree: int, chain: tuple[int, ...], full: tuple[int, ...], t: int) -> tuple[native.Conversion, list[int]]:
    """For a division by the primes after the chain's: the conversion, and the inverses of their product.

    Raises:
        UsageError: there is no such prime, or t is not prime to all of them.
    """
    special = full[len(chain) :]
    modulus = math.prod(special)
    if not chain or not special or t < 1:
        raise UsageError(f"expected primes to keep, primes to divide by and t of at least 1, got t = {t}")
    return conversion(degree, special, chain, t), [_inverse(modulus, q) for q in chain]


def _inverse(number: int, q: int) -> int:
    if math.gcd(number, q) != 1:
        raise UsageError(f"expected different primes, none of which divides t, got {q} twice or in t")
    return pow(number, -1, q)


@lru_cache(maxsize=16)
def _bit_reversal(size: int) -> NDArray[np.int64]:
    order = np.zeros(1, dtype=np.int64)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order
