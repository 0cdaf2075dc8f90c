"""The values of the scheme: plaintexts, ciphertexts, and ciphertexts on their way through a switch of keys."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from holdfast.he.bounds import Bound, Norms
from holdfast.he.kernels import Residues


@dataclass(frozen=True, eq=False, kw_only=True)
class Plaintext:
    """A polynomial that is known, ready for products and sums.

    Args:
        residues: (limbs, N) in the NTT domain, over the first `level` primes and, if extended, the special ones.
        level: the level of ciphertexts that it goes with.
        scale: what its numbers were multiplied by; 1 in BGV.
        norms: how large its coefficients are.
        extended: whether it goes with `Extended` ciphertexts as well.
    """

    residues: Residues = field(repr=False)
    level: int
    scale: float
    norms: Norms
    extended: bool = False

    @property
    def base(self) -> Residues:
        """The residues without those over the special primes."""
        return self.residues[: self.level]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ciphertext:
    """`parts[0] + parts[1]·s (+ parts[2]·s^2) = message + noise`, s the secret, over the first `level` primes.

    In BGV the message is an integer polynomial modulo t, and the noise a multiple of t. In CKKS the message is scaled
    by `scale`, and the noise is added to it.

    Args:
        parts: (2 or 3, level, N) in the NTT domain.
        scale: 1 in BGV.
        message: how large the message can be.
        noise: how large the noise can be, if the ciphertexts it was made of were honest.
    """

    parts: Residues = field(repr=False)
    scale: float
    message: Bound
    noise: Bound

    @property
    def level(self) -> int:
        """Primes that it is over."""
        return int(self.parts.shape[1])

    @property
    def noise_bits(self) -> float:
        """The bound on a coefficient of the noise, in bits."""
        return math.log2(max(self.noise.coefficient, 1.0))


@dataclass(frozen=True, eq=False, kw_only=True)
class Extended:
    """P times a ciphertext, over the special primes as well: between the two halves of a switch of keys.

    Sums and plaintext products of these cost one division by P in the end instead of one each (double hoisting,
    Bossuat, Mouchet, Troncoso-Pastoriza and Hubaux 2021, section 4).

    Args:
        parts: (2, level + special primes, N) in the NTT domain.
        level: of the ciphertext that it becomes.
        scale, message, noise: of that ciphertext, before the rounding.
    """

    parts: Residues = field(repr=False)
    level: int
    scale: float
    message: Bound
    noise: Bound
