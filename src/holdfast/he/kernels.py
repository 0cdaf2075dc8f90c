"""The hot loops over residues, and nothing else: what a native engine replaces.

Residues are int64 arrays whose first axis runs over the primes: `(primes, N)`. A value stands for its class modulo the
prime of its row. Kernels return centred representatives, at most `prime / 2 + 2^10` in absolute value. Transforms take
centred ones too; the other kernels take any below 2^31 in absolute value. `canonical` gives the one in [0, prime).

Everything is exact. A quotient is guessed in float64 and may be one off, a remainder is computed without rounding: in
int64 for products of two residues, in float64 for matrix products, where every partial sum is an integer below 2^53:
128 products of a centred residue and a limb of 15 bits and sign.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Residues: TypeAlias = NDArray[np.int64]
Positions: TypeAlias = NDArray[np.int64]
_Floats: TypeAlias = NDArray[np.float64]
_Limbs: TypeAlias = tuple[_Floats, _Floats]

_Kernel: TypeAlias = Callable[..., Residues]

_LIMB: Final = 2**16
_BLAS_SINGLE_THREAD: Final = 2**18


class Ring:
    """Arithmetic in `Z_q[X] / (X^N + 1)` for several primes q, each in a `PrimeField` of its own.

    Work goes prime by prime, because 64 KiB stay in the cache, and because memory of that size is used again where a
    larger block would be given back to the operating system and zeroed anew.

    A polynomial is held as N coefficients, or as its N values at the odd powers of a root of unity `psi` of order 2N
    (the NTT domain), where multiplication is element by element. The order of the values is that of `PrimeField`.
    """

    def __init__(self, degree: int, primes: tuple[int, ...]) -> None:
        self.degree = degree
        self.fields = tuple(PrimeField(degree, prime) for prime in primes)

    def forward(self, coefficients: Residues) -> Residues:
        """Centred coefficients `(primes, N)` to the NTT domain `(primes, N)`."""
        return self._each(PrimeField.forward, coefficients)

    def forward_small(self, coefficients: Residues) -> Residues:
        """Integers `(N,)` of at most 2^15 in absolute value to the NTT domain of all primes; a quarter faster."""
        return self._each(PrimeField.forward_small, np.broadcast_to(coefficients, (len(self.fields), self.degree)))

    def inverse(self, values: Residues) -> Residues:
        """Centred values `(primes, N)` in the NTT domain back to coefficients `(primes, N)`."""
        return self._each(PrimeField.inverse, values)

    def coefficients(self, values: Residues, positions: Positions) -> Residues:
        """A few coefficients `(primes, positions)` of what `inverse` would give, at a fraction of its cost."""
        rows = zip(self.fields, values, strict=True)
        return np.stack([prime.coefficients(row, positions) for prime, row in rows])

    def multiply(self, a: Residues, b: Residues) -> Residues:
        """`a·b`, element by element; b must be centred."""
        return self._each(PrimeField.multiply, a, b)

    def centred(self, residues: Residues) -> Residues:
        """The representatives nearest to zero."""
        return self._each(PrimeField.reduced, residues)

    def canonical(self, residues: Residues) -> Residues:
        """The representatives in [0, prime); there may be fewer rows than primes."""
        return self._each(PrimeField.canonical, residues)

    def drop_primes(self, residues: Residues, *, keep: int) -> Residues:
        """Divide by the primes after the first `keep`, one after the other, and round: so many rows are left."""
        rows = list(residues)
        while len(rows) > keep:
            divisor, last = self.fields[len(rows) - 1].q, rows.pop()
            rows = [field.divided(row - last, divisor) for field, row in zip(self.fields, rows, strict=False)]
        return np.stack(rows)

    def _each(self, kernel: _Kernel, *operands: Residues) -> Residues:
        out = np.empty(operands[0].shape, dtype=np.int64)
        for row, prime in enumerate(self.fields[: len(out)]):
            out[row] = kernel(prime, *(operand[row] for operand in operands))
        return out


class PrimeField:
    """The kernels for one prime q, on arrays `(N,)` of one row.

    With N = A·B (128·64 for 8192), the value at position `B·c + d` of the NTT domain is that at
    `psi^(2(c + A·d) + 1)`; `psi` is the first of `g^((q-1)/2N)`, g = 2, 3, …, that has order 2N.

    The transform is Bailey's four-step method: two small matrix products with a twist between them. With the BLAS that
    NumPy carries this takes less time than thirteen passes of butterflies.
    """

    def __init__(self, degree: int, q: int) -> None:
        self.q = q
        self._inverse = 1 / q
        self.columns = 1 << ((degree.bit_length() - 1) // 2)
        self.rows = degree // self.columns
        powers = _root_powers(degree, q)
        a, b = np.arange(self.rows), np.arange(self.columns)
        outer = self.columns * a[:, None] * (2 * a[None, :] + 1)  # [a, c]
        twist = (2 * a[:, None] + 1) * b[None, :]  # [c, b]
        inner = 2 * self.rows * b[:, None] * b[None, :]  # [b, d]
        order = 2 * degree
        self._outer = _limbs(powers[outer.T % order])
        self._outer_whole = powers[outer.T % order].astype(np.float64)
        self._twist = powers[twist % order]
        self._inner = _limbs(powers[inner % order])
        self._outer_back = _limbs(powers[-outer % order])
        self._twist_back = self.reduced(powers[-twist % order] * pow(degree, -1, q))
        self._inner_back = _limbs(powers[-inner % order])

    def forward(self, coefficients: Residues) -> Residues:
        """See `Ring.forward`."""
        grid = coefficients.reshape(self.rows, self.columns).astype(np.float64)
        return self._finished(self._combined(*(_product(limb, grid) for limb in self._outer)))

    def forward_small(self, coefficients: Residues) -> Residues:
        """See `Ring.forward_small`."""
        first = _product(self._outer_whole, coefficients.reshape(self.rows, self.columns).astype(np.float64))
        self._reduce_floats(first)
        return self._finished(first)

    def _finished(self, first: _Floats) -> Residues:
        """The twist and the second product of a forward transform."""
        twisted = self._twisted(first, self._twist)
        return self._combined(*(_product(twisted, limb) for limb in self._inner)).ravel().astype(np.int64)

    def inverse(self, values: Residues) -> Residues:
        """See `Ring.inverse`."""
        grid = values.reshape(self.rows, self.columns).astype(np.float64)
        twisted = self._twisted(self._combined(*(_product(grid, limb) for limb in self._inner_back)), self._twist_back)
        return self._combined(*(_product(limb, twisted) for limb in self._outer_back)).ravel().astype(np.int64)

    def coefficients(self, values: Residues, positions: Positions) -> Residues:
        """See `Ring.coefficients`."""
        a, b = np.divmod(positions, self.columns)
        grid = values.reshape(self.rows, self.columns).astype(np.float64)
        picked = self._combined(*(grid @ limb[:, b] for limb in self._inner_back))
        twisted = self._twisted(picked, self._twist_back[:, b])
        sums = (np.einsum("kc,ck->k", limb[a], twisted) for limb in self._outer_back)
        return self._combined(*sums).astype(np.int64)

    def multiply(self, a: Residues, b: Residues) -> Residues:
        """`a·b`; b must be centred."""
        return self.reduced(a * b)

    def multiply_add(self, a: Residues, b: Residues, c: Residues, d: Residues) -> Residues:
        """`a·b + c·d`; b and d must be centred."""
        total = a * b
        total += c * d
        return self.reduced(total)

    def divided(self, residues: Residues, divisor: int) -> Residues:
        """The quotient by a number that is prime to q."""
        inverse = pow(divisor, -1, self.q)
        return self.reduced(residues * (inverse - self.q if inverse > self.q // 2 else inverse))

    def canonical(self, residues: Residues) -> Residues:
        """The representatives in [0, q)."""
        out = self.reduced(residues)
        out += (out >> 63) & self.q  # the sign bit as a mask
        return out

    def reduced(self, numbers: Residues) -> Residues:
        """Centred residues of numbers below 2^62 in absolute value."""
        quotient = numbers * self._inverse
        np.rint(quotient, out=quotient)
        product = quotient.astype(np.int64)
        product *= -self.q
        product += numbers
        return product

    def _combined(self, high: _Floats, low: _Floats) -> _Floats:
        """`2^16·high + low`, reduced, in place; both are integers of at most 2^52 + 2^32 in absolute value."""
        self._reduce_floats(high)
        high *= _LIMB
        high += low
        self._reduce_floats(high)
        return high

    def _reduce_floats(self, numbers: _Floats) -> None:
        quotient = numbers * self._inverse
        np.rint(quotient, out=quotient)
        quotient *= self.q
        numbers -= quotient

    def _twisted(self, grid: _Floats, twist: Residues) -> _Floats:
        return self.reduced(grid.astype(np.int64) * twist).astype(np.float64)


@lru_cache(maxsize=4)
def ring(degree: int, primes: tuple[int, ...]) -> Ring:
    """The ring of a degree and its primes; tables are built once."""
    return Ring(degree, primes)


def _root_powers(degree: int, q: int) -> Residues:
    """`psi^0 … psi^(2N-1)`, centred."""
    exponent = (q - 1) // (2 * degree)
    psi = next(root for g in range(2, q) if pow(root := pow(g, exponent, q), degree, q) == q - 1)
    powers = [1]
    for _ in range(2 * degree - 1):
        powers.append(powers[-1] * psi % q)
    residues = np.array(powers, dtype=np.int64)
    return residues - np.where(residues > q // 2, q, 0)


def _product(left: _Floats, right: _Floats) -> _Floats:
    """`left @ right` by blocks of rows, each too small for OpenBLAS to wake its threads (2^18 products).

    The threads win nothing here, and where other work holds the cores they have been seen to take 50 times as long.
    """
    rows = min(len(left), _BLAS_SINGLE_THREAD // right.size)
    blocks = left.reshape(-1, rows, left.shape[1]) @ right
    return blocks.reshape(len(left), right.shape[1])


def _limbs(residues: Residues) -> _Limbs:
    """Split `x = 2^16·high + low` with |low| <= 2^15, so that a sum of 128 products with residues stays exact."""
    low = (residues + _LIMB // 2) % _LIMB - _LIMB // 2
    return ((residues - low) // _LIMB).astype(np.float64), low.astype(np.float64)
