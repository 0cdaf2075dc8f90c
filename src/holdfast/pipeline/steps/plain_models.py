"""What `[train] method` names beside "private": classifiers of scikit-learn, XGBoost and LightGBM."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

from holdfast.data import Dataset
from holdfast.errors import ConfigError, UnsupportedError
from holdfast.extras import INSTALL_BOOST
from holdfast.models import LinearModel, OnnxModel
from holdfast.near import did_you_mean
from holdfast.pipeline.sections import TrainSection
from holdfast.training import estimator_from_name, train_plain

_BOOSTERS: Final = MappingProxyType(
    {"xgboost.XGBClassifier": {"n_jobs": 1}, "lightgbm.LGBMClassifier": {"n_jobs": 1, "verbose": -1}}
)
"""With settings that `params` may change: one thread, as shadow models are many and small; and no chatter."""


@dataclass(frozen=True)
class PlainTrainer:
    """Trains the classifier of `[train]`: the project's model, and those that attacks compare it with."""

    train: TrainSection

    def __call__(self, data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
        """Train with this seed."""
        return train_plain(data, estimator=estimator_of(self.train), seed=seed)


def estimator_of(train: TrainSection) -> Any:
    """The classifier of `[train]`, not yet fitted.

    Raises:
        ConfigError: there is no such classifier, or it has no such parameter.
        UnsupportedError: its library is not installed.
    """
    if train.method not in _BOOSTERS:
        return estimator_from_name(train.method, train.params)
    module, name = train.method.split(".")
    try:
        kind: Any = getattr(import_module(module), name)
    except ImportError:
        raise UnsupportedError(
            f"[train] method {train.method!r} needs {module}, which is not installed",
            hint=INSTALL_BOOST,
        ) from None
    known = kind().get_params()
    if unknown := sorted(set(train.params) - set(known)):
        raise ConfigError(
            f"{train.method} has no parameter {', '.join(unknown)}; it has {', '.join(known)}",
            hint=did_you_mean(unknown[0], known),
        )
    return kind(**{**_BOOSTERS[train.method], **train.params})
