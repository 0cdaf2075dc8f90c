"""Parameters of the ring and of the scheme, refused on construction where they would not be secure.

Every ciphertext lives over `Z_Q[X] / (X^N + 1)`. `Q` is a product of primes below 2^31 that are 1 modulo 2N, so that
each has a negacyclic NTT and a product of two residues fits in 64 bits. The first primes have a second meaning:

    Q = q1 · q2 · q3 · q4 · q5 · q6
        plaintext modulus t = q1 · q2, scaled by delta = q3 · q4 · q5 · q6
        modulus of an answer = q1 · q2 · q3, scaled by q3

`t` divides `Q`, so scaling a message by `Q / t` is exact and wrapping around `t` adds no noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

from holdfast.errors import UsageError

MAX_LOG2_MODULUS: Final = MappingProxyType({4096: 106, 8192: 214, 16384: 430, 32768: 868})
"""Ring degree to the largest log2 Q at 128-bit security, ternary secret, error of standard deviation 3.19.

Source: Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption", 2024, 128-bit classical column.
"""

MESSAGE_PRIMES: Final = 2
"""Primes whose product is the plaintext modulus."""
ANSWER_PRIMES: Final = 3
"""Primes that are left in an answer: the plaintext modulus and one to hold the noise."""
ERROR_BOUND: Final = 21
"""Largest error coefficient: the parameter of a centred binomial distribution, standard deviation sqrt(10.5) = 3.24."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The ring, the moduli and the flooding of the exact scheme.

    Args:
        degree: N, a power of two.
        primes: factors of Q, each a prime below 2^31 that is 1 modulo 2N; the module tells what their order means.
        flood_bits: an answer's noise is drowned in a uniform integer from [-2^flood_bits, 2^flood_bits).
        max_outputs: coefficients that one answer reveals at most; see `_check_hints`.

    Raises:
        UsageError: the parameters are malformed, or offer less than 128 bits of security.
    """

    degree: int
    primes: tuple[int, ...]
    flood_bits: int
    max_outputs: int

    def __post_init__(self) -> None:
        """Refuse what is malformed or insecure."""
        if self.degree not in MAX_LOG2_MODULUS:
            raise UsageError(f"expected a ring degree of {', '.join(map(str, MAX_LOG2_MODULUS))}, got {self.degree}")
        if len(self.primes) <= ANSWER_PRIMES or len(set(self.primes)) != len(self.primes):
            raise UsageError(f"expected more than {ANSWER_PRIMES} primes, all different, got {self.primes}")
        for prime in self.primes:
            if not 2**30 < prime < 2**31 or prime % (2 * self.degree) != 1 or not _is_prime(prime):
                raise UsageError(
                    f"expected primes between 2^30 and 2^31 that are 1 modulo {2 * self.degree}, got {prime}"
                )
        if self.log2_modulus > MAX_LOG2_MODULUS[self.degree]:
            raise UsageError(
                f"at degree {self.degree} a modulus of {MAX_LOG2_MODULUS[self.degree]} bits is 128-bit secure,"
                f" got {self.log2_modulus:.1f} bits"
            )
        if not 0 <= self.flood_bits <= math.log2(self.delta) - 2:
            raise UsageError(
                f"expected flooding of at most {math.log2(self.delta) - 2:.0f} bits, got {self.flood_bits}"
            )
        self._check_hints()

    def _check_hints(self) -> None:
        """Leave the server's mask secure even when the client made its public key maliciously.

        With a public key `b` of its own making, a client turns every revealed coefficient into a linear equation in the
        ternary mask `u`, exact down to the flood: `log2 Q - flood_bits` bits, enough to read that many over log2(3)
        coefficients of `u` outright. What is left of `u` must still be 128-bit secure for this `Q`; the table is
        linear in the degree to within two per cent, and is scaled so.
        """
        known = self.max_outputs * (self.log2_modulus - self.flood_bits) / math.log2(3)
        if self.log2_modulus > MAX_LOG2_MODULUS[self.degree] * (1 - known / self.degree):
            raise UsageError(f"revealing {self.max_outputs} coefficients in one answer would endanger its mask")

    @property
    def modulus(self) -> int:
        """Q."""
        return math.prod(self.primes)

    @property
    def log2_modulus(self) -> float:
        """The size of Q in bits."""
        return math.log2(self.modulus)

    @property
    def plaintext_modulus(self) -> int:
        """Messages are integers modulo this, taken in (-t/2, t/2)."""
        return math.prod(self.primes[:MESSAGE_PRIMES])

    @property
    def delta(self) -> int:
        """Q / t: what a message is multiplied by to lift it over the noise."""
        return math.prod(self.primes[MESSAGE_PRIMES:])

    @cached_property
    def answer_noise_bound(self) -> int:
        """Largest noise of an honest answer: the flood scaled down, one part in 2^40 for what it drowns, and rounding.

        Dividing the modulus by q4·q5·q6 rounds each coefficient by about a half; the rounding of the part that is
        multiplied by the ternary secret adds up over N coefficients.
        """
        dropped = math.prod(self.primes[ANSWER_PRIMES:])
        flood = ((1 << self.flood_bits) + (1 << max(0, self.flood_bits - 40))) // dropped + 1
        return flood + (self.degree + 1) * 513 // 1024 + 1

    def security(self) -> str:
        """One sentence that states the parameters and the table that they are measured against."""
        return (
            f"ring-LWE with N = {self.degree}, log2 Q = {self.log2_modulus:.1f} (at most"
            f" {MAX_LOG2_MODULUS[self.degree]} in the 128-bit classical column of Bossuat et al. 2024), uniform ternary"
            f" secret, centred binomial error with parameter {ERROR_BOUND} (standard deviation 3.24; table 3.19)"
        )


def _is_prime(number: int) -> bool:
    """Miller-Rabin with the bases 2, 3, 5 and 7, which is exact below 3,215,031,751 (Jaeschke 1993)."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7):
        powers = [pow(base, odd << i, number) for i in range(twos)]
        if powers[0] != 1 and number - 1 not in powers:
            return False
    return True


EXACT_8192: Final = Parameters(
    degree=8192,
    primes=(2147352577, 2147205121, 2147074049, 2146959361, 2146713601, 2146418689),
    flood_bits=104,
    max_outputs=16,
)
"""The six largest primes below 2^31 that are 1 modulo 16384: Q is just under 2^186, t under 2^62, delta under 2^124."""
