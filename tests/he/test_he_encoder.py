"""What is encoded comes back, and the operations on polynomials are those on slots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.he.schemes import BGV, BGV_ANSWER, CKKS, CKKS_ANSWER, T, centred

from holdfast.errors import UsageError
from holdfast.he import Encoder, Norms, Parameters, galois_element, rings, row_swap_element, scheme

N = BGV.degree
EXACT, REAL = Encoder(BGV), Encoder(CKKS)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=10)


def coefficients(parameters: Parameters, residues: np.ndarray) -> np.ndarray:
    return scheme.integers(residues, parameters, len(residues))


@few
@given(seed=seeds)
def test_integers_in_slots_come_back(seed: int) -> None:
    slots = np.random.default_rng(seed).integers(-(10**6), 10**6, (2, N // 2))
    plaintext = EXACT.encode(slots, level=2)
    assert (EXACT.decode(coefficients(BGV, plaintext.residues)) == centred(slots)).all()
    alike = EXACT.encode(slots[0], level=1)
    assert (EXACT.decode(coefficients(BGV, alike.residues)) == centred(slots[[0, 0]])).all()


@few
@given(seed=seeds)
def test_real_numbers_in_slots_come_back(seed: int) -> None:
    slots = np.random.default_rng(seed).normal(size=N // 2)
    plaintext = REAL.encode(slots, level=2, scale=2.0**40)
    assert np.abs(REAL.decode(coefficients(CKKS, plaintext.residues) / 2.0**40) - slots).max() < 1e-9


@pytest.mark.parametrize("steps", [1, 5, -2])
def test_the_galois_element_of_a_rotation_moves_the_slots(steps: int) -> None:
    slots = np.random.default_rng(1).integers(0, T, (2, N // 2))
    ring, plaintext = rings.chain(BGV, 2), EXACT.encode(slots, level=2)
    moved = ring.permute(plaintext.residues, ring.galois_indices(galois_element(BGV, steps)))
    assert (EXACT.decode(coefficients(BGV, moved)) == centred(np.roll(slots, -steps, axis=1))).all()
    swapped = ring.permute(plaintext.residues, ring.galois_indices(row_swap_element(BGV)))
    assert (EXACT.decode(coefficients(BGV, swapped)) == centred(slots[::-1])).all()


@pytest.mark.parametrize("scale_bits", [0, 30, 60, 75])
def test_scales_beyond_64_bits_keep_what_a_float_holds(scale_bits: int) -> None:
    numbers = np.random.default_rng(1).uniform(-1000, 1000, N)
    plaintext = Encoder(CKKS_ANSWER).encode_coefficients(numbers, level=2, scale=2.0**scale_bits)
    got = coefficients(CKKS_ANSWER, plaintext.residues)
    exact = np.array([int(number * 2**75) for number in numbers], dtype=object) * 2**scale_bits
    assert np.abs((got * 2**75 - exact).astype(float)).max() <= 2.0**75 * max(1.0, 1000 * 2.0 ** (scale_bits - 52))


def test_integers_as_coefficients_are_taken_modulo_t() -> None:
    numbers = np.arange(N) * 12345 - 10**6
    assert (coefficients(BGV, EXACT.encode_coefficients(numbers, level=2).residues) == centred(numbers)).all()


def test_an_extended_plaintext_is_the_same_over_the_special_primes() -> None:
    slots = np.random.default_rng(1).integers(0, T, N // 2)
    short, long = EXACT.encode(slots, level=1), EXACT.encode(slots, level=1, extended=True)
    assert (long.base == short.residues).all()
    ring = rings.full(BGV, 1)
    values = ring.inverse(long.residues).astype(object)
    signed = np.where(values > np.array(ring.primes)[:, None] // 2, values - np.array(ring.primes)[:, None], values)
    assert (signed[0] == signed[1]).all()


@pytest.mark.parametrize("n_outputs", [1, 2, 3, 8])
@pytest.mark.parametrize("parameters", [BGV_ANSWER, CKKS_ANSWER])
def test_outputs_are_sums_over_all_slots(parameters: Parameters, n_outputs: int) -> None:
    rng, encoder, rows = np.random.default_rng(n_outputs), Encoder(parameters), parameters.rows
    copies = 1 << (n_outputs - 1).bit_length()
    shape = (rows, N // 2 // copies)
    t = parameters.plaintext_modulus
    z = rng.integers(0, T, shape) if t else rng.uniform(-1, 1, shape)
    v = rng.integers(0, T, (n_outputs, *shape)) if t else rng.uniform(-1, 1, (n_outputs, *shape))
    z, v = np.tile(z, (1, copies)), np.tile(v, (1, 1, copies)).reshape(n_outputs, -1)
    scale = 1.0 if t else 2.0**30
    slots = encoder.encode(z if t else z[0], level=2, scale=scale)
    outputs = encoder.encode_outputs(v, level=2, scale=scale)
    product = coefficients(parameters, rings.chain(parameters, 2).multiply(slots.residues, outputs.residues))
    expected = v @ z.ravel()
    if t:
        assert (centred(product[:n_outputs]) == centred(expected)).all()
    else:
        assert np.abs(product[:n_outputs] / scale**2 - expected).max() < 1e-3


def test_norms_are_those_of_the_encoded_polynomial() -> None:
    plaintext = EXACT.encode(np.random.default_rng(1).integers(0, T, N // 2), level=2)
    polynomial = coefficients(BGV, plaintext.residues).astype(float)
    zeta = np.exp(1j * np.pi / N * (2 * np.arange(0, N, 97) + 1))
    at_roots = np.abs(np.polynomial.polynomial.polyval(zeta, polynomial))
    assert at_roots.max() <= plaintext.norms.canonical <= 2 * at_roots.max()
    assert plaintext.norms.l1 == pytest.approx(np.abs(polynomial).sum(), rel=1e-5)
    assert plaintext.norms.l2 == pytest.approx(np.sqrt((polynomial**2).sum()), rel=1e-5)
    assert plaintext.norms.largest == np.abs(polynomial).max()


def test_the_canonical_norm_of_a_constant_is_the_constant() -> None:
    constant = np.zeros(N)
    constant[0] = -7.0
    assert Norms.of(constant).canonical == pytest.approx(7.0, rel=1e-5)


INTEGERS, REALS = np.zeros(N // 2, dtype=np.int64), np.zeros(N // 2)


@pytest.mark.parametrize(
    ("encoder", "slots", "options"),
    [
        (EXACT, REALS, {"level": 1}),
        (EXACT, INTEGERS[:-1], {"level": 1}),
        (EXACT, np.zeros((3, N // 2), dtype=np.int64), {"level": 1}),
        (EXACT, INTEGERS, {"level": 1, "scale": 2.0}),
        (EXACT, INTEGERS, {"level": 0}),
        (EXACT, INTEGERS, {"level": 3}),
        (REAL, np.zeros((2, N // 2)), {"level": 1}),
        (REAL, REALS, {"level": 1, "scale": 0.0}),
        (REAL, REALS, {"level": 1, "scale": float("inf")}),
        (REAL, REALS + np.nan, {"level": 1}),
        (REAL, REALS + 1e300, {"level": 1}),
    ],
)
def test_what_cannot_be_encoded_is_refused(encoder: Encoder, slots: np.ndarray, options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        encoder.encode(slots, **options)  # type: ignore[arg-type]


def test_coefficients_and_outputs_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match="coefficients"):
        EXACT.encode_coefficients(INTEGERS, level=1)
    with pytest.raises(UsageError, match="vectors"):
        EXACT.encode_outputs(INTEGERS, level=1)
    uneven = np.random.default_rng(1).integers(0, T, (2, N))
    with pytest.raises(UsageError, match="repeat 2 times"):
        EXACT.encode_outputs(uneven, level=1)
