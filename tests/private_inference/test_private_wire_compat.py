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
N = 8192


def is_prime(n: int) -> bool:
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        powers = [pow(base, odd << i, n) for i in range(twos)]
        if powers[0] != 1 and n - 1 not in powers:
            return False
    return True


def ring_primes(sizes: list[int]) -> list[int]:
    found: list[int] = []
    for bits in sizes:
        candidates = range((2**bits - 2) // (2 * N) * 2 * N + 1, 2 ** (bits - 1), -2 * N)
        found.append(next(n for n in candidates if n not in found and is_prime(n)))
    return found


def unpacked(data: bytes, width: int, count: int) -> list[int]:
    number, mask = int.from_bytes(data, "little"), 2**width - 1
    digits = bin(number)[2:].zfill(width * count)
    return [int(digits[-width * (i + 1) : len(digits) - width * i], 2) & mask for i in range(count)]


def packed(values: list[int], width: int) -> bytes:
    digits = "".join(format(value, f"0{width}b") for value in reversed(values))
    return int(digits, 2).to_bytes(width * len(values) // 8, "little")


def expanded(purpose: bytes, seed: bytes, index: int, q: int) -> list[int]:
    label = b"holdfast uniform polynomial 2\0" + purpose + b"\0" + seed + struct.pack("<IQ", index, q)
    cipher = Cipher(algorithms.AES256(hashlib.sha256(label).digest()), modes.CTR(bytes(16))).encryptor()
    mask = 2 ** q.bit_length() - 1
    words = (word & mask for (word,) in struct.iter_unpack("<Q", cipher.update(bytes(8 * 3 * N))))
    return [word for word in words if word < q][:N]


def transform(values: np.ndarray, root: int, q: int) -> np.ndarray:
    if len(values) == 1:
        return values
    even, odd = (transform(values[start::2], root * root % q, q) for start in (0, 1))
    turned = odd * powers(root, len(odd), q) % q
    return np.concatenate([even + turned, even - turned]) % q


def powers(root: int, count: int, q: int) -> np.ndarray:
    found = [1]
    while len(found) < count:
        found.append(found[-1] * root % q)
    return np.array(found, dtype=object)


def coefficients(values: list[int], q: int) -> list[int]:
    """From the values at psi^(2·rev(k) + 1), at k, to coefficients."""
    psi = next(p for g in range(2, 99) if pow(p := pow(g, (q - 1) // (2 * N), q), N, q) == q - 1)
    bits = N.bit_length() - 1
    natural = np.array([values[int(format(j, f"0{bits}b")[::-1], 2)] for j in range(N)], dtype=object)
    back = transform(natural, pow(psi, -2, q), q)
    return list(back * powers(pow(psi, -1, q), N, q) % q * pow(N, -1, q) % q)


def test_a_server_written_from_the_page_is_understood() -> None:
    pair = Pair.of(random_plan(1, 1))
    layout, program = pair.plan.public.layout("row").to_json(), pair.plan.secret.program
    query = pair.session.encrypt(np.array([[-0.7]]))
    primes, b = ring_primes(layout["prime_bits"]), layout["answer_bits"]
    q = math.prod(primes)
    assert query[:8] == b"HFPI\2\3\0\0"
    assert hashlib.sha256(query[:-32]).digest() == query[-32:]
    assert query[8:40].hex() == pair.plan.public.digest.removeprefix("sha256:")
    assert query[40:72].hex() == pair.session.key_digest("row").removeprefix("sha256:")
    assert query[72:76] == b"\1\0\0\0"
    seed, at = query[76:108], 108
    halves: list[list[list[int]]] = [[], []]
    for prime in primes:
        width = prime.bit_length()
        halves[0].append(coefficients(unpacked(query[at : at + width * N // 8], width, N), prime))
        halves[1].append(coefficients(expanded(b"query", seed, 0, prime), prime))
        at += width * N // 8
    assert at == len(query) - 32
    basis = [q // prime * pow(q // prime, -1, prime) for prime in primes]
    first, second = (
        [sum(r * e for r, e in zip(column, basis, strict=True)) % q for column in zip(*rows, strict=True)]
        for rows in halves
    )
    weight = round(float(program.weights[0, 0]) * 2 ** layout["weight_bits"])  # type: ignore[union-attr]
    intercept = round(float(program.intercept[0]) * 2.0 ** (layout["scale_bits"] + layout["weight_bits"]))  # type: ignore[union-attr]
    score = (first[0] * weight + intercept) % q
    answer = b"HFPI\2\4\0\0" + query[8:76] + query[-32:]
    for numbers in ([score, *[0] * 7], [c * weight % q for c in second]):
        answer += packed([((c << b) + q // 2) // q % 2**b for c in numbers], b)
    answer += hashlib.sha256(answer).digest()
    ours = pair.session.decrypt(answer).scores
    assert np.abs(ours - pair.plan.clear_scores(np.array([[-0.7]]))).max() <= 2.0**-20


def test_the_sizes_on_the_page_are_those_of_the_messages() -> None:
    pair = Pair.of(random_plan(5, 17))
    layout, keys = pair.plan.public.layout("row"), pair.session.keys("row")
    query = pair.session.encrypt(np.zeros((2, 5)))
    answer = pair.evaluator.answer(query, keys=pair.keys)
    polynomial = sum(prime.bit_length() for prime in layout.parameters.primes) * N // 8
    assert "Manifest (76 bytes and 32 for each part)" in PAGE
    assert len(keys.manifest) == 76 + 32
    assert "Part of a key set (108 bytes and its polynomials)" in PAGE
    assert [len(part) for part in keys.parts] == [108 + polynomial]
    assert "Query (140 bytes and one polynomial for each ciphertext)" in PAGE
    assert len(query) == 140 + 2 * polynomial
    assert "Answer (140 bytes and, for each answer, its two halves)" in PAGE
    assert len(answer) == 140 + layout.answer_bits * (2 * (16 + N) // 8 + 2 * (8 + N) // 8)
