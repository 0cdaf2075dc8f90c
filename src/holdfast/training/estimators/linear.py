"""Linear regression with differential privacy, in the shape of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from holdfast.data import Feature, Matrix
from holdfast.models import Encoding
from holdfast.training.account.events import NoisySums
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.estimators.base import PrivateEstimator, planned
from holdfast.training.estimators.inputs import (
    Ranges,
    features_of,
    into_ranges,
    numbers_within,
    pairs,
    rows_and_target,
    schema_for,
)
from holdfast.training.tables.moments import fit_moments, moments_parts
from holdfast.training.tables.ranges import UNSEEN, learn_ranges
from holdfast.training.tables.refusals import check_delta, check_schema


class DPLinearRegression(PrivateEstimator, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Least squares with a ridge against the noise, that keep (epsilon, delta)-differential privacy for each row.

    Args:
        epsilon, delta, feature_ranges, features, ledger: as in `DPLogisticRegression`.
        target_range: public (low, high) of the target; None has it learned with noise. A target outside is moved to the
            nearest end.

    Attributes:
        coef_, intercept_: of the encoded columns of `schema_` (see `models.Encoding`).
        target_range_: within which the target was taken.
        events_, epsilon_, statement_: as in `DPLogisticRegression`.
    """

    method: ClassVar = "linear-regression"

    def __init__(
        self,
        epsilon: float = 1.0,
        *,
        delta: float = 1e-5,
        feature_ranges: Ranges | None = None,
        target_range: tuple[float, float] | None = None,
        features: Sequence[Feature] | None = None,
        ledger: LedgerFile | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.feature_ranges = feature_ranges
        self.target_range = target_range
        self.features = features
        self.ledger = ledger

    def fit(self, X: Any, y: Any) -> Self:
        """Train. It spends epsilon, every time that it is called.

        Raises:
            DataError: rows or targets that cannot be trained on. For what scikit-learn refuses it is a ValueError too.
            ConfigError: features with ranges or categories that were read from the records.
            UsageError: a parameter that has no meaning, or a delta that is not below one in the number of rows.
            BudgetError: the ledger's limit would be passed; nothing was spent.
        """
        rows, y = rows_and_target(self, X, y, numeric_target=True)
        check_delta(self.delta, rows=len(rows))
        features = features_of(self._names(), features=self.features, ranges=self.feature_ranges)
        target = pairs(UNSEEN if self.target_range is None else self.target_range, 1)[0]
        encoding = Encoding(schema_for(features))
        check_schema(encoding.schema)
        within = into_ranges(rows, features)
        unknown = np.array([self._learns_ranges] * len(features) + [self.target_range is None])
        events = planned(
            moments_parts(encoding.width), learned_columns=int(unknown.sum()), epsilon=self.epsilon, delta=self.delta
        )
        self._spend(events, rows, y)
        if unknown.any():
            learned = learn_ranges(np.column_stack([rows, y])[:, unknown], noise_multiplier=events[0].noise_multiplier)
            features = numbers_within(self._names(), learned[: len(features)]) if self._learns_ranges else features
            target = learned[-1] if self.target_range is None else target
            encoding, within, events = Encoding(schema_for(features)), into_ranges(rows, features), events[1:]
        self._fit(encoding, within, y, events, target=target)
        return self

    def predict(self, X: Any) -> Matrix:
        """(rows,) the target as the model has it, within its range."""
        rows = self._prepared(X)
        predicted = Encoding(self.schema_).encode(rows) @ self.coef_ + self.intercept_
        return np.asarray(np.clip(predicted, *self.target_range_))

    def _fit(self, encoding: Encoding, rows: Matrix, y: Matrix, events: Sequence[NoisySums], *, target: Matrix) -> None:
        """Fit with the target moved to [-1, 1], and keep the result in units of the target."""
        centre, half_width = target.mean(), (target[1] - target[0]) / 2
        scaled = np.clip((y - centre) / half_width, -1.0, 1.0)
        fitted = fit_moments(encoding.encode(rows), scaled, events, features=len(encoding.schema.features))
        self.schema_ = encoding.schema
        self.coef_ = fitted.coef * half_width
        self.intercept_ = fitted.intercept * half_width + centre
        self.target_range_ = (float(target[0]), float(target[1]))
