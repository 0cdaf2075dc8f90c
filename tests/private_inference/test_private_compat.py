"""Plans and messages written in format 2 are read for ever: samples of a linear model, under the secret 00 01 … 1f."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tests.private_inference.private_pair import random_model

from holdfast.private_inference import Evaluator, PrivatePlan, PrivateSession, PublicPlan, SecretPlan, wire

SAMPLES = Path(__file__).parents[1] / "compat" / "private-2"
X = np.array([[0.5, -0.25, 1.0]])
MODEL = random_model(3, 1)


def kept() -> PrivatePlan:
    public = PublicPlan.from_json(json.loads((SAMPLES / "plan.json").read_text()))
    return PrivatePlan(public=public, secret=SecretPlan.from_bytes((SAMPLES / "secret.safetensors").read_bytes()))


def session(plan: PrivatePlan, query: bytes) -> PrivateSession:
    """The session that sent the query."""
    header = wire.decode_query_header(query)
    again = PrivateSession(plan.public, secret=bytes(range(32)), key_digests={"row": header.key_digest})
    again._remember(wire.checksum(query), header)
    return again


def test_a_kept_plan_is_of_its_model() -> None:
    assert np.abs(kept().clear_scores(X) - MODEL.scores(X)).max() < 1e-12


def test_a_kept_query_under_kept_keys_is_answered() -> None:
    plan, query = kept(), (SAMPLES / "query.bin").read_bytes()
    evaluator = Evaluator(plan)
    keys = evaluator.load_keys((SAMPLES / "manifest.bin").read_bytes(), [(SAMPLES / "part-0.bin").read_bytes()])
    answer = session(plan, query).decrypt(evaluator.answer(query, keys=keys))
    assert np.abs(answer.scores - MODEL.scores(X)).max() <= 2.0**-20


def test_a_kept_answer_is_read() -> None:
    plan, query = kept(), (SAMPLES / "query.bin").read_bytes()
    answer = session(plan, query).decrypt((SAMPLES / "answer.bin").read_bytes())
    assert np.abs(answer.scores - MODEL.scores(X)).max() <= 2.0**-20
