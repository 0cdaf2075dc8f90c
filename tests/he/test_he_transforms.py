"""A matrix times an encrypted vector is the matrix times the vector, in both schemes, however the steps are taken."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from holdfast.errors import UsageError
from holdfast.he import (
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
from holdfast.he.scheme import integers
from holdfast.he.steps import Gain, Steps
from holdfast.he.transforms import DiagonalTransform

BGV = Parameters.generate(8192, bits=[48, 48], special_bits=[48, 48], plaintext_modulus=786_433)
CKKS = Parameters.generate(8192, bits=[45, 45, 25], special_bits=[45, 45])
SLOTS = BGV.slots


@lru_cache(maxsize=2)
def secret_of(parameters: Parameters) -> SecretKey:
    return SecretKey.generate(parameters)


@lru_cache(maxsize=16)
def evaluator_of(parameters: Parameters, steps: Steps) -> Evaluator:
    rotations = dict.fromkeys(steps.elements(parameters), parameters.max_level)
    return Evaluator(parameters, EvaluationKeys.generate(secret_of(parameters), KeyRequest(rotations=rotations)))


def random_slots(parameters: Parameters, rng: np.random.Generator) -> np.ndarray:
    if parameters.rows == 2:
        return rng.integers(-1000, 1000, (2, SLOTS))
    return rng.uniform(-1, 1, (1, SLOTS))


def clear(diagonals: list[dict[int, np.ndarray]], inputs: list[np.ndarray], folds: tuple[int, ...]) -> np.ndarray:
    y = sum(v * np.roll(x, -d, axis=1) for part, x in zip(diagonals, inputs, strict=True) for d, v in part.items())
    for fold in folds:
        y = y + (y[::-1] if fold == SLOTS else np.roll(y, -fold, axis=1))
    return y


CASES = {
    "one diagonal": ([0], 1, ()),
    "baby steps": ([0, 1, 2, 3], 4, ()),
    "giant steps": ([0, 1, 3, 6, 7, 9], 2, ()),
    "a giant step without a diagonal": ([1, 9], 2, ()),
    "multiples and folds": ([0, 64, 192], 2, (256, 2048)),
    "more giant steps than pay for special primes": (list(range(20)), 2, ()),
}


@pytest.mark.parametrize("parameters", [BGV, CKKS], ids=["bgv", "ckks"])
@pytest.mark.parametrize("case", CASES)
def test_a_transform_multiplies_by_its_matrix(parameters: Parameters, case: str) -> None:
    rotations, baby, folds = CASES[case]
    if parameters.rows == 2 and folds:
        folds = (*folds, SLOTS)
    rng = np.random.default_rng(0)
    inputs = [random_slots(parameters, rng) for _ in range(2)]
    diagonals = [{d: random_slots(parameters, rng) for d in rotations} for _ in inputs]
    steps = Steps.of(rotations, baby=baby, folds=folds)
    got, want = run(parameters, diagonals, inputs, steps), clear(diagonals, inputs, folds)
    if parameters.rows == 2:
        t = BGV.plaintext_modulus
        assert np.array_equal(got % t, want % t)
    else:
        assert np.abs(got - want).max() < 2.0**-10


def run(
    parameters: Parameters, diagonals: list[dict[int, np.ndarray]], inputs: list[np.ndarray], steps: Steps
) -> np.ndarray:
    encoder, level = Encoder(parameters), parameters.max_level
    scale, weight = (1.0, 1.0) if parameters.rows == 2 else (2.0**45, 2.0**25)
    transform = DiagonalTransform(diagonals, steps=steps, encoder=encoder, level=level, scale=weight)
    seed, secret = fresh_seed(), secret_of(parameters)
    encrypted = [
        encrypt(
            secret,
            encoder.encode(x if parameters.rows == 2 else x[0], level=level, scale=scale),
            seed=seed,
            index=i,
        )
        for i, x in enumerate(inputs)
    ]
    result = transform(encrypted, evaluator_of(parameters, steps))
    return np.asarray(encoder.decode(decrypt(secret, result))).reshape(parameters.rows, -1)


def test_the_gain_of_a_matrix_bounds_the_noise_that_it_makes() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(32, 32)) / 8
    diagonals = {d: np.array([matrix[u % 32, (u + d) % 32] for u in range(SLOTS)])[None] for d in range(32)}
    steps, encoder = Steps.of(range(32), baby=8), Encoder(CKKS)
    sizes = np.abs(matrix)
    gain = Gain(
        l1=sizes.sum(axis=1).max(),
        l2=np.sqrt(np.square(matrix).sum(axis=1).max()),
        slot=np.sqrt(np.square(matrix).sum(axis=1).max()),
        operator=np.linalg.norm(matrix, 2) * np.sqrt(SLOTS / 32),
    )
    results, seed, secret = [], fresh_seed(), secret_of(CKKS)
    query = encrypt(secret, encoder.encode(np.zeros(SLOTS), level=3, scale=2.0**45), seed=seed, index=0)
    for tight in (None, gain):
        transform = DiagonalTransform([diagonals], steps=steps, encoder=encoder, level=3, scale=2.0**25, gain=tight)
        results.append(transform([query], evaluator_of(CKKS, steps)))
    loose, tight_result = results
    assert tight_result.noise.canonical < loose.noise.canonical / 2
    noise = integers(secret.phase(tight_result.parts), CKKS, 3).astype(np.float64)
    n = CKKS.degree
    values = np.abs(np.fft.fft(noise * np.exp(1j * np.pi / n * np.arange(n))))
    assert values.max() < tight_result.noise.canonical
    assert np.sqrt(np.square(noise).mean()) < tight_result.noise.deviation < loose.noise.deviation


def test_a_transform_refuses_what_its_steps_do_not_reach_and_a_matrix_of_zeros() -> None:
    ones, encoder = np.ones((1, SLOTS)), Encoder(CKKS)
    with pytest.raises(UsageError, match="reach"):
        DiagonalTransform([{5: ones}], steps=Steps(unit=1, baby=2, giant=2), encoder=encoder, level=1)
    with pytest.raises(UsageError, match="zero"):
        DiagonalTransform([{}], steps=Steps(unit=1, baby=2, giant=2), encoder=encoder, level=1)
