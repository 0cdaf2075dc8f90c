"""A server written from docs/wire-format.md alone, in plain integers: what it answers, the client decrypts.

It neither masks nor floods, which no client can tell from outside, so the page is complete for both directions.
"""

from __future__ import annotations

import hashlib
import math
import struct
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from tests.private_inference.private_pair import Pair, random_plan

PAGE = (Path(__file__).parents[2] / "docs" / "wire-format.md").read_text()
PRIMES = [2147352577, 2147205121, 2147074049, 2146959361, 2146713601, 2146418689]
N = 8192


def expanded(purpose: bytes, seed: bytes, index: int, i: int) -> list[int]:
    label = b"holdfast uniform polynomial 1\0" + purpose + b"\0" + seed + struct.pack("<II", index, i)
    cipher = Cipher(algorithms.AES256(hashlib.sha256(label).digest()), modes.CTR(bytes(16))).encryptor()
    words = (word & 0x7FFFFFFF for (word,) in struct.iter_unpack("<I", cipher.update(bytes(4 * 9000))))
    return [word for word in words if word < PRIMES[i]][:N]


def transform(values: np.ndarray, root: int, q: int) -> np.ndarray:
    if len(values) == 1:
        return values
    even, odd = (transform(values[start::2], root * root % q, q) for start in (0, 1))
    powers = np.array([pow(root, k, q) for k in range(len(odd))]) if len(odd) <= 64 else _powers(root, len(odd), q)
    turned = odd * powers % q
    return np.concatenate([even + turned, even - turned]) % q


def _powers(root: int, count: int, q: int) -> np.ndarray:
    powers = [1]
    while len(powers) < count:
        powers.append(powers[-1] * root % q)
    return np.array(powers)


def coefficients(body: np.ndarray, q: int) -> list[int]:
    """From the values at psi^(2(c + 128d) + 1), at 64c + d, to coefficients."""
    psi = next(p for g in range(2, 99) if pow(p := pow(g, (q - 1) // (2 * N), q), N, q) == q - 1)
    natural = body.reshape(128, 64).T.ravel()
    back = transform(natural, pow(psi, -2, q), q)
    scale, powers = pow(N, -1, q), _powers(pow(psi, -1, q), N, q).tolist()
    return [int(v) * p % q * scale % q for v, p in zip(back, powers, strict=True)]


def lifted(rows: list[list[int]]) -> list[int]:
    modulus = math.prod(PRIMES)
    basis = [modulus // q * pow(modulus // q, -1, q) for q in PRIMES]
    return [sum(r * b for r, b in zip(column, basis, strict=True)) % modulus for column in zip(*rows, strict=True)]


def switched(number: int) -> list[int]:
    dropped = math.prod(PRIMES[3:])
    rounded = (number + dropped // 2) // dropped
    return [rounded % q for q in PRIMES[:3]]


def reference_answer(query: bytes, weight: int, intercept: int) -> bytes:
    """One row of one feature: the product by a constant, in every coefficient."""
    assert query[:8] == b"HFPI\1\2\1\0"
    assert hashlib.sha256(query[:-32]).digest() == query[-32:]
    seed = query[76:108]
    body = np.frombuffer(query[108:-32], dtype="<u4").astype(np.int64).reshape(6, N)
    first = [coefficients(row * (weight % q) % q, q) for row, q in zip(body, PRIMES, strict=True)]
    uniform = [np.array(expanded(b"query", seed, 0, i)) for i in range(6)]
    second = [coefficients(row * (weight % q) % q, q) for row, q in zip(uniform, PRIMES, strict=True)]
    score = lifted([row[:1] for row in first])[0] + intercept * math.prod(PRIMES[2:])
    halves = [[switched(score % math.prod(PRIMES))], [switched(number) for number in lifted(second)]]
    words = [column[i] for half in halves for i in range(3) for column in half]
    data = b"HFPI\1\3\1\0" + query[8:76] + query[-32:] + struct.pack(f"<{len(words)}I", *words)
    return data + hashlib.sha256(data).digest()


def test_a_server_written_from_the_page_is_understood() -> None:
    pair = Pair.of(random_plan(1, 1))
    E = np.array([[-0.7]])
    answer = reference_answer(
        pair.session.encrypt(E), int(pair.plan.secret.weights[0, 0]), int(pair.plan.secret.intercept[0])
    )
    assert (pair.session.decrypt(answer).integers == pair.plan.clear_scores(E)).all()


def test_the_sizes_on_the_page_are_those_of_the_messages() -> None:
    pair = Pair.of(random_plan(5, 17))
    query = pair.session.encrypt(np.zeros((2, 5)))
    answer = pair.evaluator.answer(query, key=pair.key)
    assert "196,680 bytes" in PAGE
    assert len(pair.session.public_key_bytes()) == 196_680
    assert "140 bytes and 196,608 for each ciphertext" in PAGE
    assert len(query) == 140 + 2 * 196_608
    assert "140 bytes and 98,304 + 12 × scores for each part of each ciphertext" in PAGE  # noqa: RUF001 - as on the page
    assert len(answer) == 140 + 2 * (98_304 + 12 * 16) + 2 * (98_304 + 12 * 1)
    assert all(str(prime) in PAGE for prime in PRIMES)
    assert "at most 6,156" in PAGE
