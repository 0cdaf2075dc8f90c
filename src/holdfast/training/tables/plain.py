"""Training without differential privacy: any scikit-learn classifier, by object or by name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, Final

from holdfast.data import Dataset
from holdfast.errors import ConfigError
from holdfast.models import LinearModel, OnnxModel, fit_estimator
from holdfast.near import did_you_mean

MODULES: Final = (
    "calibration",
    "discriminant_analysis",
    "ensemble",
    "gaussian_process",
    "linear_model",
    "naive_bayes",
    "neighbors",
    "neural_network",
    "svm",
    "tree",
)
"""The modules of scikit-learn that a name may point into. A configuration file must not import anything else."""

_NAME: Final = re.compile(rf"sklearn\.({'|'.join(MODULES)})\.([A-Z][A-Za-z0-9]*)")


def train_plain(data: Dataset, *, estimator: Any, seed: int) -> LinearModel | OnnxModel:
    """Fit a scikit-learn classifier without differential privacy. The result may give records away.

    Args:
        data: the training records.
        estimator: a scikit-learn classifier, such as `estimator_from_name` makes; it is copied, not changed.
        seed: for its `random_state`, if it has one that is not set.

    Raises:
        DataError: a class of the schema has no row.
        UnsupportedError: the estimator has no probabilities or no ONNX form (see `models.fit_estimator`).
        ConfigError: the estimator refuses its parameters or the records.
    """
    from sklearn.base import clone

    seeded = clone(estimator)
    if seeded.get_params(deep=False).get("random_state", seed) is None:
        seeded.set_params(random_state=seed)
    try:
        return fit_estimator(seeded, data)
    except (ValueError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ConfigError(f"{type(estimator).__name__} cannot be trained: {first}") from None


def estimator_from_name(name: str, params: Mapping[str, Any]) -> Any:
    """A scikit-learn classifier from its dotted name, such as "sklearn.ensemble.GradientBoostingClassifier".

    Args:
        name: `sklearn.<module>.<Class>`, the module being one of `MODULES`.
        params: of its constructor; numbers, strings, booleans, None, or lists of those.

    Raises:
        ConfigError: another name, no such class, no classifier, or a parameter that it does not have.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ConfigError(
            f"expected an estimator named sklearn.<module>.<Class>, got {name[:100]!r}",
            hint=f"the modules are {', '.join(MODULES)}",
        )
    kind: Any = getattr(importlib.import_module(f"sklearn.{match[1]}"), match[2], None)
    if not _is_classifier(kind):
        raise ConfigError(f"{name} is no classifier of the installed scikit-learn")
    params = dict(params)
    try:
        estimator = kind()
        known = estimator.get_params(deep=False)
    except TypeError as error:
        raise ConfigError(f"{name} needs another estimator inside and cannot be made from a name: {error}") from None
    if unknown := sorted(set(params) - set(known)):
        raise ConfigError(
            f"{name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}",
            hint=did_you_mean(unknown[0], known),
        )
    for key, value in params.items():
        if not all(
            isinstance(item, int | float | str | None) for item in (value if isinstance(value, list) else [value])
        ):
            raise ConfigError(f"the parameter {key} of {name} must be a number, a string, a boolean or a list of those")
    return estimator.set_params(**{key: tuple(v) if isinstance(v, list) else v for key, v in params.items()})


def _is_classifier(kind: object) -> bool:
    from sklearn.base import BaseEstimator, ClassifierMixin

    return isinstance(kind, type) and issubclass(kind, BaseEstimator) and issubclass(kind, ClassifierMixin)
