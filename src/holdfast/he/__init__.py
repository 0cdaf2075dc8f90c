"""The lattice engine: exact integers under ring-LWE, one plaintext product, one answer. It knows no model.

secret = SecretKey.generate(EXACT_8192)
key = PublicKey.of(secret)                                        # uploaded once
query = encrypt(secret, message, seed=fresh_seed(), index=0)      # client
reply = answer(query, weights, key=key, positions=…, addend=…)    # evaluator, who sees nothing
decrypt(secret, reply, positions=…)                               # client: coefficients of message·weights + addend
"""

from __future__ import annotations

from holdfast.he.keys import PublicKey, SecretKey
from holdfast.he.parameters import ANSWER_PRIMES, EXACT_8192, Parameters
from holdfast.he.sampling import SEED_BYTES, fresh_seed
from holdfast.he.scheme import Answer, Ciphertext, answer, decrypt, encrypt, flooding_bits, prepare_plaintext

__all__ = [
    "ANSWER_PRIMES",
    "EXACT_8192",
    "SEED_BYTES",
    "Answer",
    "Ciphertext",
    "Parameters",
    "PublicKey",
    "SecretKey",
    "answer",
    "decrypt",
    "encrypt",
    "flooding_bits",
    "fresh_seed",
    "prepare_plaintext",
]
