"""Linear models, Holdfast's and scikit-learn's, as linear programs.

In front of a scikit-learn estimator there may be scalers, as steps of a pipeline; they are folded into the weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import UnsupportedError, UsageError
from holdfast.models import LinearModel
from holdfast.models.links import Link
from holdfast.private_inference.circuit import Reading
from holdfast.private_inference.encoding import NumericEncoding
from holdfast.private_inference.program import LinearProgram

_Floats = NDArray[np.float64]


def read_linear_model(model: LinearModel, *, X: _Floats | None, classes: Sequence[str] | None) -> Reading:
    """A linear model of Holdfast's; its schema gives ranges and classes."""
    del X, classes
    names = model.schema.classes
    return Reading(
        kind="linear",
        encoding=NumericEncoding.of_schema(model.schema),
        program=LinearProgram(weights=model.coef, intercept=model.intercept),
        link="logistic" if len(names) == 2 else "softmax",
        classes=names,
        clear=model.scores,
    )


def read_linear_estimator(model: Any, *, X: _Floats | None, classes: Sequence[str] | None) -> Reading:
    """A fitted linear estimator of scikit-learn, or a pipeline of scalers and one.

    Args:
        model: the estimator or pipeline.
        X: (rows, features) rows that set the ranges.
        classes: names of the classes; without it, the estimator's own.

    Raises:
        UnsupportedError: a step is none that can be compiled; it is named.
        UsageError: there are no rows.
    """
    *scalers, estimator = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    name = type(estimator).__name__
    if name not in _LINKS:
        raise UnsupportedError(f"private inference does not know the estimator {name}", hint=_KNOWN)
    if X is None:
        raise UsageError(f"expected rows X to read the ranges of {name}'s features from, got none")
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    intercept = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), (len(weights),)).copy()
    shift, scale = _folded(scalers, weights.shape[1])
    weights = weights / scale
    intercept = intercept - weights @ shift
    names = [str(label) for label in getattr(model, "feature_names_in_", ())]
    encoding = NumericEncoding.around(X, names=names or [f"feature {i}" for i in range(X.shape[1])])
    link = _LINKS[name](estimator)
    return Reading(
        kind="linear",
        encoding=encoding,
        program=LinearProgram(weights=weights * encoding.half_widths, intercept=intercept),
        link=link,
        classes=_class_names(estimator, classes),
        clear=_clear(model, link),
        notes=("The ranges of the features are powers of two, four to eight times the largest value given.",),
    )


def is_linear_estimator(model: Any) -> bool:
    """Whether a model is an estimator that `read_linear_estimator` knows, or a pipeline that ends in one."""
    last = model.steps[-1][1] if getattr(model, "steps", None) else model
    return type(last).__module__.startswith("sklearn.") and type(last).__name__ in _LINKS


def _folded(scalers: Sequence[Any], width: int) -> tuple[_Floats, _Floats]:
    """Shift and scale of `(x - shift) / scale`, all scalers together."""
    shift, scale = np.zeros(width), np.ones(width)
    for scaler in scalers:
        name = type(scaler).__name__
        if name not in _SCALERS:
            raise UnsupportedError(f"private inference does not know the step {name} of a pipeline", hint=_KNOWN)
        own_shift, own_scale = _SCALERS[name](scaler)
        shift = shift + scale * np.broadcast_to(0.0 if own_shift is None else own_shift, (width,))
        scale = scale * np.broadcast_to(1.0 if own_scale is None else own_scale, (width,))
    return shift, scale


def _min_max(scaler: Any) -> tuple[Any, Any]:
    """`x·scale_ + min_` with the range clipped is no linear map."""
    if scaler.clip:
        raise UnsupportedError("private inference does not know MinMaxScaler(clip=True)", hint="fit it with clip=False")
    return -scaler.min_ / scaler.scale_, 1 / scaler.scale_


def _class_names(estimator: Any, classes: Sequence[str] | None) -> tuple[str, ...]:
    own = [str(label) for label in getattr(estimator, "classes_", ())]
    if classes is None or not own:
        return tuple(own)
    if len(classes) != len(own):
        raise UsageError(f"expected names for {len(own)} classes, got {len(classes)}")
    return tuple(classes)


def _clear(model: Any, link: Link) -> Callable[[_Floats], _Floats]:
    """The model's own scores before the link."""

    def clear(X: _Floats) -> _Floats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model fitted on a DataFrame warns of rows without names
            scores = model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)
        scores = np.log(scores) if link == "exponential" else scores
        return np.asarray(scores, dtype=np.float64).reshape(len(X), -1)

    return clear


def _probability_link(estimator: Any) -> Link:
    if len(estimator.classes_) == 2:
        return "logistic"
    one_against_rest = getattr(estimator, "multi_class", "") == "ovr" or getattr(estimator, "solver", "") == "liblinear"
    return "normalised" if one_against_rest else "softmax"


def _descent_link(estimator: Any) -> Link:
    if estimator.loss != "log_loss":
        return "decision"
    return "logistic" if len(estimator.classes_) == 2 else "normalised"


def _tweedie_link(estimator: Any) -> Link:
    logarithmic = estimator.link == "log" or (estimator.link == "auto" and estimator.power > 0)
    return "exponential" if logarithmic else "identity"


_REGRESSORS: Final = (
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "Lars", "ElasticNet", "ElasticNetCV"),
    *("BayesianRidge", "ARDRegression", "HuberRegressor", "TheilSenRegressor", "QuantileRegressor", "SGDRegressor"),
    *("PassiveAggressiveRegressor", "LinearSVR"),
)
_LINKS: Final[Mapping[str, Callable[[Any], Link]]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis"), _probability_link
        ),
        "SGDClassifier": _descent_link,
        **dict.fromkeys(
            ("LinearSVC", "Perceptron", "PassiveAggressiveClassifier", "RidgeClassifier", "RidgeClassifierCV"),
            lambda _: "decision",
        ),
        **dict.fromkeys(
            _REGRESSORS,
            lambda _: "identity",
        ),
        **dict.fromkeys(("PoissonRegressor", "GammaRegressor"), lambda _: "exponential"),
        "TweedieRegressor": _tweedie_link,
    }
)
_SCALERS: Final[Mapping[str, Callable[[Any], tuple[Any, Any]]]] = MappingProxyType(
    {
        "StandardScaler": lambda scaler: (scaler.mean_, scaler.scale_),
        "RobustScaler": lambda scaler: (scaler.center_, scaler.scale_),
        "MaxAbsScaler": lambda scaler: (None, scaler.scale_),
        "MinMaxScaler": _min_max,
    }
)
_KNOWN: Final = (
    "known are pipelines of "
    + ", ".join(sorted(_SCALERS))
    + " and, at the end, linear models, decision trees and their ensembles, or networks"
)
