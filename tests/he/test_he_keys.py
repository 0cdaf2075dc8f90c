"""A secret key stays in its handle; the other keys are encryptions under it, with nothing of the client's choice."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from tests.he.schemes import BGV, CKKS, T

from holdfast.errors import UsageError, WireError
from holdfast.he import (
    RELINEARISATION,
    EvaluationKeys,
    KeyRequest,
    Parameters,
    PublicKey,
    SecretKey,
    SwitchingKey,
    pack_bits,
    rings,
    scheme,
    switching_key_bytes,
)
from holdfast.he.parameters import ERROR_BOUND

N = BGV.degree
LEVEL_1 = Parameters.generate(4096, bits=(36,))


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return SecretKey.generate(BGV)


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
    again = SecretKey.from_secret_bytes(BGV, secret.secret_bytes())
    assert again == secret
    assert again != SecretKey.generate(BGV)
    assert again != SecretKey.from_secret_bytes(CKKS, secret.secret_bytes())
    assert again != "another thing"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"32 bytes, got {size}"):
        SecretKey.from_secret_bytes(BGV, bytes(size))


def test_inner_products_equal_the_product_of_polynomials() -> None:
    secret, ring = SecretKey.generate(LEVEL_1), rings.chain(LEVEL_1, 1)
    polynomial = np.random.default_rng(1).integers(0, 2**20, N, dtype=np.uint64)
    positions = np.array([0, 1, 29, N - 1])
    through_ntt = secret.phase(np.stack([np.zeros((1, N), dtype=np.uint64), ring.forward(polynomial[None])]))
    expected = scheme.integers(through_ntt, LEVEL_1, 1)[positions]
    assert secret.inner_products(polynomial, positions).astype(np.int64).tolist() == expected.tolist()


@pytest.mark.parametrize("parameters", [BGV, CKKS])
def test_a_public_key_is_an_encryption_of_zero(parameters: Parameters) -> None:
    secret = SecretKey.generate(parameters)
    key = PublicKey.generate(secret, level=2)
    error = scheme.integers(secret.phase(np.stack([key.body, key.a])), parameters, 2)
    unit = parameters.plaintext_modulus or 1
    assert (error % unit == 0).all()
    assert 0 < max(map(abs, error)) <= ERROR_BOUND * unit


def test_two_public_keys_of_one_secret_have_nothing_in_common(secret: SecretKey) -> None:
    first, second = PublicKey.generate(secret, level=2), PublicKey.generate(secret, level=2)
    assert first.seed != second.seed
    assert (first.body == second.body).mean() < 0.01
    assert (first.a == second.a).mean() < 0.01


def test_a_public_key_takes_no_uniform_half_of_the_clients_choice() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'a'"):
        PublicKey(parameters=BGV, seed=bytes(32), body=np.zeros((2, N)), a=np.zeros((2, N)))  # type: ignore[call-arg]


def test_a_switching_key_takes_no_uniform_halves_of_the_clients_choice() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'rows'"):
        SwitchingKey(parameters=BGV, element=0, seed=bytes(32), bodies=np.zeros((2, 3, N)), rows=0)  # type: ignore[call-arg]


@pytest.mark.parametrize("shape", [(2, N - 1), (0, N), (3, N), (N,), (2, 2, N)])
def test_public_keys_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected a public key of residues"):
        PublicKey(parameters=BGV, seed=bytes(32), body=np.zeros(shape, dtype=np.uint64))


@pytest.mark.parametrize("shape", [(2, 3, N - 1), (1, 3, N), (2, 4, N), (3, 3, N), (3, N), (1, 1, N), (0, 3, N)])
def test_switching_keys_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected the bodies of a switching key"):
        SwitchingKey(parameters=BGV, element=3, seed=bytes(32), bodies=np.zeros(shape, dtype=np.uint64))


@pytest.mark.parametrize("element", [RELINEARISATION, 5, 2 * N - 1])
@pytest.mark.parametrize("level", [1, 2])
def test_each_row_of_a_switching_key_holds_the_other_secret_over_its_digit(element: int, level: int) -> None:
    secret = SecretKey.generate(BGV)
    key = SwitchingKey.generate(secret, element=element, level=level)
    assert (key.level, key.rows.shape) == (level, (level, 2, level + 1, N))
    for digit in range(level):
        row = np.ascontiguousarray(key.rows[digit, :, :level])
        lifted = scheme.integers(secret.phase(row), BGV, level)
        for i, prime in enumerate(BGV.primes[:level]):
            error = (lifted + prime // 2) % prime - prime // 2
            assert (max(map(abs, error)) <= T * ERROR_BOUND) == (i != digit)


def test_keys_of_a_request_are_those_asked_for_and_no_more(secret: SecretKey) -> None:
    request = KeyRequest(relinearise_level=2, rotations={25: 1, 5: 2})
    keys = EvaluationKeys.generate(secret, request)
    assert [(element, keys[element].level) for element, _ in request] == [(0, 2), (5, 2), (25, 1)]
    assert keys.memory_bytes == 2 * sum(key.bodies.size * 8 for key in keys.keys.values())
    with pytest.raises(UsageError, match="expected a key for the Galois element 125"):
        keys[125]
    with pytest.raises(UsageError, match="for relinearisation"):
        EvaluationKeys.generate(secret, KeyRequest())[RELINEARISATION]


def test_the_packed_size_is_what_the_packed_bits_take(secret: SecretKey) -> None:
    key = SwitchingKey.generate(secret, element=5, level=2)
    widths = [prime.bit_length() for prime in rings.full(BGV, 2).primes]
    assert switching_key_bytes(BGV, 2) == len(pack_bits(key.bodies, widths)) + 32
    request = KeyRequest(relinearise_level=2, rotations={5: 2})
    assert request.packed_bytes(BGV) == 2 * switching_key_bytes(BGV, 2)


def test_a_key_above_its_level_is_refused(secret: SecretKey) -> None:
    key = SwitchingKey.generate(secret, element=5, level=1)
    with pytest.raises(UsageError, match="a key for level 2, got one for levels up to 1"):
        key.limbs(2)


@pytest.mark.parametrize(
    "request_",
    [
        KeyRequest(relinearise_level=3),
        KeyRequest(rotations={4: 1}),
        KeyRequest(rotations={2 * N + 1: 1}),
        KeyRequest(rotations={1: 1}),
        KeyRequest(rotations={5: 0}),
    ],
)
def test_requests_for_keys_that_there_are_not_are_refused(secret: SecretKey, request_: KeyRequest) -> None:
    with pytest.raises(UsageError, match="expected"):
        EvaluationKeys.generate(secret, request_)


def test_without_special_primes_there_are_no_evaluation_keys() -> None:
    with pytest.raises(UsageError, match="special primes"):
        EvaluationKeys.generate(SecretKey.generate(LEVEL_1), KeyRequest(rotations={5: 1}))


def test_requests_survive_json() -> None:
    request = KeyRequest(relinearise_level=2, rotations={25: 1, 5: 2})
    assert KeyRequest.from_json(json.loads(json.dumps(request.to_json()))) == request


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"relinearise_level": 1, "rotations": {}},
        {"relinearise_level": -1, "rotations": []},
        {"relinearise_level": True, "rotations": []},
        {"relinearise_level": 1, "rotations": [[5]]},
        {"relinearise_level": 1, "rotations": [[5, 1], [5, 2]]},
        {"relinearise_level": 1, "rotations": [[25, 1], [5, 2]]},
        {"relinearise_level": 1, "rotations": [["5", 1]]},
        {"relinearise_level": 1, "rotations": [], "more": 1},
    ],
    ids=str,
)
def test_bad_requests_are_refused(document: object) -> None:
    with pytest.raises(WireError, match="expected"):
        KeyRequest.from_json(document)
