"""PyTorch modules as models of tables, asked like any other and attacked by their gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:
    from holdfast.errors import UnsupportedError
    from holdfast.extras import INSTALL_TORCH

    raise UnsupportedError("TorchTable needs PyTorch, which is not installed", hint=INSTALL_TORCH) from error

from holdfast.arguments import check_kind
from holdfast.attacks.images.classifier import are_probabilities
from holdfast.attacks.tables.differentiable import Pullback
from holdfast.data import Matrix, Schema
from holdfast.errors import UnsupportedError
from holdfast.models import Encoding, probabilities


@dataclass(frozen=True, eq=False)
class TorchTable:
    """A module that takes encoded rows (see `Encoding`) and gives a score for each class, or one for the second of two.

    The module is put into evaluation mode. It should have no sigmoid or softmax at its end: scores are expected.

    Args:
        schema: of the rows.
        module: takes (rows, width) in the type of its own parameters; gives (rows, classes), (rows, 1) or (rows,).
    """

    schema: Schema
    module: torch.nn.Module

    def __post_init__(self) -> None:
        """Put the module into evaluation mode.

        Raises:
            UsageError: an argument of another kind.
        """
        check_kind("schema", self.schema, Schema, example="data.schema")
        check_kind("module", self.module, torch.nn.Module, example="torch.nn.Linear(10, 2)")
        self.module.eval()

    def predict_proba(self, X: Matrix) -> Matrix:
        """(rows, classes) probabilities: the sigmoid or softmax of the scores.

        Raises:
            UnsupportedError: the module gives something else than finite scores of the classes, such as probabilities.
        """
        with torch.no_grad():
            scores = self._scores(self._input(self._encoding.encode(X)))
        if scores.shape[1] > 1 and len(scores) and are_probabilities(scores):
            raise UnsupportedError(
                "expected scores from the module, got probabilities, whose gradient vanishes where the model is sure",
                hint="leave out the last softmax",
            )
        return probabilities(scores.double().numpy())

    def scores_and_pullback(self, E: Matrix) -> tuple[Matrix, Pullback]:
        """Scores of encoded rows, and their gradients; with one score z for two classes, ∓z / 2."""
        rows = self._input(E).requires_grad_()
        scores = self._scores(rows)
        if scores.shape[1] == 1:
            scores = torch.hstack([-scores, scores]) / 2

        def pullback(weights: Matrix) -> Matrix:
            (gradient,) = torch.autograd.grad(scores, rows, torch.as_tensor(weights, dtype=scores.dtype))
            return np.asarray(gradient.double().numpy())

        return scores.detach().double().numpy(), pullback

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.schema)

    def _input(self, E: Matrix) -> torch.Tensor:
        own: Any = next(self.module.parameters(), torch.zeros(0))
        return torch.as_tensor(E, dtype=own.dtype)

    def _scores(self, rows: torch.Tensor) -> torch.Tensor:
        try:
            scores: torch.Tensor = self.module(rows)
        except RuntimeError as error:
            raise UnsupportedError(
                f"expected a module for rows of {rows.shape[1]} encoded columns, it raises: {error!s:.100}",
                hint="its first layer takes Encoding(schema).width columns",
            ) from error
        if scores.ndim == 1:
            scores = scores[:, None]
        classes = len(self.schema.classes)
        if scores.shape not in ((len(rows), classes), *(((len(rows), 1),) if classes == 2 else ())):
            raise UnsupportedError(
                f"expected scores of shape {(len(rows), classes)} from the module, got {tuple(scores.shape)}"
            )
        if not bool(torch.isfinite(scores).all()):
            raise UnsupportedError("expected finite scores from the module, got NaN or infinity")
        return scores
