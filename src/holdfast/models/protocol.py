"""What Holdfast needs of a model: probabilities for rows of a schema, and bytes that identify it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from holdfast.data import Dataset, Labels, Matrix, Schema


@runtime_checkable
class Model(Protocol):
    """Anything that predicts classes for rows of a schema.

    Contract (tests/models holds every implementation to it): `predict_proba` is deterministic, does not change its
    input, treats rows independently, and returns rows that are probabilities.
    """

    @property
    def schema(self) -> Schema:
        """The schema of the rows that the model takes."""
        ...

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, features) in the schema's units to (rows, classes), each row summing to 1."""
        ...


@runtime_checkable
class StoredModel(Model, Protocol):
    """A model that can be kept: as ONNX, whose SHA-256 is the model's identity."""

    @property
    def onnx(self) -> bytes:
        """The model as an ONNX file; `holdfast.models.load_model` is the inverse."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of `onnx`, as `sha256:…`."""
        ...


class Trainer(Protocol):
    """How a model is made from rows: what shadow models and retraining need to know of a training method."""

    def __call__(self, data: Dataset, *, seed: int) -> Model:
        """Train on a data set. The seed decides all that is random and not secret."""
        ...


def predict(model: Model, X: Matrix) -> Labels:
    """(rows,) the position of the most probable class; of several, the first."""
    return np.asarray(model.predict_proba(X).argmax(axis=1), dtype=np.int64)


def accuracy(model: Model, data: Dataset) -> float:
    """The share of rows whose most probable class is their own."""
    return float(np.mean(predict(model, data.X) == data.y))
