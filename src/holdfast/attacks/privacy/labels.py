"""A target that answers with labels alone: what it is asked, what that costs, and noise for the questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from holdfast.attacks.oracle import Oracle
from holdfast.attacks.tables.feasible import ranges, repair
from holdfast.data import Labels, Matrix, Schema
from holdfast.errors import UnsupportedError
from holdfast.models import Model

AskLabels = Callable[[Matrix], Labels]
"""(rows, features) to (rows,) positions of classes."""


def labels_of(model: Model) -> AskLabels:
    """Ask a model that has probabilities for its labels alone."""
    return Oracle(model).labels


def named_labels(predict: Callable[[Matrix], Sequence[str]], classes: Sequence[str]) -> AskLabels:
    """Ask something that answers with names of classes, such as `holdfast.http.Client.predict`."""
    positions = {name: position for position, name in enumerate(classes)}

    def ask(X: Matrix) -> Labels:
        try:
            return np.array([positions[name] for name in predict(X)], dtype=np.int64)
        except KeyError as error:
            raise UnsupportedError(f"expected a class of {', '.join(classes[:10])}, got {error.args[0]!r}") from None

    return ask


class CountedLabels:
    """Asks for labels, checks the answers and counts the rows."""

    def __init__(self, ask: AskLabels, schema: Schema) -> None:
        self._ask, self._classes = ask, len(schema.classes)
        self.queries = 0

    def __call__(self, X: Matrix) -> Labels:
        """(rows,) labels.

        Raises:
            UnsupportedError: the answer is not one class for each row.
        """
        labels = np.asarray(self._ask(X))
        self.queries += len(X)
        if labels.shape != (len(X),) or not np.isin(labels, np.arange(self._classes)).all():
            raise UnsupportedError(
                f"expected {len(X)} classes from 0 to {self._classes - 1} from the model, "
                f"got {np.array2string(labels, threshold=5):.60}"
            )
        return labels.astype(np.int64)


def add_noise(X: Matrix, schema: Schema, *, strength: float, rng: np.random.Generator) -> Matrix:
    """Rows with noise in every feature that keep to the schema: ranges, relations, whole numbers, what is missing.

    Args:
        X: (rows, features).
        schema: of the rows.
        strength: standard deviation of the noise as a share of a number's range, and the chance that a category is
            drawn anew. Whole numbers are rounded up or down by chance, so that small noise changes few of them.
        rng: for the noise.

    Raises:
        ConfigError: ranges and relations leave a feature no value.
    """
    noisy = X.copy()
    for position, feature in enumerate(schema.features):
        present = ~np.isnan(X[:, position])
        values, count = X[present, position], int(present.sum())
        if feature.kind == "category":
            drawn = rng.integers(len(feature.categories), size=count)
            noisy[present, position] = np.where(rng.random(count) < strength, drawn, values)
            continue
        moved = values + strength * (feature.high - feature.low) * rng.standard_normal(count)
        if feature.kind == "integer":
            moved = np.floor(moved + rng.random(count))
        noisy[present, position] = moved
    return repair(noisy, ranges(schema, rows=len(X)), schema)
