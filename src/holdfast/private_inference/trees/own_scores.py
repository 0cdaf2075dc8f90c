"""A model's scores from its own library, to check a plan with; from our reading of it where that is all there is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.models.trees.ensemble import Ensemble
from holdfast.models.trees.read_lightgbm import sigmoid_factor
from holdfast.private_inference.trees.additive import Additive

Scores = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def own_scores(model: Any, found: Ensemble | Additive) -> Scores:
    """Scores (rows, outputs) of rows (rows, features), before the link.

    A library takes categories in forms of its own, so models with categories are computed from our reading.
    """
    scores = next((_SCORES[name] for name in map(_name, type(model).__mro__) if name in _SCORES), None)
    if scores is None or not _is_numeric(found):
        return found.scores

    def clear(X: NDArray[np.float64]) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model fitted on a DataFrame warns of rows without names
            return np.asarray(scores(model, X), dtype=np.float64).reshape(len(X), -1)

    return clear


def _name(cls: type) -> str:
    return f"{cls.__module__.partition('.')[0]}.{cls.__name__}"


def _is_numeric(found: Ensemble | Additive) -> bool:
    if isinstance(found, Ensemble):
        return all(column.categories is None for column in found.columns)
    return all(hasattr(bins, "grid") for term in found.terms for bins in term.block.bins)


def _booster(model: Any, X: NDArray[np.float64]) -> Any:
    return model.inplace_predict(X, predict_type="margin", validate_features=False)


def _lightgbm(model: Any, X: NDArray[np.float64]) -> Any:
    booster = getattr(model, "booster_", model)
    about = booster.dump_model(num_iteration=1)
    rounds = booster.num_trees() / booster.num_model_per_iteration() if about["average_output"] else 1
    factor = sigmoid_factor(about.get("objective", "").split(" ")[1:])
    return booster.predict(X, raw_score=True) * factor / rounds


def _hist(model: Any, X: NDArray[np.float64]) -> Any:
    if hasattr(model, "classes_"):
        return model.decision_function(X)
    return np.log(model.predict(X)) if model.loss in ("poisson", "gamma") else model.predict(X)


def _boosting(model: Any, X: NDArray[np.float64]) -> Any:
    if not hasattr(model, "classes_"):
        return model.predict(X)
    return model.decision_function(X) * (2 if model.loss == "exponential" else 1)


def _average(model: Any, X: NDArray[np.float64]) -> Any:
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def _ebm(model: Any, X: NDArray[np.float64]) -> Any:
    if hasattr(model, "classes_"):
        return model.decision_function(X)
    return np.log(model.predict(X)) if model.link_ == "log" else model.predict(X)


_SCORES: Final[Mapping[str, Callable[[Any, NDArray[np.float64]], Any]]] = MappingProxyType(
    {
        "xgboost.XGBModel": lambda model, X: model.predict(X, output_margin=True, validate_features=False),
        "xgboost.Booster": _booster,
        "lightgbm.LGBMModel": _lightgbm,
        "lightgbm.Booster": _lightgbm,
        "sklearn.BaseDecisionTree": _average,
        "sklearn.BaseForest": _average,
        "sklearn.BaseGradientBoosting": _boosting,
        "sklearn.BaseHistGradientBoosting": _hist,
        "interpret.EBMModel": _ebm,
    }
)
