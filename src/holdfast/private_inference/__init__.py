"""Private inference: the client encrypts a row, the server scores it without seeing it, the client decrypts.

    plan = compile_private(model, X=X)                       # whoever has the model
    session = PrivateSession(plan.public)                    # client
    evaluator = Evaluator(plan)                              # server
    keys = session.keys("row")                               # uploaded once, part by part
    loaded = evaluator.load_keys(keys.manifest, keys.parts)
    answer = evaluator.answer(session.encrypt(X[:1]), keys=loaded)  # one round trip
    session.decrypt(answer).scores                           # (rows, outputs)

What each side learns is written in `plan.public.leakage`, and at length in docs/private-inference.md.
"""

from __future__ import annotations

from holdfast.models.links import top_class
from holdfast.private_inference.client import PrivateScores, PrivateSession
from holdfast.private_inference.compiler import compile_private
from holdfast.private_inference.evaluator import ClientKeys, Evaluator
from holdfast.private_inference.key_wire import KeyManifest, KeySet
from holdfast.private_inference.plan import PrivatePlan, SecretPlan
from holdfast.private_inference.public_plan import Measured, Portion, PublicPlan
from holdfast.private_inference.report import PlanReport, report_plan
from holdfast.private_inference.wire import QueryHeader

__all__ = [
    "ClientKeys",
    "Evaluator",
    "KeyManifest",
    "KeySet",
    "Measured",
    "PlanReport",
    "Portion",
    "PrivatePlan",
    "PrivateScores",
    "PrivateSession",
    "PublicPlan",
    "QueryHeader",
    "SecretPlan",
    "compile_private",
    "report_plan",
    "top_class",
]
