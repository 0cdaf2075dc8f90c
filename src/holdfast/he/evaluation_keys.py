"""Keys for the evaluator: what it needs to rotate slots and to multiply ciphertexts, and no more.

A switching key turns `c·s'`, for another secret s', into an encryption under s. It has one row for each digit of c: an
encryption of `P·s'` over the primes of that digit and of zero over all others (hybrid key switching, Han and Ki 2020,
"Better bootstrapping for approximate homomorphic encryption", section 3). The row serves all lower levels as well, so
that a key is made for the highest level at which it is used, and over no prime above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from holdfast.errors import UsageError, WireError
from holdfast.he import rings, sampling
from holdfast.he.bounds import unit
from holdfast.he.kernels import Residues
from holdfast.he.keys import SecretKey
from holdfast.he.parameters import Parameters

RELINEARISATION: Final = 0
"""The element of the key that switches from the secret's square; those of rotations are odd."""


@dataclass(frozen=True, kw_only=True)
class KeyRequest:
    """Which keys a circuit needs, each down from which level.

    Args:
        relinearise_level: the highest level at which products of ciphertexts are relinearised; 0 for none.
        rotations: Galois element to the highest level at which it is used; see `galois_element`.
    """

    relinearise_level: int = 0
    rotations: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the mapping, in the order of its elements."""
        object.__setattr__(self, "rotations", MappingProxyType(dict(sorted(self.rotations.items()))))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Element and level of each key, relinearisation first, then by element."""
        if self.relinearise_level:
            yield RELINEARISATION, self.relinearise_level
        yield from self.rotations.items()

    def check(self, parameters: Parameters) -> None:
        """Refuse a request that no key can be made for.

        Raises:
            UsageError: a level or an element is out of range, or the parameters have no special primes.
        """
        for element in self.rotations:
            if not (element % 2 and 1 < element < 2 * parameters.degree):
                raise UsageError(f"expected odd Galois elements below {2 * parameters.degree}, got {element}")
        for _, level in self:
            if not 1 <= level <= parameters.max_level:
                raise UsageError(f"expected a key at a level from 1 to {parameters.max_level}, got {level}")
            if not parameters.special_primes:
                raise UsageError("expected parameters with special primes for evaluation keys, got none")

    def packed_bytes(self, parameters: Parameters) -> int:
        """Bytes of all keys with residues packed to the width of their primes, and a seed each."""
        return sum(switching_key_bytes(parameters, level) for _, level in self)

    def to_json(self) -> dict[str, Any]:
        """The request as JSON."""
        return {
            "relinearise_level": self.relinearise_level,
            "rotations": [list(item) for item in self.rotations.items()],
        }

    @classmethod
    def from_json(cls, document: object) -> KeyRequest:
        """The inverse of `to_json`; levels and elements are for `check`.

        Raises:
            WireError: the document is not what `to_json` makes.
        """
        if not isinstance(document, dict) or document.keys() != {"relinearise_level", "rotations"}:
            raise WireError("expected a key request with relinearise_level and rotations")
        pairs = document["rotations"]
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise WireError("expected rotations as pairs of an element and a level")
        numbers = [document["relinearise_level"], *(number for pair in pairs for number in pair)]
        if not all(type(number) is int and 0 <= number < 2**32 for number in numbers):
            raise WireError("expected whole numbers in a key request")
        if [pair[0] for pair in pairs] != sorted({pair[0] for pair in pairs}):
            raise WireError("expected rotations in the order of their elements, each once")
        return cls(relinearise_level=document["relinearise_level"], rotations=dict(pairs))


@dataclass(frozen=True, eq=False, kw_only=True)
class SwitchingKey:
    """One key: `rows[d]` is `(body, a)` with `body = error - a·s + P·s'` over the primes of digit d.

    The a's are expanded from the seed. Without the copy of them that it keeps, it would be half as large.

    Args:
        parameters: the ring.
        element: what s' is; see `RELINEARISATION`.
        seed: 32 bytes.
        bodies: (digits, level + special primes, N).
    """

    parameters: Parameters
    element: int
    seed: bytes = field(repr=False)
    bodies: Residues = field(repr=False)
    rows: Residues = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Expand the a's once and for all.

        Raises:
            UsageError: the bodies are not those of a key for these parameters.
        """
        parameters = self.parameters
        level = self.bodies.shape[1] - parameters.digit if self.bodies.ndim == 3 else 0
        if (
            not 1 <= level <= parameters.max_level
            or not parameters.digit
            or self.bodies.shape != switching_key_shape(parameters, level)
        ):
            raise UsageError(f"expected the bodies of a switching key, got the shape {self.bodies.shape}")
        primes = rings.full(parameters, level).primes
        rows = np.empty((len(self.bodies), 2, *self.bodies.shape[1:]), dtype=np.uint64)
        for digit, body in enumerate(self.bodies):
            rows[digit, 0] = body
            rows[digit, 1] = _uniform_half(primes, parameters.degree, self.seed, digit)
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "bodies", rows[:, 0])

    @property
    def level(self) -> int:
        """The highest level at which it serves."""
        return int(self.bodies.shape[1]) - self.parameters.digit

    def limbs(self, level: int) -> list[int]:
        """Which limbs of `rows` serve ciphertexts at a level: those of its primes, and of the special ones.

        Raises:
            UsageError: the key is for lower levels only.
        """
        if level > self.level:
            raise UsageError(f"expected a key for level {level}, got one for levels up to {self.level}")
        return [*range(level), *range(self.level, self.rows.shape[2])]

    @classmethod
    def generate(cls, secret: SecretKey, *, element: int, level: int) -> SwitchingKey:
        """A key to the secret, from its square or its image under an automorphism."""
        parameters, seed = secret.parameters, sampling.fresh_seed()
        ring, stream = rings.full(parameters, level), sampling.KeyStream.fresh()
        bodies = np.empty(switching_key_shape(parameters, level), dtype=np.uint64)
        for digit in range(len(bodies)):
            a = _uniform_half(ring.primes, parameters.degree, seed, digit)
            error = ring.forward(ring.reduce(unit(parameters) * sampling.error(stream, parameters.degree)))
            bodies[digit] = secret.blind_switch(a, error, element=element, digit=digit)
        return cls(parameters=parameters, element=element, seed=seed, bodies=bodies)


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluationKeys:
    """The keys of one client for one circuit, by element."""

    parameters: Parameters
    keys: Mapping[int, SwitchingKey] = field(repr=False)

    def __getitem__(self, element: int) -> SwitchingKey:
        """The key of an element.

        Raises:
            UsageError: there is none.
        """
        if element not in self.keys:
            name = "relinearisation" if element == RELINEARISATION else f"the Galois element {element}"
            raise UsageError(f"expected a key for {name}, got keys without it", hint="ask for it in the KeyRequest")
        return self.keys[element]

    @property
    def memory_bytes(self) -> int:
        """What they take in memory."""
        return sum(key.rows.nbytes for key in self.keys.values())

    @classmethod
    def generate(cls, secret: SecretKey, request: KeyRequest) -> EvaluationKeys:
        """The keys of a request; every call makes different ones.

        Raises:
            UsageError: see `KeyRequest.check`.
        """
        request.check(secret.parameters)
        keys = {element: SwitchingKey.generate(secret, element=element, level=level) for element, level in request}
        return cls(parameters=secret.parameters, keys=MappingProxyType(keys))


def switching_key_shape(parameters: Parameters, level: int) -> tuple[int, int, int]:
    """The shape of a switching key's bodies."""
    return parameters.digits(level), level + len(parameters.special_primes), parameters.degree


def switching_key_bytes(parameters: Parameters, level: int) -> int:
    """Bytes of a switching key with its residues packed to the width of their primes, and its seed."""
    bits = sum(prime.bit_length() for prime in rings.full(parameters, level).primes)
    return parameters.digits(level) * bits * parameters.degree // 8 + sampling.SEED_BYTES


def _uniform_half(primes: tuple[int, ...], degree: int, seed: bytes, digit: int) -> Residues:
    return sampling.uniform(primes, degree, seed=seed, purpose=b"switching key", index=digit)
