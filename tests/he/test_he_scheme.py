"""The scheme is exact, and refuses what it cannot decrypt."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import IntegrityError, UsageError
from holdfast.he import (
    EXACT_8192,
    Answer,
    PublicKey,
    SecretKey,
    answer,
    decrypt,
    encrypt,
    flooding_bits,
    fresh_seed,
    prepare_plaintext,
)

N = EXACT_8192.degree
T = EXACT_8192.plaintext_modulus
SECRET = SecretKey.generate(EXACT_8192)
KEY = PublicKey.of(SECRET)


def polynomial(terms: dict[int, int]) -> np.ndarray:
    out = np.zeros(N, dtype=np.int64)
    for position, value in terms.items():
        out[position] = value
    return out


def ask(
    message: dict[int, int], weights: dict[int, int], positions: list[int], addend: list[int] | None = None
) -> list[int]:
    query = encrypt(SECRET, polynomial(message), seed=fresh_seed(), index=0)
    reply = answer(
        query,
        prepare_plaintext(EXACT_8192, polynomial(weights)),
        key=KEY,
        positions=np.array(positions),
        addend=np.array(addend or [0] * len(positions)),
    )
    return decrypt(SECRET, reply, positions=np.array(positions)).tolist()


@settings(max_examples=12, deadline=None)
@given(
    x=st.lists(st.integers(-(2**28), 2**28), min_size=1, max_size=30),
    w=st.integers(-(2**28), 2**28),
    addend=st.integers(-(2**60), 2**60),
    at=st.integers(0, N - 1),
)
def test_decryption_gives_the_exact_integers(x: list[int], w: int, addend: int, at: int) -> None:
    message = {(at + i) % N: value for i, value in enumerate(x)}
    positions = sorted(message)[:16]
    offsets = [addend] + [0] * (len(positions) - 1)
    expected = [message[p] * w + a for p, a in zip(positions, offsets, strict=True)]
    assert ask(message, {0: w}, positions, offsets) == expected


def test_the_product_wraps_around_with_a_minus() -> None:
    assert ask({N - 1: 5}, {1: 7}, [0]) == [-35]


def test_messages_reach_the_whole_plaintext_range_and_wrap_beyond_it() -> None:
    half = T // 2
    assert ask({0: half, 1: -half}, {0: 1}, [0, 1]) == [half, -half]
    assert ask({0: half}, {0: 1}, [0], [1]) == [-half]


def test_the_largest_noise_of_the_largest_plaintext_still_decrypts() -> None:
    # Every coefficient as large as a plan allows in sum, so that the error times the weights is at its worst.
    weights = dict.fromkeys(range(N), 2**36)
    assert ask({0: 3}, weights, [0, N - 1]) == [3 * 2**36] * 2
    assert flooding_bits(EXACT_8192, 2**36 * N, n_outputs=16) >= 40


def test_another_clients_key_cannot_decrypt() -> None:
    positions = np.arange(16)
    query = encrypt(SECRET, polynomial({0: 1}), seed=fresh_seed(), index=0)
    weights = prepare_plaintext(EXACT_8192, polynomial({0: 1}))
    reply = answer(query, weights, key=KEY, positions=positions, addend=np.zeros(16, dtype=np.int64))
    with pytest.raises(IntegrityError, match="noise is out of bounds"):
        decrypt(SecretKey.generate(EXACT_8192), reply, positions=positions)


def test_garbage_is_refused() -> None:
    rng = np.random.default_rng(1)
    primes = np.array(EXACT_8192.primes[:3])[:, None]
    reply = Answer(revealed=rng.integers(0, primes, (3, 4)), second=rng.integers(0, primes, (3, N)))
    with pytest.raises(IntegrityError):
        decrypt(SECRET, reply, positions=np.arange(4))


def test_a_changed_answer_is_refused_and_not_decrypted_to_something_else() -> None:
    positions = np.array([0])
    query = encrypt(SECRET, polynomial({0: 1}), seed=fresh_seed(), index=0)
    weights = prepare_plaintext(EXACT_8192, polynomial({0: 1}))
    reply = answer(query, weights, key=KEY, positions=positions, addend=np.array([0]))
    changed = reply.revealed.copy()
    changed[2, 0] = (changed[2, 0] + 2**30) % EXACT_8192.primes[2]
    with pytest.raises(IntegrityError):
        decrypt(SECRET, replace(reply, revealed=changed), positions=positions)


def test_two_encryptions_of_one_message_differ_everywhere() -> None:
    message = polynomial({0: 12345})
    first, second = (encrypt(SECRET, message, seed=fresh_seed(), index=0) for _ in range(2))
    assert (first.body == second.body).mean() < 0.001


def test_the_same_seed_still_has_a_fresh_error() -> None:
    seed = fresh_seed()
    first, second = (encrypt(SECRET, polynomial({}), seed=seed, index=0) for _ in range(2))
    assert (first.body == second.body).mean() < 0.001


@pytest.mark.parametrize("message", [{}, {0: 2**60}, dict.fromkeys(range(N), 7)], ids=["zero", "one", "constant"])
def test_a_ciphertext_does_not_compress(message: dict[int, int]) -> None:
    body = encrypt(SECRET, polynomial(message), seed=fresh_seed(), index=0).body
    low_bytes = (body & 0xFFFFFF).astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    assert len(zlib.compress(low_bytes, 9)) >= len(low_bytes)


def test_more_revealed_coefficients_than_the_mask_bears_are_refused() -> None:
    with pytest.raises(UsageError, match="at most 16 revealed coefficients, got 17"):
        ask({0: 1}, {0: 1}, list(range(EXACT_8192.max_outputs + 1)))
