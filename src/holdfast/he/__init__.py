"""The lattice engine: exact integers (BGV) and real numbers (CKKS) under ring-LWE. It knows no model.

parameters = Parameters.generate(16384, bits=…, special_bits=…, plaintext_modulus=786433)
secret = SecretKey.generate(parameters)                                           # client
public = PublicKey.generate(secret, level=2)                                      # uploaded once
keys = EvaluationKeys.generate(secret, KeyRequest(relinearise_level=5, rotations={…}))
query = encrypt(secret, Encoder(parameters).encode(slots, level=6), seed=fresh_seed(), index=0)

evaluator = Evaluator(parameters, keys)                                           # server, who sees nothing
result = evaluator.rescale(evaluator.square(query))
reply = reveal(result, positions, public=public, flood_bits=…, answer_bits=31, addend=…)

read(secret, reply, positions)                                                    # client: these coefficients alone
"""

from __future__ import annotations

from holdfast.he.answer_bounds import (
    MAX_ANSWER_BITS,
    MIN_FLOODING_BITS,
    answer_noise,
    flooding_bits,
    hint_bits,
    max_positions,
    precision,
)
from holdfast.he.answers import Answer, read, reveal
from holdfast.he.bounds import Bound, Norms
from holdfast.he.ciphertext import Ciphertext, Extended, Plaintext
from holdfast.he.encoder import Encoder, galois_element, row_swap_element
from holdfast.he.evaluation_keys import (
    RELINEARISATION,
    EvaluationKeys,
    KeyRequest,
    SwitchingKey,
    switching_key_bytes,
    switching_key_shape,
)
from holdfast.he.evaluator import Evaluator
from holdfast.he.kernels import Residues, pack_bits, unpack_bits
from holdfast.he.keys import PublicKey, SecretKey
from holdfast.he.parameters import Parameters
from holdfast.he.sampling import SEED_BYTES, fresh_seed
from holdfast.he.scheme import coefficients_bound, decrypt, encrypt, expand, slots_bound

__all__ = [
    "MAX_ANSWER_BITS",
    "MIN_FLOODING_BITS",
    "RELINEARISATION",
    "SEED_BYTES",
    "Answer",
    "Bound",
    "Ciphertext",
    "Encoder",
    "EvaluationKeys",
    "Evaluator",
    "Extended",
    "KeyRequest",
    "Norms",
    "Parameters",
    "Plaintext",
    "PublicKey",
    "Residues",
    "SecretKey",
    "SwitchingKey",
    "answer_noise",
    "coefficients_bound",
    "decrypt",
    "encrypt",
    "expand",
    "flooding_bits",
    "fresh_seed",
    "galois_element",
    "hint_bits",
    "max_positions",
    "pack_bits",
    "precision",
    "read",
    "reveal",
    "row_swap_element",
    "slots_bound",
    "switching_key_bytes",
    "switching_key_shape",
    "unpack_bits",
]
