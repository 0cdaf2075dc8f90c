"""The rings of a parameter set; tables are built once."""

from __future__ import annotations

from functools import lru_cache

from holdfast.he.kernels import Ring
from holdfast.he.parameters import Parameters


@lru_cache(maxsize=256)
def chain(parameters: Parameters, level: int) -> Ring:
    """The ring over the first `level` primes."""
    return _every(parameters).select(range(level))


@lru_cache(maxsize=256)
def full(parameters: Parameters, level: int) -> Ring:
    """The ring over the first `level` primes and the special primes."""
    special = range(parameters.max_level, parameters.max_level + len(parameters.special_primes))
    return _every(parameters).select([*range(level), *special])


@lru_cache(maxsize=8)
def plain(degree: int, plaintext_modulus: int) -> Ring:
    """The ring of the messages of BGV."""
    return Ring(degree, (plaintext_modulus,))


@lru_cache(maxsize=8)
def _every(parameters: Parameters) -> Ring:
    return Ring(parameters.degree, parameters.primes + parameters.special_primes)
