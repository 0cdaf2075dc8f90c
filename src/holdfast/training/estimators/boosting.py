"""Boosting with differential privacy, in the shape of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from holdfast import limits
from holdfast.data import Dataset, Feature, Schema
from holdfast.errors import UsageError
from holdfast.models import OnnxModel
from holdfast.training.account.events import NoisySums
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.estimators.base import PrivateClassifier, planned
from holdfast.training.estimators.inputs import Ranges
from holdfast.training.tables.boosting import DEFAULT_ROUNDS, boosting_parts, fit_boosting


class DPGradientBoostingClassifier(PrivateClassifier):
    """Gradient boosting of one-feature trees that keeps (epsilon, delta)-differential privacy for each row.

    It is a sum of one curve for each feature, so a person can read it, and private inference computes it in one
    product. See `holdfast.training.tables.boosting` for the method.

    Args:
        epsilon, delta, feature_ranges, features, classes, ledger: as in `DPLogisticRegression`.
        rounds: how often each feature gets a tree. Each divides the budget further.

    Attributes:
        model_: a sum of stumps as ONNX, to be sealed, attacked or compiled; `schema_` is its schema.
        events_, epsilon_, statement_, classes_: as in `DPLogisticRegression`.
    """

    method: ClassVar = "boosting"

    def __init__(
        self,
        epsilon: float = 1.0,
        *,
        delta: float = 1e-5,
        feature_ranges: Ranges | None = None,
        features: Sequence[Feature] | None = None,
        classes: Sequence[Any] | None = None,
        rounds: int = DEFAULT_ROUNDS,
        ledger: LedgerFile | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.feature_ranges = feature_ranges
        self.features = features
        self.classes = classes
        self.rounds = rounds
        self.ledger = ledger

    def plan(self, schema: Schema, *, rows: int) -> tuple[NoisySums, ...]:  # noqa: ARG002 - the number is secret
        """What a fit will spend, known before it begins."""
        if not 1 <= self.rounds <= limits.MAX_STEPS:
            raise UsageError(f"expected 1 to {limits.MAX_STEPS} rounds, got {self.rounds}")
        learned = len(schema.features) if self._learns_ranges else 0
        parts = boosting_parts(schema, rounds=self.rounds)
        return planned(parts, learned_columns=learned, epsilon=self.epsilon, delta=self.delta)

    def train_on(self, data: Dataset, events: tuple[NoisySums, ...]) -> OnnxModel:
        """The model, trained by these events and no others."""
        return fit_boosting(data, events, rng=np.random.default_rng())
