"""The client's keys: a secret that stays in its handle, and a public key that others re-randomise with."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UsageError
from holdfast.he import rings, sampling
from holdfast.he.bounds import unit
from holdfast.he.kernels import Residues
from holdfast.he.parameters import Parameters


class SecretKey:
    """A uniform ternary polynomial, grown from a 32-byte seed.

    It does not print, pickle or copy; `secret_bytes` is the only way out, for a client that keeps it encrypted.
    """

    __slots__ = ("__seed", "__values", "__wrapped", "parameters")

    def __init__(self, parameters: Parameters, *, seed: bytes) -> None:
        if len(seed) != sampling.SEED_BYTES:
            raise UsageError(f"expected a secret key of {sampling.SEED_BYTES} bytes, got {len(seed)}")
        self.parameters = parameters
        self.__seed = seed
        coefficients = sampling.ternary(sampling.KeyStream(seed), parameters.degree)
        ring = rings.full(parameters, parameters.max_level)
        self.__values = ring.forward(ring.reduce(coefficients))
        self.__wrapped = np.concatenate([-coefficients, coefficients])

    @classmethod
    def generate(cls, parameters: Parameters) -> SecretKey:
        """A new key from the operating system's randomness."""
        return cls(parameters, seed=sampling.fresh_seed())

    @classmethod
    def from_secret_bytes(cls, parameters: Parameters, secret: bytes) -> SecretKey:
        """The inverse of `secret_bytes`.

        Raises:
            UsageError: the bytes are not 32.
        """
        return cls(parameters, seed=secret)

    def secret_bytes(self) -> bytes:
        """The secret in the clear, 32 bytes; whoever has them reads every query."""
        return self.__seed

    def blind(self, uniform: Residues, plain: Residues) -> Residues:
        """`plain - uniform·secret` (level, N): an encryption, if plain holds a fresh error."""
        ring = rings.chain(self.parameters, len(plain))
        return ring.subtract(plain, ring.multiply(uniform, self.__values[: len(plain)]))

    def blind_switch(self, uniform: Residues, error: Residues, *, element: int, digit: int) -> Residues:
        """`error - uniform·secret`, plus P times another secret over the primes of one digit, (level + special, N).

        The other secret is the square of this one for element 0, and else its image under X -> X^element.
        """
        parameters = self.parameters
        level = len(error) - len(parameters.special_primes)
        ring = rings.full(parameters, level)
        mine = self.__values[[*range(level), *range(parameters.max_level, len(self.__values))]]
        other = ring.multiply(mine, mine) if element == 0 else ring.permute(mine, ring.galois_indices(element))
        rows = range(digit * parameters.digit, min((digit + 1) * parameters.digit, level))
        lift = [parameters.special_modulus if row in rows else 0 for row in range(len(error))]
        body = ring.subtract(error, ring.multiply(uniform, mine))
        return ring.add(body, ring.scale(other, lift))

    def phase(self, parts: Residues) -> Residues:
        """`Σ parts[i]·secret^i` (level, N), in the NTT domain: message and noise in the clear."""
        ring = rings.chain(self.parameters, parts.shape[1])
        mine: Residues = self.__values[: parts.shape[1]]
        total: Residues = parts[-1]
        for part in parts[-2::-1]:
            total = ring.add(ring.multiply(total, mine), part)
        return total

    def inner_products(self, polynomial: NDArray[np.uint64], positions: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Coefficients (positions,) of polynomial·secret, modulo 2^64.

        Coefficient j is the sum of `polynomial[i]·secret[j - i]`; a negative index wraps around with a minus.
        """
        backwards, degree = polynomial[::-1].astype(np.int64), self.parameters.degree
        sums = [np.sum(backwards * self.__wrapped[j + 1 : j + 1 + degree]) for j in positions]
        return np.array(sums, dtype=np.int64).view(np.uint64)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretKey):
            return NotImplemented
        return self.parameters == other.parameters and hmac.compare_digest(self.__seed, other.secret_bytes())

    __hash__ = None  # type: ignore[assignment]  # a hash would be a fingerprint of the secret

    def __repr__(self) -> str:
        return f"SecretKey(N={self.parameters.degree}, <secret>)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret key cannot be pickled or copied; use secret_bytes")


@dataclass(frozen=True, eq=False, kw_only=True)
class PublicKey:
    """An encryption of zero, `(body, a)` with `body = error - a·secret`, in the NTT domain, over the first primes.

    `a` is always expanded from the seed and is no argument: a key with an `a` of the client's choice, zero for one,
    would let the answer's mask `a·u` be taken off (docs/private-inference.md).

    Args:
        parameters: the ring.
        seed: 32 bytes that `a` is expanded from.
        body: residues, shape (level, N).
    """

    parameters: Parameters
    seed: bytes = field(repr=False)
    body: Residues = field(repr=False)
    a: Residues = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Expand `a` once and for all.

        Raises:
            UsageError: the body is not one of these parameters.
        """
        parameters = self.parameters
        if not 1 <= len(self.body) <= parameters.max_level or self.body.shape[1:] != (parameters.degree,):
            raise UsageError(f"expected a public key of residues (level, {parameters.degree}), got {self.body.shape}")
        primes = parameters.primes[: len(self.body)]
        expanded = sampling.uniform(primes, parameters.degree, seed=self.seed, purpose=b"public key")
        object.__setattr__(self, "a", expanded)

    @property
    def level(self) -> int:
        """Primes that it is over."""
        return len(self.body)

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory."""
        return self.body.nbytes + self.a.nbytes

    @classmethod
    def generate(cls, secret: SecretKey, *, level: int) -> PublicKey:
        """A public key of the secret, for answers at that level; every call makes a different one."""
        parameters = secret.parameters
        seed, ring = sampling.fresh_seed(), rings.chain(parameters, level)
        a = sampling.uniform(ring.primes, parameters.degree, seed=seed, purpose=b"public key")
        error = unit(parameters) * sampling.error(sampling.KeyStream.fresh(), parameters.degree)
        return cls(parameters=parameters, seed=seed, body=secret.blind(a, ring.forward(ring.reduce(error))))
