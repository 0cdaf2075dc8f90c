"""Known answers: with the operating system's randomness replaced, every byte is the same for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from holdfast.he import EXACT_8192, PublicKey, SecretKey, answer, decrypt, encrypt, prepare_plaintext, sampling

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "he_exact_8192.json").read_text())


def digest(residues: np.ndarray) -> str:
    return hashlib.sha256(residues.astype("<u4").tobytes()).hexdigest()


def results(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    counter = iter(range(1, 100))
    monkeypatch.setattr(sampling.os, "urandom", lambda size: bytes([next(counter)]) * size)
    secret = SecretKey.generate(EXACT_8192)
    key = PublicKey.of(secret)
    rng = np.random.Generator(np.random.PCG64(1))
    message, weights = rng.integers(-(2**20), 2**20, (2, EXACT_8192.degree))
    query = encrypt(secret, message, seed=sampling.fresh_seed(), index=7)
    positions = np.array([0, 29, 8191])
    addend = np.array([0, 2**50, -1])
    reply = answer(query, prepare_plaintext(EXACT_8192, weights), key=key, positions=positions, addend=addend)
    return {
        "secret_seed": secret.secret_bytes().hex(),
        "public_key_seed": key.seed.hex(),
        "public_key_body_sha256": digest(key.canonical_body()),
        "query_body_sha256": digest(query.body),
        "query_body_head": query.body[:, :3].tolist(),
        "answer_second_sha256": digest(reply.second),
        "answer_revealed": reply.revealed.tolist(),
        "decrypted": decrypt(secret, reply, positions=positions).tolist(),
    }


def test_fixed_randomness_gives_the_recorded_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert results(monkeypatch) == VECTORS["results"]


def test_the_recorded_decryption_is_the_product() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    message, weights = (row.astype(object) for row in rng.integers(-(2**20), 2**20, (2, EXACT_8192.degree)))
    addend = {0: 0, 29: 2**50, 8191: -1}
    for position, value in zip(addend, VECTORS["results"]["decrypted"], strict=True):
        wrapped = np.concatenate([weights[position::-1], -weights[:position:-1]])
        assert value == int(message @ wrapped) + addend[position]
