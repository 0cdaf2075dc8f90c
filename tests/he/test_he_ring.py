"""The kernels are exact: against the definition, at the extremes, and against Microsoft SEAL."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.he.kernels import Ring, ring
from holdfast.he.parameters import EXACT_8192

PRIMES = EXACT_8192.primes
DEGREE = EXACT_8192.degree
FULL = ring(DEGREE, PRIMES)
COLUMN = np.array(PRIMES)[:, None]


def negacyclic(x: list[int], y: list[int], q: int) -> list[int]:
    """The product in Z_q[X] / (X^N + 1) by its definition."""
    n, out = len(x), [0] * len(x)
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            out[(i + j) % n] += a * b if i + j < n else -a * b
    return [value % q for value in out]


def integers(residues: np.ndarray, primes: tuple[int, ...]) -> list[int]:
    """The integers nearest to zero with these residues."""
    modulus = math.prod(primes)
    basis = [modulus // q * pow(modulus // q, -1, q) for q in primes]
    totals = (sum(int(r) * b for r, b in zip(column, basis, strict=True)) % modulus for column in residues.T)
    return [total - modulus if total > modulus // 2 else total for total in totals]


@settings(max_examples=40, deadline=None)
@given(degree=st.sampled_from([2, 4, 8, 32, 64]), data=st.data())
def test_a_product_of_values_is_the_negacyclic_product(degree: int, data: st.DataObject) -> None:
    small = Ring(degree, PRIMES[:2])
    residue = st.integers(0, PRIMES[1] - 1)
    x, y = (data.draw(st.lists(residue, min_size=degree, max_size=degree)) for _ in range(2))
    a, b = (small.forward(small.centred(np.array([poly, poly]))) for poly in (x, y))
    product = small.canonical(small.inverse(small.multiply(a, b)))
    for row, q in zip(product, PRIMES, strict=False):
        assert row.tolist() == negacyclic(x, y, q)


@pytest.mark.parametrize("extreme", [0, 1, -1, "half", "minus half", "alternating"])
def test_the_transform_is_exact_at_the_largest_residues(extreme: int | str) -> None:
    half = COLUMN // 2
    polynomials = {
        "half": np.repeat(half, DEGREE, axis=1),
        "minus half": np.repeat(-half, DEGREE, axis=1),
        "alternating": half * (1 - 2 * (np.arange(DEGREE) % 2)),
    }
    x = polynomials[extreme] if isinstance(extreme, str) else np.full((6, DEGREE), extreme)
    shift = np.zeros((6, DEGREE), dtype=np.int64)
    shift[:, DEGREE - 1] = 1  # X^(N-1) = -X^-1, a product that can be written down
    product = FULL.inverse(FULL.multiply(FULL.forward(x), FULL.forward(shift)))
    expected = np.concatenate([-x[:, 1:], x[:, :1]], axis=1) % COLUMN
    assert (FULL.canonical(product) == expected).all()
    assert (FULL.canonical(FULL.inverse(FULL.forward(x))) == x % COLUMN).all()


def test_a_dense_product_at_full_degree_is_exact() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, PRIMES[0], (2, DEGREE))
    # An independent product: 16-bit limbs through integer convolution, every sum below 2^45.
    limbs = [[(value >> shift) & 0xFFFF for shift in (0, 16)] for value in (x, y)]
    linear = np.zeros(2 * DEGREE - 1, dtype=object)
    for i, a in enumerate(limbs[0]):
        for j, b in enumerate(limbs[1]):
            linear += np.convolve(a, b).astype(object) << 16 * (i + j)
    folded = linear[:DEGREE].copy()
    folded[: DEGREE - 1] -= linear[DEGREE:]
    product = FULL.inverse(FULL.multiply(*(FULL.forward(FULL.centred(z % COLUMN)) for z in (x, y))))
    for row, q in zip(FULL.canonical(product), PRIMES, strict=True):
        assert row.tolist() == [int(value) % q for value in folded]


def test_the_values_come_in_the_order_that_the_wire_format_states() -> None:
    q = PRIMES[3]
    exponent = (q - 1) // (2 * DEGREE)
    psi = next(r for g in range(2, 100) if pow(r := pow(g, exponent, q), DEGREE, q) == q - 1)
    x = np.zeros((6, DEGREE), dtype=np.int64)
    x[:, 5] = 1
    values = FULL.canonical(FULL.forward(x))[3]
    for c, d in [(0, 0), (1, 0), (0, 1), (127, 63), (77, 12)]:
        assert values[64 * c + d] == pow(psi, 5 * (2 * (c + 128 * d) + 1), q)


def test_a_few_coefficients_equal_those_of_the_whole_inverse() -> None:
    rng = np.random.default_rng(2)
    values = FULL.centred(rng.integers(0, COLUMN, (6, DEGREE)))
    positions = np.array([0, 1, 63, 64, 4095, 8191, 29])
    few, whole = FULL.coefficients(values, positions), FULL.inverse(values)
    assert (FULL.canonical(few) == FULL.canonical(whole)[:, positions]).all()


def test_dropping_primes_divides_and_rounds() -> None:
    rng = np.random.default_rng(3)
    residues = rng.integers(0, COLUMN, (6, 200))
    dropped = FULL.drop_primes(residues, keep=3)
    divisor, kept = math.prod(PRIMES[3:]), math.prod(PRIMES[:3])
    for before, after in zip(integers(residues, PRIMES), integers(dropped % COLUMN[:3], PRIMES[:3]), strict=True):
        error = (after * divisor - before) % (kept * divisor)
        error = min(error, kept * divisor - error)
        assert error * 1024 <= divisor * 513


def test_small_polynomials_transform_alike() -> None:
    rng = np.random.default_rng(5)
    for x in (np.full(DEGREE, 2**15), rng.choice([-(2**15), 2**15], DEGREE), rng.integers(-1, 2, DEGREE)):
        expected = FULL.canonical(FULL.forward(np.tile(x, (6, 1))))
        assert (FULL.canonical(FULL.forward_small(x)) == expected).all()


def test_tables_are_built_once() -> None:
    assert ring(DEGREE, PRIMES) is FULL


def test_a_product_equals_that_of_seal() -> None:
    sealapi = pytest.importorskip("tenseal.sealapi")
    bits = 40
    settings_ = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
    settings_.set_poly_modulus_degree(DEGREE)
    settings_.set_coeff_modulus(sealapi.CoeffModulus.BFVDefault(DEGREE, sealapi.SEC_LEVEL_TYPE.TC128))
    settings_.set_plain_modulus(2**bits)
    context = sealapi.SEALContext(settings_, True, sealapi.SEC_LEVEL_TYPE.TC128)
    generator = sealapi.KeyGenerator(context)
    key = sealapi.PublicKey()
    generator.create_public_key(key)
    rng = np.random.default_rng(4)
    x, y = np.zeros((2, DEGREE), dtype=np.int64)
    x[:900], y[-40:] = rng.integers(0, 2**20, 900), rng.integers(0, 2**10, 40)  # wraps around X^N = -1
    cipher, product, plain = sealapi.Ciphertext(context), sealapi.Ciphertext(context), sealapi.Plaintext()
    sealapi.Encryptor(context, key).encrypt(_seal_plaintext(sealapi, x), cipher)
    sealapi.Evaluator(context).multiply_plain(cipher, _seal_plaintext(sealapi, y), product)
    sealapi.Decryptor(context, generator.secret_key()).decrypt(product, plain)
    theirs = [int(plain.data(i)) if i < plain.coeff_count() else 0 for i in range(DEGREE)]
    a, b = (FULL.forward(np.tile(z, (6, 1))) for z in (x, y))
    ours = integers(FULL.inverse(FULL.multiply(a, b)), PRIMES)
    assert [value % 2**bits for value in ours] == theirs


def _seal_plaintext(sealapi: object, x: np.ndarray) -> object:
    terms = [f"{value:X}x^{i}" if i else f"{value:X}" for i, value in reversed(list(enumerate(x.tolist()))) if value]
    return sealapi.Plaintext(" + ".join(terms))  # type: ignore[attr-defined]
