"""Insecure or malformed parameters cannot be made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.errors import UsageError
from holdfast.he.parameters import EXACT_8192, MAX_LOG2_MODULUS, Parameters, _is_prime


def next_primes(degree: int, count: int) -> tuple[int, ...]:
    candidates = range(2**31 - 2 * degree + 1, 2**30, -2 * degree)
    found = (number for number in candidates if all(number % d for d in range(3, int(number**0.5) + 1, 2)))
    return tuple(next(found) for _ in range(count))


def test_the_parameter_set_is_the_one_that_the_documents_state() -> None:
    assert EXACT_8192.primes == next_primes(8192, 6)
    assert EXACT_8192.log2_modulus < MAX_LOG2_MODULUS[8192] == 214
    assert EXACT_8192.modulus == EXACT_8192.plaintext_modulus * EXACT_8192.delta


def test_a_modulus_over_the_security_table_is_refused() -> None:
    with pytest.raises(UsageError, match=r"214 bits is 128-bit secure, got 217\.0 bits"):
        Parameters(degree=8192, primes=next_primes(8192, 7), flood_bits=104, max_outputs=1)


@pytest.mark.parametrize(
    "change",
    [
        {"degree": 8191},
        {"degree": 2048},
        {"primes": EXACT_8192.primes[:3]},
        {"primes": EXACT_8192.primes[:5] + EXACT_8192.primes[:1]},
        {"primes": (*EXACT_8192.primes[:5], 2147483647)},  # a prime that is not 1 modulo 2N
        {"primes": (*EXACT_8192.primes[:5], 2147385345)},  # 1 modulo 2N and not a prime
        {"primes": (*EXACT_8192.primes[:5], 65537)},
        {"flood_bits": 123},
        {"flood_bits": -1},
        {"max_outputs": 22},
        {"degree": 4096},
    ],
    ids=str,
)
def test_other_parameters_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(EXACT_8192, **change)


def test_the_primality_test_agrees_with_trial_division() -> None:
    assert [n for n in range(2**30 + 1, 2**30 + 600, 2) if _is_prime(n)] == [
        n for n in range(2**30 + 1, 2**30 + 600, 2) if all(n % d for d in range(3, 2**15 + 3, 2))
    ]
    assert not _is_prime(1_373_653)  # a strong pseudoprime to the bases 2 and 3
    assert not _is_prime(25_326_001)  # to 2, 3 and 5
    assert not _is_prime(46_337 * 46_349)


def test_an_honest_answer_has_far_less_noise_than_garbage() -> None:
    assert EXACT_8192.answer_noise_bound * 2**16 < EXACT_8192.primes[2]
