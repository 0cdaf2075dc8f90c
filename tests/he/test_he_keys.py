"""A secret key stays in its handle."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from holdfast.errors import UsageError
from holdfast.he import EXACT_8192, PublicKey, SecretKey
from holdfast.he.kernels import ring


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return SecretKey.generate(EXACT_8192)


def test_a_secret_key_does_not_print_itself(secret: SecretKey) -> None:
    shown = f"{secret} {secret!r} {[secret]}"
    assert secret.secret_bytes().hex() not in shown
    assert repr(secret.secret_bytes()) not in shown
    assert "<secret>" in shown


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_key_cannot_be_pickled_or_copied(secret: SecretKey, way: object) -> None:
    with pytest.raises(TypeError, match="secret_bytes"):
        way(secret)  # type: ignore[operator]


def test_a_secret_key_has_no_dictionary_to_dump_and_no_hash(secret: SecretKey) -> None:
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        hash(secret)


def test_secret_bytes_round_trip(secret: SecretKey) -> None:
    again = SecretKey.from_secret_bytes(EXACT_8192, secret.secret_bytes())
    assert again == secret
    assert again != SecretKey.generate(EXACT_8192)
    assert again != "another thing"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"32 bytes, got {size}"):
        SecretKey.from_secret_bytes(EXACT_8192, bytes(size))


def test_inner_products_equal_the_product_of_polynomials(secret: SecretKey) -> None:
    engine = ring(EXACT_8192.degree, EXACT_8192.primes)
    polynomial = np.random.default_rng(1).integers(0, 2**30, (6, EXACT_8192.degree))
    positions = np.array([0, 1, 29, 8191])
    through_ntt = engine.inverse(-secret.blind(engine.forward(polynomial), np.zeros((6, 1), dtype=np.int64)))
    by_sums = secret.inner_products(polynomial, positions)
    assert (engine.canonical(through_ntt)[:, positions] == by_sums % np.array(EXACT_8192.primes)[:, None]).all()


def test_a_public_key_is_an_encryption_of_zero(secret: SecretKey) -> None:
    engine = ring(EXACT_8192.degree, EXACT_8192.primes)
    key = PublicKey.of(secret)
    error = engine.inverse(engine.centred(key.body - secret.blind(key.a, np.zeros((6, 1), dtype=np.int64))))
    assert 0 < np.abs(error).max() <= 21
    assert (error == error[0]).all()


def test_two_public_keys_of_one_secret_have_nothing_in_common(secret: SecretKey) -> None:
    first, second = PublicKey.of(secret), PublicKey.of(secret)
    assert first.seed != second.seed
    assert (first.body == second.body).mean() < 0.001
    assert (first.a == second.a).mean() < 0.001


def test_a_public_key_takes_no_uniform_half_of_the_clients_choice() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'a'"):
        PublicKey(parameters=EXACT_8192, seed=bytes(32), body=np.zeros((6, 8192)), a=np.zeros((6, 8192)))  # type: ignore[call-arg]
