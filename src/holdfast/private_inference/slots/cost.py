"""How long the server takes for a query: transforms, products and rounds of key switching, counted and weighed.

The weights were measured at N = 2^14 on two cores with AVX-512; a processor without it takes a few times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from holdfast.he import Parameters
from holdfast.he.steps import Steps

_TRANSFORM_MS: Final = 0.02
"""Of one polynomial over one prime, to the NTT domain or back."""
_PRODUCT_MS: Final = 0.018
"""Of two such polynomials, with what is read from memory."""
_FIXED_MS: Final = 10.0
"""To unpack a query, expand its seed, and reveal an answer."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Transforms and products of polynomials over one prime."""

    transforms: float = 0.0
    products: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(transforms=self.transforms + other.transforms, products=self.products + other.products)

    def times(self, count: float) -> Work:
        """So many times this."""
        return Work(transforms=count * self.transforms, products=count * self.products)

    @property
    def milliseconds(self) -> float:
        """Of a query that is this work."""
        return _FIXED_MS + _TRANSFORM_MS * self.transforms + _PRODUCT_MS * self.products


def taking_apart(parameters: Parameters, level: int) -> Work:
    """Of a polynomial, into the digits of key switching."""
    extended = level + parameters.digit
    return Work(transforms=level + parameters.digits(level) * extended)


def key_product(parameters: Parameters, level: int) -> Work:
    """Of the digits with a key."""
    return Work(products=2 * parameters.digits(level) * (level + parameters.digit))


def lowering(parameters: Parameters, level: int) -> Work:
    """Of the division by the special primes."""
    return Work(transforms=2 * (level + parameters.digit), products=2 * level)


def rescaling(level: int) -> Work:
    """Of the division by the last prime."""
    return Work(transforms=2 * level, products=2 * level)


def switching(parameters: Parameters, level: int) -> Work:
    """Of one switch of keys on its own."""
    return taking_apart(parameters, level) + key_product(parameters, level) + lowering(parameters, level)


def multiplying(parameters: Parameters, level: int) -> Work:
    """Of two ciphertexts, relinearised and rescaled once."""
    return Work(products=4 * level) + switching(parameters, level) + rescaling(level)


def transforming(parameters: Parameters, level: int, *, steps: Steps, n_diagonals: int, n_parts: int) -> Work:
    """Of a matrix by its diagonals."""
    over = level + parameters.digit if steps.extended(parameters) else level
    babies = n_parts * (steps.baby - 1)
    work = taking_apart(parameters, level).times(n_parts if steps.baby > 1 else 0)
    work += key_product(parameters, level).times(babies)
    if not steps.extended(parameters):
        work += lowering(parameters, level).times(babies)
    work += Work(products=2 * over * n_diagonals)
    work += (taking_apart(parameters, level) + key_product(parameters, level)).times(steps.giant - 1)
    work += lowering(parameters, level).times(steps.giant)
    return work + switching(parameters, level).times(len(steps.folds))
