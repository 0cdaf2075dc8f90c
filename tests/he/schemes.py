"""Small secure parameter sets that the tests of the scheme share, and a look at the noise that only tests may take."""

from __future__ import annotations

import math

import numpy as np

from holdfast.he import (
    Ciphertext,
    Encoder,
    EvaluationKeys,
    Evaluator,
    KeyRequest,
    Norms,
    Parameters,
    Plaintext,
    SecretKey,
    encrypt,
    fresh_seed,
    galois_element,
    row_swap_element,
    scheme,
)

T = 40961
BGV = Parameters.generate(4096, bits=(36, 33), special_bits=(36,), plaintext_modulus=T)
CKKS = Parameters.generate(4096, bits=(38, 30), special_bits=(38,))
SCALE = 2.0**30

BGV_ANSWER = Parameters.generate(4096, bits=(50, 50), plaintext_modulus=T)
CKKS_ANSWER = Parameters.generate(4096, bits=(50, 50))


class Client:
    """A secret with keys for rotations by some steps, swaps and products, and an encoder."""

    def __init__(self, parameters: Parameters, *, steps: tuple[int, ...] = (1, 3, -1), keys: bool = True) -> None:
        self.parameters = parameters
        self.secret = SecretKey.generate(parameters)
        self.encoder = Encoder(parameters)
        self.scale = 1.0 if parameters.plaintext_modulus else SCALE
        top = parameters.max_level
        elements = dict.fromkeys([galois_element(parameters, step) for step in steps], top)
        elements[row_swap_element(parameters)] = top
        request = KeyRequest(relinearise_level=top, rotations=elements) if keys else KeyRequest()
        self.keys = EvaluationKeys.generate(self.secret, request)
        self.evaluator = Evaluator(parameters, self.keys)

    def plain(self, slots: np.ndarray, *, extended: bool = False) -> Plaintext:
        return self.encoder.encode(slots, level=self.parameters.max_level, scale=self.scale, extended=extended)

    def encrypt(self, slots: np.ndarray) -> Ciphertext:
        return encrypt(self.secret, self.plain(slots), seed=fresh_seed(), index=0)

    def slots(self, ciphertext: Ciphertext) -> np.ndarray:
        return self.encoder.decode(scheme.decrypt(self.secret, ciphertext))

    def draw(self, seed: int) -> np.ndarray:
        """Slots that a seed determines: integers modulo t in two rows, or real numbers in [-1, 1]."""
        rng = np.random.default_rng(seed)
        n, t = self.parameters.slots, self.parameters.plaintext_modulus
        return rng.integers(-(t // 2), t // 2 + 1, (2, n)) if t else rng.uniform(-1, 1, n)

    def noise(self, ciphertext: Ciphertext, message: Plaintext | None = None) -> Norms:
        """The noise as it is: what the phase has over the message that decrypts, or over one that there should be."""
        level, parameters = ciphertext.level, self.parameters
        phase = scheme.integers(self.secret.phase(ciphertext.parts), parameters, level)
        if message is None:
            clear = scheme.decrypt(self.secret, ciphertext).astype(object)
        else:
            clear = scheme.integers(message.base[:level], parameters, level)
        return Norms.of((phase - clear).astype(np.float64))


def bits(number: float) -> float:
    return math.log2(max(number, 1.0))


def centred(numbers: np.ndarray) -> np.ndarray:
    """Integers to their representatives in (-t/2, t/2)."""
    return (numbers + T // 2) % T - T // 2
