"""A client and a server of one plan, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.private_inference import ClientKey, Evaluator, LinearPlan, PrivateSession, compile_linear


@dataclass(frozen=True)
class Pair:
    """A client and a server of one plan."""

    plan: LinearPlan
    session: PrivateSession
    evaluator: Evaluator
    key: ClientKey

    @classmethod
    def of(cls, plan: LinearPlan) -> Pair:
        session, evaluator = PrivateSession(plan.public), Evaluator(plan)
        return cls(plan, session, evaluator, evaluator.load_key(session.public_key_bytes()))


def random_plan(n_features: int, n_scores: int, *, seed: int = 0) -> LinearPlan:
    rng = np.random.default_rng(seed)
    coef = rng.normal(size=(n_scores, n_features)) / np.sqrt(n_features)
    classes = [f"class {i}" for i in range(max(2, n_scores))]
    return compile_linear(coef, rng.normal(size=n_scores), classes=classes)
