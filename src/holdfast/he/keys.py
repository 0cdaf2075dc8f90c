"""The client's keys: a secret that stays in its handle, and a public key that others re-randomise with."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

import numpy as np

from holdfast.errors import UsageError
from holdfast.he import sampling
from holdfast.he.kernels import Positions, Residues, ring
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
        self.__values = ring(parameters.degree, parameters.primes).forward_small(coefficients)
        self.__wrapped = np.concatenate([-coefficients, coefficients]).astype(np.float64)

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
        """`plain - uniform·secret` in the NTT domain, not reduced: an encryption, if plain holds a fresh error."""
        return plain - ring(self.parameters.degree, self.parameters.primes).multiply(uniform, self.__values)

    def inner_products(self, polynomial: Residues, positions: Positions) -> Residues:
        """Coefficients `(primes, positions)` of polynomial·secret, as exact integers below N·2^31, not reduced.

        Coefficient j is the sum of `polynomial[i]·secret[j - i]`; a negative index wraps around with a minus.
        """
        backwards = polynomial[:, ::-1].astype(np.float64)
        degree = self.parameters.degree
        sums = [backwards @ self.__wrapped[j + 1 : j + 1 + degree] for j in positions]
        return np.stack(sums, axis=1).astype(np.int64)

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
    """An encryption of zero, `(body, a)` with `body = error - a·secret`, in the NTT domain.

    `a` is always expanded from the seed and is no argument: a key with an `a` of the client's choice, zero for one,
    would let the answer's mask `a·u` be taken off (docs/private-inference.md).

    Args:
        parameters: the ring.
        seed: 32 bytes that `a` is expanded from.
        body: residues, shape `(primes, N)`; kept centred, as `a` is, ready for products.
    """

    parameters: Parameters
    seed: bytes = field(repr=False)
    body: Residues = field(repr=False)
    a: Residues = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Expand `a`, and centre both halves once and for all."""
        engine = ring(self.parameters.degree, self.parameters.primes)
        expanded = sampling.uniform(self.parameters, self.seed, purpose=b"public key")
        object.__setattr__(self, "a", engine.centred(expanded))
        object.__setattr__(self, "body", engine.centred(self.body))

    def canonical_body(self) -> Residues:
        """The body as residues in [0, prime), for the wire."""
        return ring(self.parameters.degree, self.parameters.primes).canonical(self.body)

    @classmethod
    def of(cls, secret: SecretKey) -> PublicKey:
        """A public key of the secret; every call makes a different one."""
        parameters = secret.parameters
        seed = sampling.fresh_seed()
        engine = ring(parameters.degree, parameters.primes)
        a = sampling.uniform(parameters, seed, purpose=b"public key")
        noise = engine.forward_small(sampling.error(sampling.KeyStream.fresh(), parameters.degree))
        return cls(parameters=parameters, seed=seed, body=secret.blind(a, noise))
