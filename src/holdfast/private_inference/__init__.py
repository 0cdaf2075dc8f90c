"""Private inference: the client encrypts a row, the server scores it without seeing it, the client decrypts.

    plan = compile_linear(coef, intercept, classes=["benign", "malignant"])  # whoever has the model
    session = PrivateSession(plan.public)                                    # client
    evaluator = Evaluator(plan)                                              # server
    key = evaluator.load_key(session.public_key_bytes())                     # uploaded once
    answer = evaluator.answer(session.encrypt(E), key=key)                   # one round trip
    session.decrypt(answer).values                                           # (rows, scores)

What each side learns is written in `plan.public.leakage`, and at length in docs/private-inference.md.
"""

from __future__ import annotations

from holdfast.private_inference.client import PrivateScores, PrivateSession
from holdfast.private_inference.compiler import compile_linear
from holdfast.private_inference.evaluator import ClientKey, Evaluator
from holdfast.private_inference.plan import LinearPlan, SecretWeights
from holdfast.private_inference.public_plan import PublicPlan
from holdfast.private_inference.wire import QueryHeader

__all__ = [
    "ClientKey",
    "Evaluator",
    "LinearPlan",
    "PrivateScores",
    "PrivateSession",
    "PublicPlan",
    "QueryHeader",
    "SecretWeights",
    "compile_linear",
]
