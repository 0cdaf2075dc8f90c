"""How large a polynomial can be: the bounds by which noise is tracked, in plain numbers, not in bits.

A polynomial that nobody knows, a message or a noise, has three bounds (`Bound`):

    canonical    on its value at every 2N-th root of unity; products of polynomials are bounded by products of these
    spread       times `COEFFICIENT_TAIL` and the l2 norm of a fixed plaintext, on every coefficient of their product
    coefficient  on every coefficient

and two root mean squares over honest keys and queries, for what holds on average, such as a statistical distance:

    deviation    times the l2 norm of a fixed plaintext, of every coefficient of their product
    rms          of every coefficient

The bounds hold with high probability, not in the worst case: errors, ternary secrets and rounding errors are
independent and bounded, and so sub-Gaussian; a value at a root of unity passes `EMBEDDING_TAIL` standard deviations
with probability of about exp(-7.5^2) = 2^-81, a coefficient passes `COEFFICIENT_TAIL` with one of at most
2·exp(-10^2/2) = 2^-71. As usual, coefficients of a BGV message in slots, and digits of a ciphertext, are taken as
uniform.

Sources: the canonical norm is that of Gentry, Halevi and Smart 2012 ("Homomorphic evaluation of the AES circuit",
appendix A) and of Costache and Smart 2016 ("Which ring based somewhat homomorphic encryption scheme is best?"); noise
of BGV in residue number systems as in Kim, Polyakov and Zucca 2021 ("Revisiting homomorphic encryption schemes for
finite fields"), of hybrid key switching as in Han and Ki 2020. The spread is what a fixed plaintext makes of
independent coefficients; without it the last product of a circuit, a sum over all slots, would count sqrt(N) times too
much. Root mean squares are tracked as by Costache, Curtis, Hales, Murphy, Ogilvie and Player 2022 ("On the precision
loss in approximate homomorphic encryption"): they count the secret with its mean square, not with its tail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from holdfast.he.parameters import ERROR_BOUND, Parameters

EMBEDDING_TAIL: Final = 7.5
COEFFICIENT_TAIL: Final = 10.0
_ERROR_VARIANCE: Final = ERROR_BOUND / 2
_FLOAT_SLACK: Final = 1 + 2**-20


@dataclass(frozen=True, kw_only=True)
class Norms:
    """The exact size of a polynomial that one knows: its largest value at a root, l1, l2 and largest coefficient."""

    canonical: float
    l1: float
    l2: float
    largest: float

    @classmethod
    def of(cls, coefficients: NDArray[np.float64]) -> Norms:
        """The norms of N real coefficients; rounding errors are covered."""
        n = len(coefficients)
        values = np.fft.fft(coefficients * np.exp(1j * np.pi / n * np.arange(n)))
        sizes = np.abs(coefficients)
        return cls(
            canonical=float(np.abs(values).max()) * _FLOAT_SLACK,
            l1=float(sizes.sum()) * _FLOAT_SLACK,
            l2=math.sqrt(float(np.square(sizes).sum())) * _FLOAT_SLACK,
            largest=float(sizes.max()),
        )

    def __add__(self, other: Norms) -> Norms:
        return Norms(**{name: value + getattr(other, name) for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Bound:
    """See the module. A root mean square is infinite where nobody counted it."""

    canonical: float
    spread: float
    coefficient: float
    deviation: float = math.inf
    rms: float = math.inf

    @classmethod
    def fixed(cls, *, canonical: float, coefficient: float) -> Bound:
        """Of a polynomial with no randomness to count on."""
        return cls(
            canonical=canonical,
            spread=canonical / COEFFICIENT_TAIL,
            coefficient=coefficient,
            deviation=canonical,
            rms=coefficient,
        )

    def __add__(self, other: Bound) -> Bound:
        return Bound(
            canonical=self.canonical + other.canonical,
            spread=self.spread + other.spread,
            coefficient=self.coefficient + other.coefficient,
            deviation=self.deviation + other.deviation,
            rms=self.rms + other.rms,
        )

    def with_fresh(self, other: Bound) -> Bound:
        """Of the sum with a polynomial that is independent of this one and zero on average: mean squares add up."""
        return replace(
            self + other,
            deviation=math.hypot(self.deviation, other.deviation),
            rms=math.hypot(self.rms, other.rms),
        )

    def scaled(self, factor: float) -> Bound:
        """Of the polynomial times a number of at most this size."""
        return Bound(**{name: value * factor for name, value in vars(self).items()})

    def smaller(self, other: Bound) -> Bound:
        """Of a polynomial that both bounds hold for."""
        return Bound(**{name: min(value, getattr(other, name)) for name, value in vars(self).items()})

    def larger(self, other: Bound) -> Bound:
        """Of either of two polynomials."""
        return Bound(**{name: max(value, getattr(other, name)) for name, value in vars(self).items()})

    def times(self, plaintext: Norms) -> Bound:
        """Of the product with a known polynomial."""
        coefficient = min(
            self.coefficient * plaintext.l1,
            self.canonical * plaintext.l2,
            COEFFICIENT_TAIL * self.spread * plaintext.l2,
        )
        return Bound(
            canonical=self.canonical * plaintext.canonical,
            spread=self.spread * plaintext.canonical,
            coefficient=coefficient,
            deviation=self.deviation * plaintext.canonical,
            rms=min(coefficient, self.deviation * plaintext.l2),
        )

    def times_unknown(self, other: Bound) -> Bound:
        """Of the product with a polynomial that may be anything within its canonical bound, but not depend on this."""
        return Bound(
            canonical=self.canonical * other.canonical,
            spread=self.spread * other.canonical,
            coefficient=min(self.canonical, COEFFICIENT_TAIL * self.spread) * other.canonical,
            deviation=self.deviation * other.canonical,
            rms=min(self.canonical, self.deviation) * other.canonical,
        )


ZERO: Final = Bound.fixed(canonical=0, coefficient=0)


def secret_canonical(degree: int) -> float:
    """The canonical bound of a ternary secret."""
    return EMBEDDING_TAIL * math.sqrt(degree * 2 / 3)


def secret_l2(degree: int) -> float:
    """The Euclidean norm of a ternary secret: the root of a binomial of variance 2N/9."""
    return math.sqrt(degree * 2 / 3 + COEFFICIENT_TAIL * math.sqrt(degree * 2 / 9))


def unit(parameters: Parameters) -> int:
    """Noise is a multiple of this: t in BGV, 1 in CKKS."""
    return parameters.plaintext_modulus or 1


def fresh(parameters: Parameters) -> Bound:
    """The noise of a fresh encryption under the secret key."""
    deviation = math.sqrt(_ERROR_VARIANCE)
    bound = Bound(
        canonical=EMBEDDING_TAIL * deviation * math.sqrt(parameters.degree),
        spread=deviation,
        coefficient=ERROR_BOUND,
        deviation=deviation,
        rms=deviation,
    )
    return bound.scaled(unit(parameters))


def integer_message(parameters: Parameters) -> Bound:
    """A BGV message: centred coefficients modulo t, taken as uniform."""
    t = unit(parameters)
    return Bound.fixed(canonical=EMBEDDING_TAIL * t * math.sqrt(parameters.degree / 12), coefficient=t / 2)


@lru_cache(maxsize=64)
def rounding(parameters: Parameters, parts: int = 2) -> Bound:
    """The noise of dividing by primes and rounding: `r0 + r1·s + r2·s^2 …`, each r uniform over one `unit`."""
    n, s = parameters.degree, secret_canonical(parameters.degree)
    powers = range(1, parts)
    # A ternary secret's value at a root is nearly Gaussian: the mean of its 2i-th power is i! times that of its square.
    mean = math.sqrt((1 + sum(math.factorial(i) * (n * 2 / 3) ** i for i in powers)) / 12)
    bound = Bound(
        canonical=EMBEDDING_TAIL * math.sqrt(n / 12) * (1 + sum(s**i for i in powers)),
        spread=math.sqrt((1 + sum(s ** (2 * i) for i in powers)) / 12),
        coefficient=COEFFICIENT_TAIL * math.sqrt((1 + sum((s ** (i - 1) * secret_l2(n)) ** 2 for i in powers)) / 12),
        deviation=mean,
        rms=mean,
    )
    return bound.scaled(unit(parameters))


@lru_cache(maxsize=256)
def switching(parameters: Parameters, level: int) -> Bound:
    """The noise of switching keys, divided by P but not yet rounded: `Σ digit·error / P`, each digit a uniform one."""
    n, alpha = parameters.degree, parameters.digit
    digits = [math.prod(parameters.primes[i : min(i + alpha, level)]) for i in range(0, level, alpha)]
    size = math.sqrt(sum(float(digit) ** 2 for digit in digits)) / parameters.special_modulus
    deviation = math.sqrt(_ERROR_VARIANCE * n / 12) * size
    bound = Bound(
        canonical=EMBEDDING_TAIL**2 * math.sqrt(n) * deviation,
        spread=EMBEDDING_TAIL * deviation,
        coefficient=COEFFICIENT_TAIL * math.sqrt(12 / 11) * deviation,
        deviation=deviation,
        rms=deviation,
    )
    return bound.scaled(unit(parameters))
