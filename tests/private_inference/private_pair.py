"""A client and a server of one plan, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.data import Feature, Schema
from holdfast.models import LinearModel
from holdfast.private_inference import ClientKeys, Evaluator, PrivatePlan, PrivateSession, compile_private


@dataclass(frozen=True)
class Pair:
    """A client and a server of one plan."""

    plan: PrivatePlan
    session: PrivateSession
    evaluator: Evaluator
    keys: ClientKeys

    @classmethod
    def of(cls, plan: PrivatePlan) -> Pair:
        session, evaluator = PrivateSession(plan.public), Evaluator(plan)
        keys = session.keys("row")
        return cls(plan, session, evaluator, evaluator.load_keys(keys.manifest, keys.parts))

    def ask(self, X: np.ndarray) -> np.ndarray:
        return self.session.decrypt(self.evaluator.answer(self.session.encrypt(X), keys=self.keys)).scores


def random_model(n_features: int, n_scores: int, *, seed: int = 0, size: float = 1.0) -> LinearModel:
    rng = np.random.default_rng(seed)
    coef = size * rng.normal(size=(n_scores, n_features)) / np.sqrt(n_features)
    features = tuple(Feature(name=f"x{i}", kind="real", low=-1, high=1) for i in range(n_features))
    classes = tuple(f"class {i}" for i in range(max(2, n_scores)))
    return LinearModel(Schema(features=features, target="y", classes=classes), coef, rng.normal(size=n_scores))


def random_plan(n_features: int, n_scores: int, *, seed: int = 0, size: float = 1.0) -> PrivatePlan:
    return compile_private(random_model(n_features, n_scores, seed=seed, size=size))
