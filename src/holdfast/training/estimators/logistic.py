"""Logistic regression with differential privacy, in the shape of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from holdfast.data import Dataset, Feature, Schema
from holdfast.models import LinearModel
from holdfast.training.account.events import NoisySums
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.estimators.base import PrivateClassifier, planned
from holdfast.training.estimators.inputs import Ranges
from holdfast.training.tables.private import DEFAULT_STEPS, fit_logistic, logistic_parts


class DPLogisticRegression(PrivateClassifier):
    """Logistic regression, binary or multinomial, that keeps (epsilon, delta)-differential privacy for each row.

    It is `train_private` for those who have no schema; see there for the method.

    Args:
        epsilon: the guarantee of one `fit`, from 0.01 (strong) to 10 (weak).
        delta: the probability with which it may fail; below one in the number of rows.
        feature_ranges: public (low, high) of the columns, each one number or one for each column. Values outside are
            moved to the nearest end. None has ranges learned with noise, for a tenth of the budget.
        features: instead of ranges, what each column is: categories, missing values, ranges of its own.
        classes: every label there can be; None takes the set of labels in y for public.
        steps: noisy gradient steps.
        ledger: where each `fit` is entered before it begins; one that would pass its limit does not start.

    Attributes:
        model_: the `LinearModel`, to be sealed, attacked or compiled for private inference; `schema_` is its schema.
        events_, epsilon_, statement_: what was done, the upper bound on what it cost, and the statement in words.
        classes_, n_features_in_, feature_names_in_: as everywhere in scikit-learn.
    """

    method: ClassVar = "logistic-regression"

    def __init__(
        self,
        epsilon: float = 1.0,
        *,
        delta: float = 1e-5,
        feature_ranges: Ranges | None = None,
        features: Sequence[Feature] | None = None,
        classes: Sequence[Any] | None = None,
        steps: int = DEFAULT_STEPS,
        ledger: LedgerFile | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.feature_ranges = feature_ranges
        self.features = features
        self.classes = classes
        self.steps = steps
        self.ledger = ledger

    def plan(self, schema: Schema, *, rows: int) -> tuple[NoisySums, ...]:  # noqa: ARG002 - the number is secret
        """What a fit will spend, known before it begins."""
        learned = len(schema.features) if self._learns_ranges else 0
        parts = logistic_parts(schema, steps=self.steps)
        return planned(parts, learned_columns=learned, epsilon=self.epsilon, delta=self.delta)

    def train_on(self, data: Dataset, events: tuple[NoisySums, ...]) -> LinearModel:
        """The model, trained by these events and no others."""
        model, _ = fit_logistic(data, events)
        return model
