"""Microsoft SEAL, written by others, gives the same results for the same slots: BFV exactly, CKKS closely."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.he.schemes import BGV, CKKS, Client, T, centred

N = BGV.degree


@pytest.fixture(scope="module")
def sealapi() -> ModuleType:
    return pytest.importorskip("tenseal.sealapi")


class Seal:
    """SEAL with keys for everything, on slots alike."""

    def __init__(self, api: ModuleType, *, exact: bool) -> None:
        self.api = api
        settings = api.EncryptionParameters(api.SCHEME_TYPE.BFV if exact else api.SCHEME_TYPE.CKKS)
        settings.set_poly_modulus_degree(N)
        settings.set_coeff_modulus(api.CoeffModulus.Create(N, [36, 30, 36]))
        if exact:
            settings.set_plain_modulus(api.Modulus(T))
        context = api.SEALContext(settings, True, api.SEC_LEVEL_TYPE.TC128)
        generator = api.KeyGenerator(context)
        public, self.relin, self.galois = api.PublicKey(), api.RelinKeys(), api.GaloisKeys()
        generator.create_public_key(public)
        generator.create_relin_keys(self.relin)
        generator.create_galois_keys(self.galois)
        self.exact, self.context, self.evaluator = exact, context, api.Evaluator(context)
        self.encoder = api.BatchEncoder(context) if exact else api.CKKSEncoder(context)
        self.encryptor, self.decryptor = api.Encryptor(context, public), api.Decryptor(context, generator.secret_key())

    def plain(self, slots: np.ndarray) -> Any:
        plain = self.api.Plaintext()
        if self.exact:
            self.encoder.encode((slots.ravel() % T).tolist(), plain)
        else:
            self.encoder.encode(slots.tolist(), 2.0**30, plain)
        return plain

    def encrypt(self, slots: np.ndarray) -> Any:
        out = self.api.Ciphertext(self.context)
        self.encryptor.encrypt(self.plain(slots), out)
        return out

    def slots(self, ciphertext: Any) -> np.ndarray:
        plain = self.api.Plaintext()
        self.decryptor.decrypt(ciphertext, plain)
        if self.exact:
            return centred(np.array(self.encoder.decode_uint64(plain), dtype=np.int64)).reshape(2, N // 2)
        return np.array(self.encoder.decode_double(plain))


def ours(client: Client, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    ev, a, b, p = client.evaluator, client.encrypt(x), client.encrypt(y), client.plain(y)
    results = {
        "add": ev.add(a, b),
        "sub": ev.subtract(a, b),
        "multiply": ev.multiply(a, b),
        "add_plain": ev.add_plain(a, p),
        "multiply_plain": ev.multiply_plain(a, p),
        "rotate": ev.rotate(a, 3),
    }
    if client.parameters.plaintext_modulus:
        results["swap"] = ev.swap_rows(a)
    return {name: client.slots(result) for name, result in results.items()}


def theirs(seal: Seal, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    a, b, p, ev = seal.encrypt(x), seal.encrypt(y), seal.plain(y), seal.evaluator
    results = {}

    def record(name: str, operation: Any, *operands: Any) -> Any:
        out = seal.api.Ciphertext(seal.context)
        operation(*operands, out)
        results[name] = seal.slots(out)

    record("add", ev.add, a, b)
    record("sub", ev.sub, a, b)
    record("multiply", ev.multiply, a, b)
    record("add_plain", ev.add_plain, a, p)
    record("multiply_plain", ev.multiply_plain, a, p)
    out = seal.api.Ciphertext(seal.context)
    rotate = ev.rotate_rows if seal.exact else ev.rotate_vector
    rotate(a, 3, seal.galois, out)
    results["rotate"] = seal.slots(out)
    if seal.exact:
        ev.rotate_columns(a, seal.galois, out)
        results["swap"] = seal.slots(out)
    return results


def test_exact_results_are_those_of_seal(sealapi: ModuleType) -> None:
    client = Client(BGV)
    x, y = client.draw(1), client.draw(2)
    mine, others = ours(client, x, y), theirs(Seal(sealapi, exact=True), x, y)
    assert mine.keys() == others.keys()
    for name, slots in mine.items():
        assert (slots == others[name]).all(), name


def test_approximate_results_are_those_of_seal(sealapi: ModuleType) -> None:
    client = Client(CKKS)
    x, y = client.draw(1), client.draw(2)
    mine, others = ours(client, x, y), theirs(Seal(sealapi, exact=False), x, y)
    assert mine.keys() == others.keys()
    for name, slots in mine.items():
        # SEAL encrypts under the public key: two errors times a ternary polynomial, 7.5 deviations of each factor,
        # under a scale of 2^30; and as much again for a switch of keys.
        tolerance = 2 * 2 * 7.5**2 * N * 3.2 * math.sqrt(2 / 3) / 2**30
        assert np.abs(slots - others[name]).max() < tolerance < 3e-3, name
