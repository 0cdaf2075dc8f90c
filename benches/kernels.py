"""What the kernels cost beside Microsoft SEAL, through TenSEAL's binding of it. Prints JSON lines.

Both compute on one thread: at N = 8192 with four primes and a special one of 42 bits, at N = 16384 with six primes and
a special one of 50 bits. A transform is that of one polynomial modulo one prime, a rotation that of a whole ciphertext.
SEAL has no hoisting, so that its rotation stands beside each of our three kinds. Cases that end in `-threads` use all
cores of the process on our side. On another instruction set: --path portable.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from holdfast.he import kernels

PEER = "Microsoft SEAL 4"
RINGS = {8192: (42,) * 5, 16384: (50,) * 7}
ROUNDS = 31
Timings = dict[str, float]


def primes(degree: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The primes that SEAL would choose, without SEAL: the largest of their size that are 1 modulo 2N."""
    found: list[int] = []
    candidate = 2 ** sizes[0] + 1
    while len(found) < len(sizes):
        candidate -= 2 * degree
        if is_prime(candidate):
            found.append(candidate)
    return tuple(found)


def is_prime(n: int) -> bool:
    """Miller and Rabin with bases enough for 64 bits."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    return all(pow(b, odd, n) == 1 or any(pow(b, odd << i, n) == n - 1 for i in range(twos)) for b in bases)


def microseconds(work: Callable[[], object]) -> float:
    """The median of several rounds, each long enough to be timed."""
    work()
    started = time.perf_counter()
    work()
    repeats = max(1, int(0.005 / (time.perf_counter() - started)))
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(repeats):
            work()
        times.append((time.perf_counter() - started) / repeats)
    return 1e6 * statistics.median(times)


def our_timings(degree: int, sizes: tuple[int, ...]) -> Timings:
    """A row is one polynomial modulo one prime; a rotation is of a ciphertext, with all its limbs."""
    full = kernels.Ring(degree, primes(degree, sizes))
    chain = full.head(len(sizes) - 1)
    rng = np.random.default_rng(0)

    def draw(ring: kernels.Ring, *lead: int) -> kernels.Residues:
        return ring.reduce(rng.integers(-(2**62), 2**62, (*lead, degree)))

    ciphertext, plaintext, indices = draw(chain, 2), draw(chain), full.galois_indices(5)
    key = draw(full, len(chain.primes), 2)
    digits = kernels.decompose(ciphertext[1], chain, full, 1)

    def hoisted() -> kernels.Residues:
        return kernels.mod_down(kernels.key_product(digits, key, full, indices), chain, full)

    def rotation() -> kernels.Residues:
        mine = kernels.decompose(ciphertext[1], chain, full, 1)
        switched = kernels.mod_down(kernels.key_product(mine, key, full, indices), chain, full)
        switched[0] = chain.add(switched[0], chain.permute(ciphertext[0], indices))
        return switched

    rows = 2 * len(chain.primes)
    return {
        "ntt": microseconds(lambda: chain.forward(ciphertext)) / rows,
        "inverse-ntt": microseconds(lambda: chain.inverse(ciphertext)) / rows,
        "plaintext-product": microseconds(lambda: chain.multiply(ciphertext, plaintext)),
        "rotation": microseconds(rotation),
        "hoisted-rotation": microseconds(hoisted),
        "double-hoisted-rotation": microseconds(lambda: kernels.key_product(digits, key, full, indices)),
    }


def seal_timings(degree: int, sizes: tuple[int, ...]) -> Timings:
    """The same of SEAL: transforms in BFV, whose ciphertexts are held as coefficients, all else in CKKS.

    Raises:
        ImportError: TenSEAL is not installed.
    """
    import tenseal.sealapi as seal

    context, _ = seal_context(seal, seal.SCHEME_TYPE.BFV, degree, sizes)
    encoder, plain, evaluator = seal.BatchEncoder(context), seal.Plaintext(), seal.Evaluator(context)
    encoder.encode(list(range(degree)), plain)
    coefficients, values, out = seal_encrypt(seal, context, plain), seal.Ciphertext(), seal.Ciphertext()
    evaluator.transform_to_ntt(coefficients, values)
    rows = 2 * (len(sizes) - 1)
    timings = {
        "ntt": microseconds(lambda: evaluator.transform_to_ntt(coefficients, out)) / rows,
        "inverse-ntt": microseconds(lambda: evaluator.transform_from_ntt(values, out)) / rows,
    }
    context, galois = seal_context(seal, seal.SCHEME_TYPE.CKKS, degree, sizes)
    encoder, plain, evaluator = seal.CKKSEncoder(context), seal.Plaintext(), seal.Evaluator(context)
    encoder.encode([0.5] * (degree // 2), 2.0**40, plain)
    cipher = seal_encrypt(seal, context, plain)
    timings["plaintext-product"] = microseconds(lambda: evaluator.multiply_plain(cipher, plain, out))
    rotation = microseconds(lambda: evaluator.rotate_vector(cipher, 1, galois, out))
    return timings | dict.fromkeys(("rotation", "hoisted-rotation", "double-hoisted-rotation"), rotation)


def seal_context(seal: ModuleType, scheme: Any, degree: int, sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """A context, and the key to rotate by one."""
    settings = seal.EncryptionParameters(scheme)
    settings.set_poly_modulus_degree(degree)
    settings.set_coeff_modulus(seal.CoeffModulus.Create(degree, list(sizes)))
    if scheme == seal.SCHEME_TYPE.BFV:
        settings.set_plain_modulus(seal.PlainModulus.Batching(degree, 20))
    expand_chain = True
    context = seal.SEALContext(settings, expand_chain, seal.SEC_LEVEL_TYPE.TC128)
    galois = seal.GaloisKeys()
    seal.KeyGenerator(context).create_galois_keys([3], galois)
    return context, galois


def seal_encrypt(seal: ModuleType, context: Any, plain: Any) -> Any:
    """A ciphertext under a key that nobody needs again."""
    public, cipher = seal.PublicKey(), seal.Ciphertext()
    seal.KeyGenerator(context).create_public_key(public)
    seal.Encryptor(context, public).encrypt(plain, cipher)
    return cipher


def report(degree: int, ours: Mapping[str, float], theirs: Mapping[str, float], *, suffix: str = "") -> None:
    """A line for each case."""
    for name, mine in ours.items():
        peer = theirs.get(name)
        line = {
            "bench": "kernels",
            "case": f"{name}-{degree}{suffix}",
            "ours": round(mine, 2),
            "peer": peer and round(peer, 2),
            "peer_name": PEER if peer else None,
            "ratio": peer and round(peer / mine, 2),
            "unit": "us",
        }
        print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", default="auto", help=f"the instruction set: one of {kernels.available_paths()}")
    kernels.use_path(parser.parse_args().path)
    for degree, sizes in RINGS.items():
        try:
            theirs = seal_timings(degree, sizes)
        except ImportError as error:
            theirs = {}
            skipped = {
                "bench": "kernels",
                "case": str(degree),
                "peer_name": PEER,
                "skipped": True,
                "reason": str(error),
            }
            print(json.dumps(skipped), flush=True)
        kernels.set_threads(1)
        report(degree, our_timings(degree, sizes), theirs)
        kernels.set_threads(0)
        report(degree, our_timings(degree, sizes), theirs, suffix="-threads")


if __name__ == "__main__":
    main()
