"""A model as its owner meets it again: queries go in, classes come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast import limits
from holdfast.arguments import check_kind
from holdfast.data import Labels
from holdfast.errors import UnsupportedError, UsageError
from holdfast.models import Model, predict

Queries = npt.NDArray[Any]
"""(n, features) float64 in the schema's units, or (n, height, width, channels) uint8."""
Classify = Callable[[Queries], Labels]
"""A model that is only asked: (n, …) queries to (n,) positions of the classes."""


def classify(model: Model) -> Classify:
    """A model of tables as one that gives classes.

    Raises:
        UsageError: it is no model; an estimator of scikit-learn is none before `fit_estimator`.
    """
    check_kind("model", model, Model, example="fit_estimator(LogisticRegression(), train)")
    return lambda queries: predict(model, queries)


def kept(queries: Queries) -> Queries:
    """Secret queries as they are kept: rows or pictures, read-only, of the same bytes on every machine.

    Raises:
        UsageError: they are neither, or none.
    """
    check_kind("queries", queries, np.ndarray, example="rows_between(data, n=1_000, rng=rng)")
    table = queries.ndim == 2 and queries.dtype.kind == "f"
    if not queries.size or not (table or (queries.ndim == 4 and queries.dtype == np.uint8)):
        raise UsageError(
            f"expected secret queries as rows of floats or as pictures of uint8, got {queries.dtype} of {queries.shape}"
        )
    own = np.array(queries, dtype="<f8" if table else np.uint8, order="C")
    own.flags.writeable = False
    return own


def check_classes(classes: int) -> None:
    """Refuse a number of classes that no model has.

    Raises:
        UsageError: it is none.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= limits.MAX_CLASSES:
        raise UsageError(f"expected 2 to {limits.MAX_CLASSES} classes, got {classes!r}")


def ask(suspect: Classify, queries: Queries, classes: int) -> Labels:
    """The classes that a model gives, checked.

    Raises:
        UsageError: the suspect is no function.
        UnsupportedError: the answers are no classes, one for each query.
    """
    if not callable(suspect):
        raise UsageError(
            f"expected a function that gives the classes of queries, got {type(suspect).__name__}",
            hint="for a model of tables it is classify(model)",
        )
    said = np.asarray(suspect(queries))
    whole = said.dtype.kind in "iu" and said.shape == (len(queries),)
    if not whole or (len(said) and not 0 <= int(said.min()) <= int(said.max()) < classes):
        raise UnsupportedError(
            f"expected classes from 0 to {classes - 1} for {len(queries)} queries, got {said.dtype} of {said.shape}",
            hint="wrap the model so that it gives the position of its most probable class",
        )
    return said.astype(np.int64)
