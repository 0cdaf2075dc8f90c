"""What a client could try in order to read the weights, and the same attack on a scheme without its defence.

Each attack is run twice: where the defence is taken away it must succeed, or the test would prove nothing.
Statistical verdicts are wrong with probability below 1e-6.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from holdfast.he import (
    EXACT_8192,
    Ciphertext,
    Parameters,
    PublicKey,
    SecretKey,
    encrypt,
    fresh_seed,
    prepare_plaintext,
    sampling,
)
from holdfast.he.kernels import Residues, ring
from holdfast.he.scheme import masked_product

N = EXACT_8192.degree
Q = EXACT_8192.modulus
ENGINE = ring(N, EXACT_8192.primes)
BASIS = [Q // q * pow(Q // q, -1, q) for q in EXACT_8192.primes]
ALARM = 1e-7

SMALL = {0: 1}
"""Weights that answer x[0]."""
LARGE = {0: 1} | dict.fromkeys(range(1, 30), 2**33)
"""Weights with the same answer for a row whose other features are zero."""


def integers(residues: Residues) -> list[int]:
    totals = (sum(int(r) * b for r, b in zip(column, BASIS, strict=True)) % Q for column in residues.T)
    return [total - Q if total > Q // 2 else total for total in totals]


def plaintext(terms: dict[int, int]) -> Residues:
    coefficients = np.zeros(N, dtype=np.int64)
    for position, value in terms.items():
        coefficients[position] = value
    return prepare_plaintext(EXACT_8192, coefficients)


def with_key(key: PublicKey, **changes: object) -> PublicKey:
    """A key that no wire message can express: its expanded half, or its parameters, are of our choice."""
    other = replace(key)
    for name, value in changes.items():
        object.__setattr__(other, name, value)
    return other


def product(
    query: Ciphertext, weights: dict[int, int], key: PublicKey, positions: list[int]
) -> tuple[Residues, Residues]:
    at = np.array(positions)
    return masked_product(query, plaintext(weights), key=key, positions=at, addend=np.zeros(len(at), dtype=np.int64))


def noises(weights: dict[int, int], parameters: Parameters, *, count: int) -> list[int]:
    """The noise that the key's owner finds under one revealed coefficient, over many answers."""
    secret = SecretKey.generate(EXACT_8192)
    key = with_key(PublicKey.of(secret), parameters=parameters)
    message = np.zeros(N, dtype=np.int64)
    message[0] = 5
    found = []
    for _ in range(count):
        query = encrypt(secret, message, seed=fresh_seed(), index=0)
        revealed, second = product(query, weights, key, [29])
        phase = ENGINE.canonical(revealed) + secret.inner_products(ENGINE.canonical(second), np.array([29]))
        scaled = integers(phase)[0] % Q
        value = scaled % EXACT_8192.delta
        found.append(value - EXACT_8192.delta if value > EXACT_8192.delta // 2 else value)
    return found


def test_flooded_noise_does_not_tell_two_models_with_equal_answers_apart() -> None:
    small, large = (noises(weights, EXACT_8192, count=120) for weights in (SMALL, LARGE))
    assert stats.ks_2samp(np.abs(small).astype(float), np.abs(large).astype(float)).pvalue > ALARM
    flat = stats.uniform(-(2.0**104), 2.0**105)
    assert stats.kstest(np.array(small + large, dtype=float), flat.cdf).pvalue > ALARM


def test_without_the_flood_the_noise_does_tell_them_apart() -> None:
    dry = replace(EXACT_8192, flood_bits=0, max_outputs=1)
    small, large = (noises(weights, dry, count=30) for weights in (SMALL, LARGE))
    assert max(map(abs, small)) < 2**18 < np.median(np.abs(large).astype(float))


def test_the_second_half_looks_uniform_whatever_the_weights() -> None:
    secret = SecretKey.generate(EXACT_8192)
    key = PublicKey.of(secret)
    query = encrypt(secret, np.zeros(N, dtype=np.int64), seed=fresh_seed(), index=0)
    for weights in ({}, SMALL, LARGE):
        second = ENGINE.canonical(product(query, weights, key, [29])[1])
        for row, prime in zip(second, EXACT_8192.primes, strict=True):
            assert stats.chisquare(np.bincount(row * 64 // prime, minlength=64)).pvalue > ALARM


def guessed(second: Residues, query: Ciphertext, key: PublicKey, *, guesses: range) -> list[int]:
    """The guesses w for which `second = a·w + key.a·u` with a ternary u: a client tries its guesses at a weight."""
    q, field = EXACT_8192.primes[0], ENGINE.fields[0]  # one prime of six tells right from wrong, N coefficients strong
    a = sampling.uniform_row(EXACT_8192, 0, query.seed, purpose=b"query", index=query.index)
    values = field.forward(field.reduced(second[0])).astype(object)
    inverse = np.array([pow(int(v) % q, -1, q) for v in key.a[0]], dtype=object)
    right = []
    for guess in guesses:
        mask = (values - a.astype(object) * guess) * inverse % q
        coefficients = field.inverse(field.reduced(mask.astype(np.int64)))
        if np.isin(coefficients % q, (0, 1, q - 1)).all():
            right.append(guess)
    return right


@pytest.mark.parametrize("has_error", [True, False], ids=["as it is", "without its error"])
def test_a_guess_at_a_weight_cannot_be_confirmed_with_the_second_half(
    monkeypatch: pytest.MonkeyPatch, has_error: bool
) -> None:
    """`second - a·guess` is `key.a·u` where the guess is right; only the error keeps a client from dividing it out."""
    secret = SecretKey.generate(EXACT_8192)
    query = encrypt(secret, np.zeros(N, dtype=np.int64), seed=bytes(32), index=0)
    body = PublicKey.of(secret).body  # the attack needs no body that fits, but an `a` of which no value is zero
    key = PublicKey(parameters=EXACT_8192, seed=bytes(32), body=ENGINE.canonical(body))
    assert key.a.all()
    if not has_error:
        monkeypatch.setattr(sampling, "error", lambda stream, size: np.zeros(size, dtype=np.int64))
    _, second = product(query, {0: 11}, key, [0])
    assert guessed(second, query, key, guesses=range(16)) == ([] if has_error else [11])


def unmasked(second: Residues, query: Ciphertext) -> list[int]:
    """`second / a`: the weights, if nothing but a small error hides them."""
    a = sampling.uniform(EXACT_8192, query.seed, purpose=b"query", index=query.index)
    inverse = np.array([[pow(int(v), -1, q) for v in row] for row, q in zip(a, EXACT_8192.primes, strict=True)])
    return integers(ENGINE.inverse(ENGINE.multiply(ENGINE.forward(second), ENGINE.centred(inverse))))


def test_a_public_key_with_a_chosen_zero_half_would_hand_over_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "error", lambda stream, size: np.zeros(size, dtype=np.int64))
    # With its error, a·weights + error is a lattice problem of as many dimensions as there are weights, thirty for
    # thirty features; the test leaves the error away instead of solving it.
    secret = SecretKey.generate(EXACT_8192)
    query = encrypt(secret, np.zeros(N, dtype=np.int64), seed=bytes(32), index=0)  # of this seed, no value is zero
    honest = PublicKey.of(secret)
    chosen = with_key(honest, a=np.zeros_like(honest.a))
    taken = unmasked(product(query, LARGE, chosen, [29])[1], query)
    assert taken[:31] == [1] + [2**33] * 29 + [0]
    kept = unmasked(product(query, LARGE, honest, [29])[1], query)
    assert min(abs(value) for value in kept) > 2**150  # each of N values is smaller with probability 2^-35


def test_a_malicious_key_reads_no_more_of_the_mask_than_the_bound_counts_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """`body = 2^106·(1 - 4X^(N-1) - 16X^(N-2) …)` puts u[0] + 4u[1] + 16u[2] … into coefficient 0, above the flood."""
    masks: list[np.ndarray] = []
    ternary = sampling.ternary
    monkeypatch.setattr(sampling, "ternary", lambda stream, size: masks.append(ternary(stream, size)) or masks[-1])
    query = Ciphertext(seed=fresh_seed(), index=0, body=np.zeros((6, N), dtype=np.int64))
    n_digits = 39
    body = np.zeros((6, N), dtype=np.int64)
    for i in range(n_digits):
        body[:, -i % N] = [2 ** (106 + 2 * i) * (1 if i == 0 else -1) % q for q in EXACT_8192.primes]
    key = PublicKey(parameters=EXACT_8192, seed=fresh_seed(), body=ENGINE.forward(ENGINE.centred(body)))
    revealed, _ = product(query, {}, key, [0])
    number, read = (integers(revealed)[0] + 2**105) >> 106, []
    for _ in range(n_digits):
        digit = (number + 1) % 4 - 1
        number, read = (number - digit) // 4, [*read, digit]
    assert read == masks[0][:n_digits].tolist()  # the attack is real
    bits = EXACT_8192.log2_modulus - EXACT_8192.flood_bits
    assert n_digits <= bits / np.log2(3)  # what `_check_hints` takes to be known for each revealed coefficient
