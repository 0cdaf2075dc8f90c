"""Parameters of the ring and of the scheme, refused on construction where they would not be secure.

Every ciphertext lives over `Z_Q[X] / (X^N + 1)`, Q a product of primes that are 1 modulo 2N, so that each has a
negacyclic NTT. A ciphertext at level l lives over the first l primes; switching to another key happens over these and
the special primes, whose product P keeps the noise of it down (Han and Ki 2020).

With a plaintext modulus the scheme is BGV and exact (Brakerski, Gentry and Vaikuntanathan 2012); without one it is
CKKS and approximate (Cheon, Kim, Kim and Song 2017). In BGV every prime is 1 modulo t as well: dividing by one leaves
the message alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from holdfast.errors import UsageError, WireError

MAX_LOG2_MODULUS: Final = MappingProxyType({2048: 53, 4096: 106, 8192: 214, 16384: 430, 32768: 868})
"""Ring degree to the largest log2 of Q·P at 128-bit security, ternary secret, error of standard deviation 3.19.

Source: Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption", 2024, 128-bit classical column;
the figure for 2048 is of the authors' own script for that column.
"""

MAX_PRIME_BITS: Final = 50
"""Bits of a prime; the kernels hold quotients in float64 and lazy sums in 52 bits."""
MIN_PRIME_BITS: Final = 18
"""Bits of a prime; below it there are none for the larger rings."""
MAX_PLAINTEXT_BITS: Final = 31
"""Bits of the plaintext modulus; products of two messages fit in 64 bits."""
MAX_PRIMES: Final = 40
"""Primes and special primes; more never pass the security table."""
ERROR_BOUND: Final = 21
"""Largest error coefficient: the parameter of a centred binomial distribution, standard deviation sqrt(10.5) = 3.24."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The ring, its moduli and the scheme.

    Args:
        degree: N, a power of two.
        primes: factors of Q; a ciphertext loses the last one first.
        special_primes: factors of P; without them there is no switching of keys, so no rotation and no relinearisation.
        plaintext_modulus: t, a prime that is 1 modulo 2N, for BGV; None for CKKS.

    Raises:
        UsageError: the parameters are malformed, or offer less than 128 bits of security.
    """

    degree: int
    primes: tuple[int, ...]
    special_primes: tuple[int, ...] = ()
    plaintext_modulus: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is malformed or insecure."""
        if self.degree not in MAX_LOG2_MODULUS:
            raise UsageError(f"expected a ring degree of {', '.join(map(str, MAX_LOG2_MODULUS))}, got {self.degree}")
        self._check_primes()
        limit = MAX_LOG2_MODULUS[self.degree]
        if self.log2_total > limit:
            raise UsageError(
                f"at degree {self.degree} a modulus of {limit} bits is 128-bit secure, got {self.log2_total:.1f} bits"
            )

    def _check_primes(self) -> None:
        every = self.primes + self.special_primes
        if not self.primes or len(every) > MAX_PRIMES or len(set(every)) != len(every):
            raise UsageError(f"expected one to {MAX_PRIMES} primes, all different, got {every}")
        t = self.plaintext_modulus
        if t is not None and not (t < 2**MAX_PLAINTEXT_BITS and t % (2 * self.degree) == 1 and is_prime(t)):
            raise UsageError(
                f"expected a plaintext modulus that is a prime below 2^{MAX_PLAINTEXT_BITS} and 1 modulo"
                f" {2 * self.degree}, got {t}"
            )
        step = 2 * self.degree * (t or 1)
        for prime in every:
            if not 2 ** (MIN_PRIME_BITS - 1) < prime < 2**MAX_PRIME_BITS or prime % step != 1 or not is_prime(prime):
                raise UsageError(
                    f"expected primes between 2^{MIN_PRIME_BITS - 1} and 2^{MAX_PRIME_BITS} that are 1 modulo {step},"
                    f" got {prime}"
                )

    @classmethod
    def generate(
        cls,
        degree: int,
        *,
        bits: Sequence[int],
        special_bits: Sequence[int] = (),
        plaintext_modulus: int | None = None,
    ) -> Parameters:
        """The largest primes of so many bits each that are right for the ring and not taken yet: always the same ones.

        Raises:
            UsageError: there are not enough primes of that size, or they would not be secure.
        """
        step, found = 2 * degree * (plaintext_modulus or 1), list[int]()
        for size in (*bits, *special_bits):
            found.append(_largest_prime(size, step=step, but=found))
        return cls(
            degree=degree,
            primes=tuple(found[: len(bits)]),
            special_primes=tuple(found[len(bits) :]),
            plaintext_modulus=plaintext_modulus,
        )

    @property
    def slots(self) -> int:
        """Slots of one row, N/2: what a rotation goes round in."""
        return self.degree // 2

    @property
    def rows(self) -> int:
        """Rows of slots: two in BGV, one in CKKS."""
        return 1 if self.plaintext_modulus is None else 2

    @property
    def digit(self) -> int:
        """Primes in each digit that key switching takes a polynomial apart into."""
        return len(self.special_primes)

    @property
    def max_level(self) -> int:
        """The level of a ciphertext over all primes."""
        return len(self.primes)

    def modulus(self, level: int) -> int:
        """The product of the first `level` primes."""
        return math.prod(self.primes[:level])

    @property
    def special_modulus(self) -> int:
        """P."""
        return math.prod(self.special_primes)

    @property
    def log2_modulus(self) -> float:
        """The size of Q in bits: what one coefficient of a query takes."""
        return math.log2(self.modulus(self.max_level))

    @property
    def log2_total(self) -> float:
        """The size of Q·P in bits: what security is measured by."""
        return math.log2(self.modulus(self.max_level) * self.special_modulus)

    def digits(self, level: int) -> int:
        """Digits of a polynomial at that level."""
        return -(-level // self.digit) if self.digit else 0

    def security(self) -> str:
        """One sentence that states the parameters and the table that they are measured against."""
        return (
            f"ring-LWE with N = {self.degree}, log2 QP = {self.log2_total:.1f} (at most"
            f" {MAX_LOG2_MODULUS[self.degree]} in the 128-bit classical column of Bossuat et al. 2024), uniform ternary"
            f" secret, centred binomial error with parameter {ERROR_BOUND} (standard deviation 3.24; table 3.19)"
        )

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON."""
        return {
            "degree": self.degree,
            "primes": list(self.primes),
            "special_primes": list(self.special_primes),
            "plaintext_modulus": self.plaintext_modulus,
        }

    @classmethod
    def from_json(cls, document: object) -> Parameters:
        """The inverse of `to_json`.

        Raises:
            WireError: the document is not what `to_json` makes, or its parameters are refused.
        """
        if not isinstance(document, dict) or document.keys() != cls.__dataclass_fields__.keys():
            raise WireError(f"expected parameters with the fields {', '.join(cls.__dataclass_fields__)}")
        lists = [document["primes"], document["special_primes"]]
        if not all(isinstance(numbers, list) and len(numbers) <= MAX_PRIMES for numbers in lists):
            raise WireError(f"expected lists of at most {MAX_PRIMES} primes")
        t = document["plaintext_modulus"]
        if not all(type(n) is int for n in (document["degree"], *lists[0], *lists[1], *([] if t is None else [t]))):
            raise WireError("expected whole numbers in the parameters")
        try:
            return cls(
                degree=document["degree"],
                primes=tuple(lists[0]),
                special_primes=tuple(lists[1]),
                plaintext_modulus=t,
            )
        except UsageError as refusal:
            raise WireError(str(refusal)) from refusal


def is_prime(number: int) -> bool:
    """Miller-Rabin with the first twelve primes, exact below 2^64 (Sorenson and Webster 2015); larger numbers are no.

    >>> [n for n in range(60, 80) if is_prime(n)]
    [61, 67, 71, 73, 79]
    """
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if number < 2 or number >= 2**64 or any(number % base == 0 for base in bases):
        return number in bases
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        powers = [pow(base, odd << i, number) for i in range(twos)]
        if powers[0] != 1 and number - 1 not in powers:
            return False
    return True


def _largest_prime(bits: int, *, step: int, but: Sequence[int]) -> int:
    if not MIN_PRIME_BITS <= bits <= MAX_PRIME_BITS:
        raise UsageError(f"expected primes of {MIN_PRIME_BITS} to {MAX_PRIME_BITS} bits, got {bits}")
    candidates = range((2**bits - 2) // step * step + 1, 2 ** (bits - 1), -step)
    found = next((number for number in candidates if number not in but and is_prime(number)), None)
    if found is None:
        raise UsageError(f"expected another prime of {bits} bits that is 1 modulo {step}, found none")
    return found
