"""The exact scheme: integers modulo t in coefficients, scaled by Q / t (Brakerski 2012; Fan and Vercauteren 2012).

A client encrypts under its secret key, the evaluator multiplies by one plaintext polynomial and answers, the client
decrypts. An answer is made so that it tells the key's owner the revealed coefficients and nothing else:

    1. multiply    (body, a) · weights, plus the addend at the revealed coefficients
    2. re-randomise  add u times the client's public key and an error, for a fresh ternary u:  a·weights is masked
    3. flood       drown the noise of the revealed coefficients, which depends on the weights and on u
    4. reveal      keep the revealed coefficients of the first half, and the whole second half
    5. switch      divide by the last primes and round: a third of the bytes, nothing new told

Noise: an honest ciphertext has errors of at most 21, so a revealed coefficient carries at most
`21 · (|weights|_1 + 2N)` before the flood: error times weights, key error times u, error times secret.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import IntegrityError, UsageError
from holdfast.he import sampling
from holdfast.he.kernels import Positions, Residues, ring
from holdfast.he.keys import PublicKey, SecretKey
from holdfast.he.parameters import ANSWER_PRIMES, ERROR_BOUND, MESSAGE_PRIMES, Parameters


@dataclass(frozen=True, eq=False, kw_only=True)
class Ciphertext:
    """A fresh encryption: `body = delta·message + error - a·secret` in the NTT domain, residues `(primes, N)`.

    `a` is expanded from the seed and the index, which tells ciphertexts of one seed apart.
    """

    seed: bytes = field(repr=False)
    index: int
    body: Residues = field(repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What the evaluator returns, modulo the answer primes, residues in [0, prime), coefficients.

    Args:
        revealed: the first half at the revealed coefficients, `(3, positions)`.
        second: the second half, `(3, N)`.
    """

    revealed: Residues = field(repr=False)
    second: Residues = field(repr=False)


def encrypt(secret: SecretKey, message: NDArray[np.int64], *, seed: bytes, index: int) -> Ciphertext:
    """Encrypt the N coefficients of a message, each between -2^62 and 2^62.

    A seed (`fresh_seed`) may serve several ciphertexts if their indices differ; the same pair twice under one key
    would give away the difference of the messages.
    """
    parameters = secret.parameters
    engine = ring(parameters.degree, parameters.primes)
    plain = np.tile(sampling.error(sampling.KeyStream.fresh(), parameters.degree), (len(parameters.primes), 1))
    plain[:MESSAGE_PRIMES] += scale(parameters, message)
    values = engine.forward(engine.centred(plain))
    a = sampling.uniform(parameters, seed, purpose=b"query", index=index)
    return Ciphertext(seed=seed, index=index, body=engine.canonical(secret.blind(a, values)))


def scale(parameters: Parameters, message: NDArray[np.int64]) -> Residues:
    """`delta·message` modulo the message primes, `(2, …)`; it is zero modulo all others, which divide delta."""
    primes = parameters.primes[:MESSAGE_PRIMES]
    return np.stack([message % prime * (parameters.delta % prime) % prime for prime in primes])


def prepare_plaintext(parameters: Parameters, coefficients: NDArray[np.int64]) -> Residues:
    """A plaintext polynomial in the NTT domain `(primes, N)`, ready for `answer`."""
    engine = ring(parameters.degree, parameters.primes)
    primes = np.array(parameters.primes)[:, None]
    return engine.forward(engine.centred(coefficients % primes))


def flooding_bits(parameters: Parameters, weights_l1: int, *, n_outputs: int) -> int:
    """How well an answer drowns its noise: the statistical distance from an answer without it is at most 2^-bits.

    Args:
        parameters: the ring.
        weights_l1: sum of the absolute values of the plaintext's coefficients.
        n_outputs: revealed coefficients; each adds `noise / 2^(flood_bits + 1)`.
    """
    noise = ERROR_BOUND * (weights_l1 + 2 * parameters.degree)
    return math.floor(parameters.flood_bits + 1 - math.log2(noise * n_outputs))


def answer(
    ciphertext: Ciphertext,
    weights: Residues,
    *,
    key: PublicKey,
    positions: Positions,
    addend: NDArray[np.int64],
) -> Answer:
    """Multiply a ciphertext by a plaintext and reveal some coefficients of the product to the key's owner.

    Args:
        ciphertext: a query; its residues are in [0, prime).
        weights: what `prepare_plaintext` gave.
        key: the public key of the query's owner.
        positions: the coefficients to reveal, at most `max_outputs`.
        addend: an integer for each of them, added to it, between -2^62 and 2^62.

    Raises:
        UsageError: there are more positions than the mask can bear.
    """
    revealed, second = masked_product(ciphertext, weights, key=key, positions=positions, addend=addend)
    engine = ring(key.parameters.degree, key.parameters.primes)
    return Answer(
        revealed=engine.canonical(engine.drop_primes(revealed, keep=ANSWER_PRIMES)),
        second=engine.canonical(engine.drop_primes(second, keep=ANSWER_PRIMES)),
    )


def masked_product(
    ciphertext: Ciphertext,
    weights: Residues,
    *,
    key: PublicKey,
    positions: Positions,
    addend: NDArray[np.int64],
) -> tuple[Residues, Residues]:
    """Steps 1 to 4 of an answer, modulo all of Q: the revealed coefficients and the second half."""
    parameters = key.parameters
    if len(positions) > parameters.max_outputs:
        raise UsageError(f"expected at most {parameters.max_outputs} revealed coefficients, got {len(positions)}")
    stream = sampling.KeyStream.fresh()
    u_small = sampling.ternary(stream, parameters.degree)
    error = sampling.error(stream, parameters.degree)
    revealed, second = [], []
    engine = ring(parameters.degree, parameters.primes)
    for i, prime_field in enumerate(engine.fields):
        u = prime_field.forward_small(u_small)
        a = sampling.uniform_row(parameters, i, ciphertext.seed, purpose=b"query", index=ciphertext.index)
        first_half = prime_field.multiply_add(ciphertext.body[i], weights[i], key.body[i], u)
        revealed.append(prime_field.coefficients(first_half, positions))
        second.append(prime_field.inverse(prime_field.multiply_add(a, weights[i], key.a[i], u)) + error)
    flood = sampling.flood(stream, len(positions), bits=parameters.flood_bits)
    flooded = np.stack(revealed) + _residues(parameters, flood)
    flooded[:MESSAGE_PRIMES] += scale(parameters, addend)
    return engine.centred(flooded), np.stack(second)


def decrypt(secret: SecretKey, reply: Answer, *, positions: Positions) -> NDArray[np.int64]:
    """The revealed coefficients, exact, each in (-t/2, t/2).

    Raises:
        IntegrityError: the noise is over what an honest answer can have: another key, another query, or damage.
            A coefficient of pure garbage passes with a probability below 2^-16.
    """
    parameters = secret.parameters
    primes = np.array(parameters.primes[:ANSWER_PRIMES])[:, None]
    phase = (reply.revealed + secret.inner_products(reply.second, positions)) % primes
    last = parameters.primes[ANSWER_PRIMES - 1]
    noise = np.where(phase[-1] > last // 2, phase[-1] - last, phase[-1])
    if np.abs(noise).max(initial=0) > parameters.answer_noise_bound:
        raise IntegrityError("expected an answer that this key decrypts, got one whose noise is out of bounds")
    q1, q2 = parameters.primes[:MESSAGE_PRIMES]
    digit1 = (phase[0] - noise) % q1 * pow(last, -1, q1) % q1
    digit2 = (phase[1] - noise) % q2 * pow(last, -1, q2) % q2
    digit2 = (digit2 - digit1) % q2 * pow(q1, -1, q2) % q2
    message: Residues = digit1 + q1 * digit2
    return message - q1 * q2 * (message > q1 * q2 // 2)


def _residues(parameters: Parameters, numbers: Sequence[int]) -> Residues:
    """Integers of any size to residues `(primes, numbers)`."""
    return np.array([[number % prime for number in numbers] for prime in parameters.primes], dtype=np.int64)
