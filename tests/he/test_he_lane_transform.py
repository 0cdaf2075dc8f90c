"""Matrices over lanes: every sample gets its product, within the noise that was said, and no neighbour's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.errors import UsageError
from holdfast.he import (
    Ciphertext,
    Encoder,
    EvaluationKeys,
    Evaluator,
    KeyRequest,
    Parameters,
    SecretKey,
    decrypt,
    encrypt,
    fresh_seed,
)
from holdfast.he.lane_transform import LaneTransform, lane_elements

PARAMETERS = Parameters.generate(8192, bits=(50, 45, 40), special_bits=(50,))
LANES, LEVEL, SCALE, WEIGHT_SCALE = 8, 3, 2.0**50, 2.0**25


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return SecretKey.generate(PARAMETERS)


@pytest.fixture(scope="module")
def evaluator(secret: SecretKey) -> Evaluator:
    request = KeyRequest(relinearise_level=LEVEL, rotations=dict.fromkeys(lane_elements(PARAMETERS), LEVEL))
    return Evaluator(PARAMETERS, EvaluationKeys.generate(secret, request))


def encrypted(x: np.ndarray, secret: SecretKey, *, shift: int) -> list[Ciphertext]:
    """Samples (samples, inputs), `shift` slots to the left."""
    parts = x.reshape(len(x), -1, LANES).transpose(1, 0, 2).reshape(-1, PARAMETERS.slots)
    plaintexts = [Encoder(PARAMETERS).encode(np.roll(p, -shift), level=LEVEL, scale=SCALE) for p in parts]
    seed = fresh_seed()
    return [encrypt(secret, plaintext, seed=seed, index=i) for i, plaintext in enumerate(plaintexts)]


def transform(matrix: np.ndarray, *, shift: int = 0, lanes: int = LANES) -> LaneTransform:
    return LaneTransform(matrix, lanes=lanes, shift=shift, parameters=PARAMETERS, level=LEVEL, scale=WEIGHT_SCALE)


@pytest.mark.parametrize(("outputs", "inputs", "shift"), [(1, 8, 0), (8, 16, 7), (21, 24, 14), (40, 8, 3)])
def test_every_sample_gets_its_product_within_the_noise_that_was_said(
    outputs: int, inputs: int, shift: int, secret: SecretKey, evaluator: Evaluator
) -> None:
    rng = np.random.default_rng(outputs)
    matrix, x = rng.normal(size=(outputs, inputs)), rng.uniform(-1, 1, (PARAMETERS.slots // LANES, inputs))
    results = transform(matrix, shift=shift)(encrypted(x, secret, shift=shift), evaluator)
    assert len(results) == -(-outputs // LANES)
    y = np.zeros((len(x), len(results) * LANES))
    y[:, :outputs] = x @ matrix.T
    for i, result in enumerate(results):
        assert result.scale == SCALE * WEIGHT_SCALE
        slots = np.roll(Encoder(PARAMETERS).decode(decrypt(secret, result)), shift + LANES - 1).reshape(-1, LANES)
        error = np.abs(slots - y[:, i * LANES : (i + 1) * LANES]).max()
        rounded = 2.0**-24 * inputs * LANES  # the weights', and the float64 of this test's own decoding
        assert error <= result.noise.canonical / result.scale + rounded
        assert error < 2.0**-15


def test_the_noise_that_was_said_holds_coefficient_by_coefficient(secret: SecretKey, evaluator: Evaluator) -> None:
    matrix = np.random.default_rng(0).normal(size=(16, 8))
    zeros = np.zeros((PARAMETERS.slots // LANES, 8))
    for result in transform(matrix)(encrypted(zeros, secret, shift=0), evaluator):
        noise = decrypt(secret, result) * result.scale
        assert np.abs(noise).max() <= result.noise.coefficient
        assert np.sqrt(np.mean(np.square(noise))) <= result.noise.rms


def test_what_is_no_matrix_over_lanes_is_refused(secret: SecretKey, evaluator: Evaluator) -> None:
    matrix = np.ones((8, 16))
    for lanes in (4, 12):
        with pytest.raises(UsageError, match="lanes"):
            transform(matrix, lanes=lanes)
    with pytest.raises(UsageError, match="62 bits"):
        transform(matrix * 2.0**40)
    one = encrypted(np.zeros((PARAMETERS.slots // LANES, 8)), secret, shift=0)
    with pytest.raises(UsageError, match="expected 2 ciphertexts"):
        transform(matrix)(one, evaluator)
    with pytest.raises(UsageError, match="at level 3"):
        transform(matrix[:, :8])([evaluator.at_level(one[0], 2)], evaluator)
