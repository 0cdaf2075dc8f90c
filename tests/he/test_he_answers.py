"""An answer holds the revealed coefficients, exactly or to the stated precision, or it is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.he.schemes import BGV, BGV_ANSWER, CKKS_ANSWER, Client, T, centred

from holdfast.errors import IntegrityError, UsageError
from holdfast.he import (
    Answer,
    Ciphertext,
    Encoder,
    Evaluator,
    Parameters,
    PublicKey,
    SecretKey,
    answer_noise,
    encrypt,
    flooding_bits,
    fresh_seed,
    hint_bits,
    max_positions,
    precision,
    read,
    reveal,
    rings,
)
from holdfast.he.answers import round_to_power

N = BGV_ANSWER.degree
FLOOD = 60
SECRETS = {p: SecretKey.generate(p) for p in (BGV_ANSWER, CKKS_ANSWER)}
PUBLICS = {p: PublicKey.generate(secret, level=2) for p, secret in SECRETS.items()}
CKKS_SCALE = 2.0**90


def encrypted(parameters: Parameters, coefficients: np.ndarray, *, scale: float = 1.0) -> Ciphertext:
    plaintext = Encoder(parameters).encode_coefficients(coefficients, level=2, scale=scale)
    return encrypt(SECRETS[parameters], plaintext, seed=fresh_seed(), index=0)


def ask(
    ciphertext: Ciphertext,
    parameters: Parameters,
    positions: list[int],
    addend: list[float] | None = None,
    *,
    flood_bits: int = FLOOD,
    answer_bits: int = 31,
) -> Answer:
    return reveal(
        ciphertext,
        np.array(positions),
        public=PUBLICS[parameters],
        flood_bits=flood_bits,
        answer_bits=answer_bits,
        addend=addend or [0] * len(positions),
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), addend=st.integers(-T, T), position=st.integers(0, N - 1))
def test_integers_come_out_exactly(seed: int, addend: int, position: int) -> None:
    message = np.random.default_rng(seed).integers(-(T // 2), T // 2 + 1, N)
    positions = [position, 0, N - 1]
    got = read(
        SECRETS[BGV_ANSWER],
        ask(encrypted(BGV_ANSWER, message), BGV_ANSWER, positions, [addend, 0, -addend]),
        np.array(positions),
    )
    assert (got == centred(message[positions] + np.array([addend, 0, -addend]))).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), addend=st.floats(-1, 1))
def test_real_numbers_come_out_to_the_stated_precision(seed: int, addend: float) -> None:
    message = np.random.default_rng(seed).uniform(-1, 1, N)
    positions = np.array([0, 17, N - 1])
    answer = ask(encrypted(CKKS_ANSWER, message, scale=CKKS_SCALE), CKKS_ANSWER, positions.tolist(), [addend] * 3)
    got = read(SECRETS[CKKS_ANSWER], answer, positions, scale=CKKS_SCALE, magnitude=2.0)
    within = precision(CKKS_ANSWER, 2, flood_bits=FLOOD, answer_bits=31, scale=CKKS_SCALE)
    assert within < 2**-10
    assert np.abs(got - message[positions] - addend).max() <= within


def test_the_output_of_a_circuit_is_a_sum_over_all_slots() -> None:
    rng = np.random.default_rng(1)
    period = N // 2 // 4
    vectors = np.tile(rng.integers(-5, 6, (3, 2, period)), (1, 1, 4)).reshape(3, N)
    slots = np.tile(rng.integers(-(T // 2), T // 2, (2, period)), (1, 4))
    encoder = Encoder(BGV_ANSWER)
    query = encrypt(SECRETS[BGV_ANSWER], encoder.encode(slots, level=2), seed=fresh_seed(), index=0)
    result = Evaluator(BGV_ANSWER).multiply_plain(query, encoder.encode_outputs(vectors, level=2))
    answer = ask(result, BGV_ANSWER, [0, 1, 2], flood_bits=80)
    got = read(SECRETS[BGV_ANSWER], answer, np.arange(3))
    assert (got == centred(vectors @ slots.ravel())).all()


def test_an_answer_is_two_halves_of_the_stated_bits() -> None:
    answer = ask(encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)), BGV_ANSWER, [0, 5])
    assert answer.first.shape == (2,)
    assert answer.second.shape == (N,)
    assert 2**30 < answer.second.max() < 2**31


@given(
    bits=st.sampled_from([8, 31, 40, 56]),
    values=st.lists(st.integers(0, BGV_ANSWER.modulus(2) - 1), min_size=1, max_size=20),
)
def test_cutting_is_rounding(bits: int, values: list[int]) -> None:
    q = BGV_ANSWER.modulus(2)
    residues = np.zeros((2, N), dtype=np.uint64)
    for i, value in enumerate(values):
        residues[:, i] = [value % prime for prime in BGV_ANSWER.primes]
    got = round_to_power(residues, rings.chain(BGV_ANSWER, 2), bits)
    for value, cut in zip(values, got[: len(values)].tolist(), strict=True):
        error = (Fraction(value * 2**bits, q) - cut) % 2**bits
        assert min(error, 2**bits - error) <= Fraction(1, 2) + Fraction(1, 2**45)


def test_the_rounding_error_of_an_answer_is_near_its_bound_and_below() -> None:
    """Ten deviations are allowed; with the key's N terms, and 200 samples, two or more are seen."""
    message = np.zeros(N, dtype=np.int64)
    allowed = answer_noise(BGV_ANSWER, 2, flood_bits=FLOOD, answer_bits=31)
    seen = 0.0
    for _ in range(20):
        positions = np.arange(10)
        answer = ask(encrypted(BGV_ANSWER, message), BGV_ANSWER, positions.tolist())
        products = SECRETS[BGV_ANSWER].inner_products(answer.second, positions)
        phase = ((answer.first + products) & np.uint64(2**31 - 1)).astype(np.int64)
        seen = max(seen, float(np.minimum(phase, 2**31 - phase).max()))
    assert allowed / 8 < seen <= allowed


def test_another_clients_key_cannot_read_an_answer() -> None:
    positions = np.arange(10)
    answer = ask(encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)), BGV_ANSWER, positions.tolist())
    with pytest.raises(IntegrityError, match="noise is out of bounds"):
        read(SecretKey.generate(BGV_ANSWER), answer, positions)


def test_garbage_is_refused_in_both_schemes() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2**31, 10, dtype=np.uint64), rng.integers(0, 2**31, N, dtype=np.uint64)
    answer = Answer(first=first, second=second, level=2, answer_bits=31, flood_bits=FLOOD)
    with pytest.raises(IntegrityError, match="noise"):
        read(SECRETS[BGV_ANSWER], answer, np.arange(10))
    with pytest.raises(IntegrityError, match="values"):
        read(SECRETS[CKKS_ANSWER], answer, np.arange(10), scale=CKKS_SCALE, magnitude=2.0)


def test_a_changed_answer_is_refused_and_not_read_as_something_else() -> None:
    answer = ask(encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)), BGV_ANSWER, [0])
    changed = (answer.first + np.uint64(2**31 // (2 * T))) % np.uint64(2**31)
    with pytest.raises(IntegrityError):
        read(SECRETS[BGV_ANSWER], replace(answer, first=changed), np.array([0]))


def test_a_flood_that_does_not_drown_the_noise_is_refused_with_the_one_that_does() -> None:
    ciphertext = encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64))
    with pytest.raises(UsageError, match="drowns the noise by 40 bits, got 3") as refused:
        ask(ciphertext, BGV_ANSWER, [0], flood_bits=50)
    enough = int(refused.value.hint.split()[-2])
    assert 40 <= flooding_bits(BGV_ANSWER, ciphertext, flood_bits=enough, n_positions=1) < 41
    ask(ciphertext, BGV_ANSWER, [0], flood_bits=enough)


@pytest.mark.parametrize("flood_bits", [84, 200])
def test_a_flood_that_drowns_the_message_is_refused(flood_bits: int) -> None:
    with pytest.raises(UsageError, match="room for the noise"):
        ask(encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)), BGV_ANSWER, [0], flood_bits=flood_bits)


@pytest.mark.parametrize("answer_bits", [7, 57, 15])
def test_answer_bits_without_room_for_the_message_are_refused(answer_bits: int) -> None:
    with pytest.raises(UsageError, match=r"expected (an answer|room)"):
        ask(encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)), BGV_ANSWER, [0], answer_bits=answer_bits)


def test_a_message_as_large_as_the_modulus_is_refused() -> None:
    huge = encrypted(CKKS_ANSWER, np.full(N, 0.499), scale=2.0**100)
    with pytest.raises(UsageError, match="room for the noise"):
        ask(huge, CKKS_ANSWER, [0], flood_bits=98)


def test_three_parts_are_refused() -> None:
    client = Client(BGV, steps=())
    a = client.encrypt(client.draw(1))
    with pytest.raises(UsageError, match="three parts"):
        reveal(
            client.evaluator.square(a, relinearise=False),
            np.array([0]),
            public=PublicKey.generate(client.secret, level=2),
            flood_bits=FLOOD,
            answer_bits=31,
            addend=[0],
        )


def test_a_result_above_the_public_key_is_refused() -> None:
    low = PublicKey.generate(SECRETS[BGV_ANSWER], level=1)
    with pytest.raises(UsageError, match="at level 1 or below, got one at level 2"):
        reveal(
            encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)),
            np.array([0]),
            public=low,
            flood_bits=FLOOD,
            answer_bits=31,
            addend=[0],
        )


@pytest.mark.parametrize("positions", [[-1], [N], [[0]]])
def test_positions_outside_the_polynomial_are_refused(positions: list[int]) -> None:
    ciphertext = encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64))
    with pytest.raises(UsageError, match="expected positions"):
        ask(ciphertext, BGV_ANSWER, positions)
    with pytest.raises(UsageError, match="expected positions"):
        read(SECRETS[BGV_ANSWER], ask(ciphertext, BGV_ANSWER, [0]), np.array(positions))


def test_an_answer_to_other_positions_is_refused() -> None:
    answer = ask(encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)), BGV_ANSWER, [0])
    with pytest.raises(UsageError, match="an answer to 2 positions, got one to 1"):
        read(SECRETS[BGV_ANSWER], answer, np.array([0, 1]))


def test_an_addend_for_each_position_is_asked_for() -> None:
    with pytest.raises(UsageError, match="addend for each of 2"):
        ask(encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64)), BGV_ANSWER, [0, 1], [1])


def test_more_positions_than_the_mask_bears_are_refused() -> None:
    most = max_positions(BGV_ANSWER, 2, flood_bits=FLOOD, answer_bits=31)
    assert 5 < most < 20
    ciphertext = encrypted(BGV_ANSWER, np.zeros(N, dtype=np.int64))
    with pytest.raises(UsageError, match=f"at most {most} revealed coefficients in one answer, got {most + 1}"):
        ask(ciphertext, BGV_ANSWER, list(range(most + 1)))


def test_fewer_bits_for_each_position_leave_more_positions() -> None:
    assert hint_bits(BGV_ANSWER, 2, flood_bits=FLOOD, answer_bits=31) == 31
    assert math.isclose(hint_bits(BGV_ANSWER, 2, flood_bits=80, answer_bits=31), 20, abs_tol=0.1)
    narrow, wide = (max_positions(BGV_ANSWER, 2, flood_bits=bits, answer_bits=31) for bits in (FLOOD, 80))
    assert wide > narrow
