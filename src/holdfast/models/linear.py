"""Linear models: the ones that can be trained with exact privacy, attacked exactly, and asked under encryption."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, softmax

from holdfast.data import Matrix, Schema
from holdfast.errors import UsageError
from holdfast.evidence import digest_bytes
from holdfast.models.encoding import Encoding
from holdfast.models.onnx_graph import linear_onnx


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Scores that are linear in the encoded row, turned into probabilities by a sigmoid or a softmax.

    Args:
        schema: of the rows that the model takes.
        coef: (1, width) for two classes, where the score is that of the second, else (classes, width).
        intercept: (1,) or (classes,).
    """

    schema: Schema
    coef: Matrix
    intercept: Matrix

    def __post_init__(self) -> None:
        """Make the weights read-only, and refuse those that do not fit the schema."""
        classes, width = len(self.schema.classes), self.encoding.width
        rows = 1 if classes == 2 else classes
        if self.coef.shape != (rows, width) or self.intercept.shape != (rows,):
            raise UsageError(
                f"a linear model of {classes} classes needs weights of shape ({rows}, {width}) and ({rows},), "
                f"got {self.coef.shape} and {self.intercept.shape}"
            )
        for name in ("coef", "intercept"):
            weights = np.array(getattr(self, name), dtype=np.float64)
            if not np.isfinite(weights).all():
                raise UsageError("a linear model needs finite weights, got NaN or infinity")
            weights.flags.writeable = False
            object.__setattr__(self, name, weights)

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding in front of the weights."""
        return Encoding(self.schema)

    def scores(self, X: Matrix) -> Matrix:
        """(rows, 1) or (rows, classes): the linear scores of rows in the schema's units."""
        return self.encoding.encode(X) @ self.coef.T + self.intercept

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities."""
        return probabilities(self.scores(X))

    @cached_property
    def onnx(self) -> bytes:
        """The model as an ONNX file in double precision."""
        return linear_onnx(self.schema, self.coef, self.intercept)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `onnx`."""
        return digest_bytes(self.onnx)


def probabilities(scores: Matrix) -> Matrix:
    """(rows, 1) or (rows, classes) scores to (rows, classes) probabilities."""
    if scores.shape[1] == 1:
        return np.hstack([expit(-scores), expit(scores)])
    return np.asarray(softmax(scores, axis=1), dtype=np.float64)
