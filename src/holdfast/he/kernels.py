"""Arithmetic over residues: the entrance to the native kernels of `native/`, and nothing else.

Residues are uint64 arrays `(..., limbs, N)` with values in [0, q) for the prime q of each limb, q < 2^50. Every result
is a new array, exact, and the same on every machine: which instruction set computed it does not show. Polynomials of
ciphertexts, keys and plaintexts are held in the NTT domain, where products are value by value: value k is the
polynomial at `psi^(2·bitrev(k) + 1)`, where `psi` is the first of `g^((q-1)/2N)`, g = 2, 3, …, that has order 2N.

Kernels let other Python threads run. They use the cores that the process may use, or as many threads as the environment
variable HOLDFAST_THREADS says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import constants
from holdfast.he.native import native

Residues: TypeAlias = NDArray[np.uint64]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Ring:
    """`Z_q[X] / (X^N + 1)` for several primes q.

    Args:
        degree: N, a power of two from 16 to 131,072.
        primes: each below 2^50, and 1 modulo 2N.

    Raises:
        UsageError: degree or primes are not that; from a kernel: an array does not have the ring's shape.
    """

    def __init__(self, degree: int, primes: tuple[int, ...]) -> None:
        self.degree = degree
        self.primes = tuple(primes)
        self.basis = constants.basis(degree, self.primes)

    def select(self, rows: Sequence[int]) -> Ring:
        """The ring over some of the primes; tables are shared."""
        return Ring(self.degree, tuple(self.primes[row] for row in rows))

    def head(self, count: int) -> Ring:
        """The ring over the first primes."""
        return self.select(range(count))

    def forward(self, a: Residues) -> Residues:
        """Coefficients to the NTT domain."""
        return _call(native.forward, self.basis, _array(a))

    def inverse(self, a: Residues) -> Residues:
        """The NTT domain back to coefficients."""
        return _call(native.inverse, self.basis, _array(a))

    def add(self, a: Residues, b: Residues) -> Residues:
        """`a + b`; b may be one polynomial where a holds several."""
        return _call(native.add, self.basis, _array(a), _array(b))

    def subtract(self, a: Residues, b: Residues) -> Residues:
        """`a - b`; b may be one polynomial where a holds several."""
        return _call(native.subtract, self.basis, _array(a), _array(b))

    def negate(self, a: Residues) -> Residues:
        """`-a`."""
        return _call(native.negate, self.basis, _array(a))

    def multiply(self, a: Residues, b: Residues) -> Residues:
        """`a·b`, value by value; b may be one polynomial where a holds several."""
        return _call(native.multiply, self.basis, _array(a), _array(b))

    def scale(self, a: Residues, factors: Sequence[int]) -> Residues:
        """`a` times one integer of any size per prime."""
        if len(factors) != len(self.primes):
            raise UsageError(f"expected {len(self.primes)} factors, one per prime, got {len(factors)}")
        reduced = [factor % q for factor, q in zip(factors, self.primes, strict=True)]
        return _call(native.scale, self.basis, _array(a), reduced)

    def dot(self, a: Sequence[Residues], b: Sequence[Residues]) -> Residues:
        """`Σ a[i]·b[i]`; each b[i] may be one polynomial where the a[i] hold several."""
        return _call(native.dot, self.basis, [_array(x) for x in a], [_array(x) for x in b])

    def combine(self, a: Sequence[Residues], weights: Residues) -> Residues:
        """`out[o] = Σ_i weights[o, i]·a[i]`, for polynomials that only have coefficients at multiples of some N/runs.

        Such a polynomial is constant on each of `runs` equally long runs of the NTT domain: that of a ring of degree
        `runs` over the same primes has these values. Products with many of them take no memory to speak of.

        Args:
            a: of one shape (..., limbs, N).
            weights: (limbs, runs, outputs, len(a)).

        Returns:
            (outputs, ..., limbs, N).
        """
        return _call(native.combine, self.basis, [_array(x) for x in a], _array(weights))

    def permute(self, a: Residues, indices: NDArray[np.int32]) -> Residues:
        """`out[..., j] = a[..., indices[j]]`."""
        return _call(native.permute, _array(a), indices)

    def galois_indices(self, element: int) -> NDArray[np.int32]:
        """The permutation of the NTT domain that takes X to X^element; element is odd."""
        return constants.galois_indices(self.degree, element % (2 * self.degree))

    def reduce(self, coefficients: NDArray[np.int64]) -> Residues:
        """Signed integers `(..., N)` to residues `(..., limbs, N)`."""
        return _call(native.reduce, self.basis, _array(coefficients, np.int64))


def convert(a: Residues, source: Ring, target: Ring) -> Residues:
    """Coefficients `(..., source limbs, N)` to `(..., target limbs, N)`: the same integers, centred around zero.

    Halevi, Polyakov and Shoup 2018, "An improved RNS variant of the BFV homomorphic encryption scheme", section 2.2.
    Within 2^-45 of half the product of the source primes either sign may come.
    """
    conversion = constants.conversion(source.degree, source.primes, target.primes)
    return _call(native.convert, source.basis, target.basis, conversion, _array(a))


def decompose(c: Residues, chain: Ring, full: Ring, digit: int) -> Residues:
    """The digits of a polynomial: `(limbs, N)` to `(dnum, full limbs, N)`, all in the NTT domain.

    Digit number d is the centred residue modulo the primes `d·digit … (d+1)·digit - 1` of the chain, over the primes of
    `full`: the chain's, then the special ones. Han and Ki 2020, "Better bootstrapping for approximate homomorphic
    encryption", section 3, after Cheon, Han, Kim, Kim and Song 2018.
    """
    if digit < 1:
        raise UsageError(f"expected digits of at least one prime, got {digit}")
    conversions = constants.digit_conversions(chain.degree, chain.primes, full.primes, digit)
    return _call(native.decompose, chain.basis, full.basis, conversions, digit, _array(c))


def key_product(
    digits: Residues,
    key: Residues,
    full: Ring,
    indices: NDArray[np.int32] | None = None,
    rows: Sequence[int] | None = None,
) -> Residues:
    """`Σ_d digits[d]·key[d]`: `(dnum, limbs, N)` and a key `(dnum, 2, limbs, N)` to `(2, limbs, N)`.

    With the indices of an automorphism the digits are permuted first: the hoisted rotation of Halevi and Shoup 2018,
    "Faster homomorphic linear transformations in HElib", section 5. The key may be one for a higher level, with more
    digits and limbs: limb i of the digits then meets limb `rows[i]` of the key.
    """
    chosen = range(len(full.primes)) if rows is None else rows
    return _call(native.key_product, full.basis, _array(digits), _array(key), list(chosen), indices)


def mod_down(a: Residues, chain: Ring, full: Ring, t: int = 1) -> Residues:
    """Divide by the special primes and round: `(..., full limbs, N)` to `(..., limbs, N)`, in the NTT domain.

    With P their product: a plus that multiple of t, at most t·P/2 in absolute value, that makes it divisible by P.
    """
    conversion, inverses = constants.division(chain.degree, chain.primes, full.primes, t)
    return _call(native.mod_down, chain.basis, full.basis, conversion, inverses, _array(a))


def drop_prime(a: Residues, chain: Ring, t: int = 1) -> Residues:
    """Divide by the last prime and round: `(..., limbs, N)` to `(..., limbs - 1, N)`; as in `mod_down`."""
    return mod_down(a, chain.head(len(chain.primes) - 1), chain, t)


def pack_bits(a: Residues, widths: Sequence[int]) -> bytes:
    """Residues `(..., limbs, N)` as bits, `widths[i]` for each value of limb i, lowest bit first, limb after limb."""
    return _call(native.pack_bits, _array(a), list(widths))


def unpack_bits(data: bytes, widths: Sequence[int], shape: tuple[int, ...]) -> Residues:
    """What `pack_bits` packed, of this shape. The values may be anything that fits their width.

    Raises:
        UsageError: the number of bytes is not that of the shape.
    """
    return _call(native.unpack_bits, data, list(widths), list(shape))


def available_paths() -> tuple[str, ...]:
    """The instruction sets that this machine has, slowest first: portable, avx2, avx512."""
    return native.available_paths()


def use_path(name: str) -> None:
    """Compute with one of the available paths from now on, or with the fastest: "auto"."""
    _call(native.use_path, name)


def set_threads(count: int) -> None:
    """How many threads a call may use; 0 for as many as the process has cores, or HOLDFAST_THREADS says."""
    native.set_threads(count)


def _call(kernel: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    try:
        return kernel(*arguments, **named)
    except (TypeError, ValueError) as error:
        raise UsageError(f"expected other arguments for a kernel: {error}".splitlines()[0]) from error


def _array(a: Any, dtype: type[np.generic] = np.uint64) -> Any:
    if not isinstance(a, np.ndarray) or a.dtype != dtype:
        raise UsageError(f"expected an array of {dtype.__name__}, got {getattr(a, 'dtype', type(a).__name__)}")
    return np.ascontiguousarray(a)
