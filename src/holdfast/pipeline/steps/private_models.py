"""What `[train] model` names: classifiers that train with a privacy guarantee, whose cost is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.data import Dataset
from holdfast.models import LinearModel, OnnxModel
from holdfast.pipeline.sections import PrivateModel
from holdfast.training import Entry, check_records
from holdfast.training.estimators import DPGradientBoostingClassifier, DPLogisticRegression
from holdfast.training.estimators.base import PrivateClassifier
from holdfast.training.tables.refusals import check_schema


@dataclass(frozen=True, kw_only=True)
class PrivateTrainer:
    """Trains with a privacy guarantee: the project's model, and those that attacks compare it with.

    Args:
        model: which one, as in `[train]`.
        epsilon, delta: the guarantee.
    """

    model: PrivateModel
    epsilon: float
    delta: float

    def use_of(self, data: Dataset, *, step: str) -> Entry:
        """What a training on these records is in the ledger; nothing is computed from them yet.

        Raises:
            ConfigError, DataError, UsageError, UnsupportedError: the training would refuse.
        """
        check_schema(data.schema)
        check_records(data, delta=self.delta)
        estimator = self._estimator(data)
        events = estimator.plan(data.schema, rows=len(data))
        return Entry(step=step, data_digest=data.digest, released=True, events=events, method=estimator.method)

    def __call__(self, data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
        """Train with fresh noise; a seed decides nothing here."""
        del seed
        check_records(data, delta=self.delta)
        estimator = self._estimator(data)
        return estimator.train_on(data, estimator.plan(data.schema, rows=len(data)))

    def _estimator(self, data: Dataset) -> PrivateClassifier:
        options = {"delta": self.delta, "features": data.schema.features}
        return _class_of(self.model)(self.epsilon, **options)


def _class_of(model: PrivateModel) -> type[PrivateClassifier]:
    if model == "network":
        from holdfast.training.estimators.mlp import DPMLPClassifier  # which brings PyTorch along

        return DPMLPClassifier
    return DPGradientBoostingClassifier if model == "boosting" else DPLogisticRegression
