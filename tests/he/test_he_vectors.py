"""Known answers: with the operating system's randomness replaced, every byte is the same for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from holdfast.he import (
    Encoder,
    EvaluationKeys,
    Evaluator,
    KeyRequest,
    Parameters,
    PublicKey,
    SecretKey,
    encrypt,
    fresh_seed,
    galois_element,
    read,
    reveal,
    sampling,
)

FOLDER = Path(__file__).parents[1] / "vectors"
FILES = {name: FOLDER / f"he_{name}_8192.json" for name in ("bgv", "ckks")}
T = 786433
CHOICES = {"bgv": T, "ckks": None}
FLOOD_BITS, ANSWER_BITS = {"bgv": 60, "ckks": 76}, 31
POSITIONS = np.array([0, 29, 8191])
ADDEND = [0, 1000, -1]


def digest(residues: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(residues, dtype="<u8").tobytes()).hexdigest()


def message() -> np.ndarray:
    signs, places = np.random.Generator(np.random.PCG64(1)).integers(0, [[2], [32]], (2, 8192))
    return (2 * signs - 1) * (places == 0)


def results(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Square, rotate by one, rescale and reveal; every step with keys of its own."""
    counter = iter(range(1, 100))
    monkeypatch.setattr(sampling.os, "urandom", lambda size: bytes([next(counter)]) * size)
    t = CHOICES[name]
    parameters = Parameters.generate(8192, bits=(50, 50, 42), special_bits=(50,), plaintext_modulus=t)
    secret = SecretKey.generate(parameters)
    public = PublicKey.generate(secret, level=2)
    element = galois_element(parameters, 1)
    keys = EvaluationKeys.generate(secret, KeyRequest(relinearise_level=3, rotations={element: 2}))
    scale = 1.0 if t else 2.0**64
    plaintext = Encoder(parameters).encode_coefficients(message(), level=3, scale=scale)
    query = encrypt(secret, plaintext, seed=fresh_seed(), index=7)
    evaluator = Evaluator(parameters, keys)
    result = evaluator.rotate(evaluator.rescale(evaluator.square(query)), 1)
    reply = reveal(
        result, POSITIONS, public=public, flood_bits=FLOOD_BITS[name], answer_bits=ANSWER_BITS, addend=ADDEND
    )
    return {
        "primes": list(parameters.primes),
        "special_primes": list(parameters.special_primes),
        "secret_seed": secret.secret_bytes().hex(),
        "public_key_seed": public.seed.hex(),
        "public_key_body_sha256": digest(public.body),
        "relinearisation_bodies_sha256": digest(keys[0].bodies),
        "rotation_bodies_sha256": digest(keys[element].bodies),
        "query_body_sha256": digest(query.parts[0]),
        "query_body_head": query.parts[0, :, :2].tolist(),
        "result_sha256": digest(result.parts),
        "result_scale": result.scale,
        "answer_first": reply.first.tolist(),
        "answer_second_sha256": digest(reply.second),
        "read": read(secret, reply, POSITIONS, scale=result.scale).tolist(),
    }


@pytest.mark.parametrize("name", FILES)
def test_fixed_randomness_gives_the_recorded_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert results(name, monkeypatch) == json.loads(FILES[name].read_text())["results"]


@pytest.mark.parametrize("name", FILES)
def test_the_recorded_answer_is_the_square_of_the_message_turned(name: str) -> None:
    recorded = json.loads(FILES[name].read_text())["results"]["read"]
    m = message()
    for position, addend, value in zip(POSITIONS.tolist(), ADDEND, recorded, strict=True):
        # X -> X^5 takes coefficient i to i·5 modulo 2N, with a minus where that is N or more.
        i = position * pow(5, -1, 16384) % 16384
        sign, i = (-1, i - 8192) if i >= 8192 else (1, i)
        wrapped = np.concatenate([m[i::-1], -m[:i:-1]])
        expected = sign * int(m @ wrapped) + addend
        if CHOICES[name]:
            assert value == (expected + T // 2) % T - T // 2
        else:
            assert abs(value - expected) < 0.01
