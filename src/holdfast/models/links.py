"""From scores to predictions: the last step, which the client takes in the clear.

identity     a regression's value; with classes, the share of each, or of the second alone
decision     a margin: the sign, or the largest, decides; there are no probabilities
logistic     the log-odds of the second class
softmax      one score for each class
normalised   one-against-rest log-odds, made to add up to one
exponential  the logarithm of a regression's value
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Link: TypeAlias = Literal["identity", "decision", "logistic", "softmax", "normalised", "exponential"]
"""What is made of scores."""

_Floats = NDArray[np.float64]


def prediction(scores: _Floats, link: Link, *, classes: int) -> _Floats:
    """Scores (rows, outputs) to probabilities or shares (rows, classes), or to the values of a regression.

    Args:
        scores: as a model has them before its link.
        link: one of `LINKS`.
        classes: how many; zero for a regression.
    """
    return LINKS[link](scores, classes)


def top_class(scores: _Floats, link: Link, *, classes: int) -> NDArray[np.int64]:
    """(rows,) the position of the predicted class; of several, the first."""
    if link == "decision" and scores.shape[1] == 1:
        return (scores[:, 0] > 0).astype(np.int64)
    return np.asarray(prediction(scores, link, classes=classes).argmax(axis=1), dtype=np.int64)


def fits(link: Link, *, outputs: int, classes: int) -> bool:
    """Whether so many scores can mean so many classes under a link."""
    single, one_each = (outputs, classes) == (1, 2), outputs == classes >= 2
    return {
        "identity": classes == 0 or single or one_each,
        "decision": single or one_each,
        "logistic": single,
        "softmax": one_each,
        "normalised": one_each,
        "exponential": classes == 0,
    }[link]


def _identity(scores: _Floats, classes: int) -> _Floats:
    return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 and classes == 2 else scores


def _unchanged(scores: _Floats, classes: int) -> _Floats:
    del classes
    return scores


def _softmax(scores: _Floats, classes: int) -> _Floats:
    del classes
    return np.asarray(softmax(scores, axis=1), dtype=np.float64)


def _exponential(scores: _Floats, classes: int) -> _Floats:
    del classes
    return np.asarray(np.exp(scores))


def _logistic(scores: _Floats, classes: int) -> _Floats:
    del classes
    return np.hstack([expit(-scores), expit(scores)])


def _normalised(scores: _Floats, classes: int) -> _Floats:
    del classes
    shares = expit(scores)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


LINKS: Final[Mapping[Link, Callable[[_Floats, int], _Floats]]] = MappingProxyType(
    {
        "identity": _identity,
        "decision": _unchanged,
        "logistic": _logistic,
        "softmax": _softmax,
        "normalised": _normalised,
        "exponential": _exponential,
    }
)
