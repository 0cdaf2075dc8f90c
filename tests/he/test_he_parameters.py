"""Insecure or malformed parameters cannot be made, nor read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.he.schemes import BGV, CKKS, T

from holdfast.errors import UsageError, WireError
from holdfast.he import Parameters
from holdfast.he.parameters import MAX_LOG2_MODULUS, is_prime


def test_generated_primes_are_the_largest_that_are_right_and_always_the_same() -> None:
    step, (first, second) = 2 * 4096 * T, BGV.primes
    assert [n for n in range(2**36 // step * step + 1, first, -step) if n < 2**36 and is_prime(n)] == []
    assert (first.bit_length(), second.bit_length()) == (36, 33)
    assert Parameters.generate(4096, bits=(36, 33), special_bits=(36,), plaintext_modulus=T) == BGV
    assert len({*BGV.primes, *BGV.special_primes}) == 3


def test_every_prime_of_bgv_is_one_modulo_the_plaintext_modulus() -> None:
    assert all(prime % T == 1 and prime % 8192 == 1 for prime in BGV.primes + BGV.special_primes)


@pytest.mark.parametrize("degree", MAX_LOG2_MODULUS)
def test_a_modulus_over_the_security_table_is_refused_special_primes_counted(degree: int) -> None:
    limit = MAX_LOG2_MODULUS[degree]
    count = -(-limit // 45)
    sizes = [limit // count + (i < limit % count) for i in range(count)]  # the product is just below 2^limit
    secure = Parameters.generate(degree, bits=sizes[:1], special_bits=sizes[1:])
    assert limit - 0.5 < secure.log2_total < limit
    with pytest.raises(UsageError, match=rf"{limit} bits is 128-bit secure, got"):
        Parameters.generate(degree, bits=sizes[:1], special_bits=[*sizes[1:-1], sizes[-1] + 1])


CHANGES: dict[str, dict[str, object]] = {
    "a degree between": {"degree": 4095},
    "a degree too small": {"degree": 1024},
    "no primes": {"primes": ()},
    "a prime twice": {"primes": (CKKS.primes[0], CKKS.primes[0])},
    "a special prime among the primes": {"special_primes": CKKS.primes[:1]},
    "no prime": {"primes": (2**36 - 2**13 + 1,)},
    "a prime that is not 1 modulo 2N": {"primes": (2**31 - 1,)},
    "a prime too small": {"primes": (12289,)},
    "a prime too large": {"primes": (1152921504606830593,)},
    "a negative prime": {"primes": (-8191,)},
    "a plaintext modulus that is no prime": {"plaintext_modulus": 8193},
    "a plaintext modulus for primes that are not 1 modulo it": {"plaintext_modulus": T},
    "a negative plaintext modulus": {"plaintext_modulus": -8191},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_parameters_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        replace(CKKS, **change)


@pytest.mark.parametrize("bits", [(17,), (51,), (20,) * 6])
def test_primes_that_there_are_not_are_refused(bits: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Parameters.generate(32768, bits=bits)


@pytest.mark.parametrize("parameters", [BGV, CKKS])
def test_parameters_survive_json(parameters: Parameters) -> None:
    assert Parameters.from_json(json.loads(json.dumps(parameters.to_json()))) == parameters


BAD: dict[str, object] = {
    "no object": [1],
    "a missing field": {"degree": 4096},
    "one field more": CKKS.to_json() | {"security": 256},
    "a text": CKKS.to_json() | {"degree": "4096"},
    "a truth": CKKS.to_json() | {"plaintext_modulus": True},
    "a fraction": CKKS.to_json() | {"primes": [1.5]},
    "no list": CKKS.to_json() | {"primes": 5},
    "too many primes": CKKS.to_json() | {"primes": [5] * 10**6},
    "insecure ones": CKKS.to_json() | {"degree": 2048},
}


@pytest.mark.parametrize("document", BAD.values(), ids=BAD)
def test_bad_json_is_refused(document: object) -> None:
    with pytest.raises(WireError):
        Parameters.from_json(document)


def test_the_security_statement_names_the_figures_and_the_source() -> None:
    sentence = BGV.security()
    for part in ("N = 4096", f"log2 QP = {BGV.log2_total:.1f}", "106", "Bossuat et al. 2024", "ternary"):
        assert part in sentence


def test_the_primality_test_agrees_with_trial_division() -> None:
    candidates = range(2**30 + 1, 2**30 + 600, 2)
    assert [n for n in candidates if is_prime(n)] == [n for n in candidates if all(n % d for d in range(3, 2**15, 2))]
    assert not any(is_prime(n) for n in (-7, 0, 1, 2**61))
    # Strong pseudoprimes to the first bases alone: to 2 and 3; to 2, 3, 5 and 7; to all primes up to 31.
    assert not any(is_prime(n) for n in (1_373_653, 3_215_031_751, 3_825_123_056_546_413_051))
    assert is_prime(2**61 - 1)
