"""Encryption and decryption: BGV and CKKS over one core.

A ciphertext is `c0 + c1·s = message + noise` modulo Q. The noise of BGV is a multiple of t, so that the message is what
is left modulo t; that of CKKS is small beside the scaled message. An upload is encrypted under the secret key and its
c1 expanded from a seed: half the bytes, and less noise than under a public key.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import IntegrityError, UsageError
from holdfast.he import bounds, rings, sampling
from holdfast.he.bounds import Bound
from holdfast.he.ciphertext import Ciphertext, Plaintext
from holdfast.he.kernels import Residues
from holdfast.he.keys import SecretKey
from holdfast.he.parameters import Parameters


def encrypt(secret: SecretKey, plaintext: Plaintext, *, seed: bytes, index: int) -> Ciphertext:
    """Encrypt a plaintext at its level.

    A seed (`fresh_seed`) may serve several ciphertexts if their indices differ; the same pair twice under one key
    would give away the difference of the messages.
    """
    parameters = secret.parameters
    ring = rings.chain(parameters, plaintext.level)
    error = bounds.unit(parameters) * sampling.error(sampling.KeyStream.fresh(), parameters.degree)
    plain = ring.add(plaintext.base, ring.forward(ring.reduce(error)))
    body = secret.blind(_uniform_half(parameters, plaintext.level, seed, index), plain)
    largest = Bound.fixed(canonical=plaintext.norms.canonical, coefficient=plaintext.norms.largest)
    return expand(parameters, body, seed=seed, index=index, scale=plaintext.scale, message=largest)


def expand(
    parameters: Parameters, body: Residues, *, seed: bytes, index: int, scale: float = 1.0, message: Bound
) -> Ciphertext:
    """A fresh ciphertext from what was uploaded of it: its body (level, N), the seed and the index.

    Args:
        parameters: the ring.
        body: residues, each below its prime.
        seed: 32 bytes.
        index: of the ciphertext under that seed.
        scale: of its message; 1 in BGV.
        message: what an honest message is bounded by (`slots_bound`, `coefficients_bound`); BGV knows by itself.
    """
    parts = np.stack([body, _uniform_half(parameters, len(body), seed, index)])
    if parameters.plaintext_modulus is not None:
        message = bounds.integer_message(parameters)
    return Ciphertext(parts=parts, scale=scale, message=message, noise=bounds.fresh(parameters))


def slots_bound(parameters: Parameters, *, magnitude: float, scale: float) -> Bound:
    """The bound on a CKKS message with slots of at most this absolute value; half a unit a coefficient for rounding."""
    rounded = bounds.EMBEDDING_TAIL * math.sqrt(parameters.degree / 12)
    return Bound.fixed(canonical=magnitude * scale + rounded, coefficient=magnitude * scale + 1)


def coefficients_bound(parameters: Parameters, *, magnitude: float, scale: float, l1: float | None = None) -> Bound:
    """The bound on a CKKS message with coefficients of at most this absolute value, and of this sum if it is known."""
    total = parameters.degree * magnitude if l1 is None else l1
    return Bound.fixed(canonical=total * scale + parameters.degree, coefficient=magnitude * scale + 1)


def decrypt(secret: SecretKey, ciphertext: Ciphertext) -> NDArray[np.generic]:
    """The coefficients (N,) of the message: BGV integers in (-t/2, t/2), CKKS real numbers without the scale.

    For tests, and for whoever holds both model and secret: a client gets an answer (`answers.read`) instead.

    Raises:
        IntegrityError: message and noise are over what an honest ciphertext can have: another key, or damage.
    """
    parameters = secret.parameters
    phase = integers(secret.phase(ciphertext.parts), parameters, ciphertext.level)
    bound = ciphertext.message.coefficient + ciphertext.noise.coefficient
    if bound >= parameters.modulus(ciphertext.level) / 2:
        raise UsageError(f"expected a ciphertext with room for its noise, got one of {ciphertext.noise_bits:.0f} bits")
    if max(abs(int(value)) for value in phase) > bound:
        raise IntegrityError("expected a ciphertext that this key decrypts, got one whose noise is out of bounds")
    t = parameters.plaintext_modulus
    if t is None:
        return np.asarray((phase / ciphertext.scale).astype(np.float64))
    message = (phase % t).astype(np.int64)
    return np.asarray(message - t * (message > t // 2))


def integers(residues: Residues, parameters: Parameters, level: int) -> NDArray[np.object_]:
    """The centred integer coefficients (N,) of a polynomial (level, N) in the NTT domain."""
    modulus = parameters.modulus(level)
    coefficients = rings.chain(parameters, level).inverse(residues)
    total = np.zeros(residues.shape[-1], dtype=object)
    for row, prime in zip(coefficients, parameters.primes, strict=False):
        cofactor = modulus // prime
        total += row.astype(object) * (cofactor * pow(cofactor, -1, prime))
    total %= modulus
    return np.where(total > modulus // 2, total - modulus, total)


def _uniform_half(parameters: Parameters, level: int, seed: bytes, index: int) -> Residues:
    return sampling.uniform(parameters.primes[:level], parameters.degree, seed=seed, purpose=b"query", index=index)
