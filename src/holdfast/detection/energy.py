"""Queries that no class claims: the energy of the model's logits (Liu et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from holdfast.data import Matrix
from holdfast.detection.statistic import Answer, answers
from holdfast.detection.views import PictureView, Queries, TableView


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Minus the log of the sum of the exponentials of the logits.

    Args:
        view: of the queries.
        logits: (n, …) queries to (n, classes) logits. Probabilities have no energy: their exponents sum to one.
    """

    kind: ClassVar[str] = "energy"
    finding: ClassVar[str] = "are claimed by no class: they are unlike what the model knows"
    window: ClassVar[int] = 1
    width: ClassVar[int] = 1
    view: TableView | PictureView
    logits: Answer = field(repr=False)

    def kept(self, queries: Queries) -> Matrix:
        """(n, 1) the energy of each query."""
        self.view.check(queries)
        return -np.asarray(logsumexp(answers(self.logits, queries), axis=1, keepdims=True))

    def scores(self, windows: Matrix) -> Matrix:
        """(n, 1, 1) to (n,)."""
        return windows[:, 0, 0]

    def to_json(self) -> dict[str, Any]:
        """All that it is, but for the model."""
        return {"kind": self.kind, "view": self.view.to_json()}
