"""Queries that lie far from every clean input (k-th nearest neighbour: Sun et al. 2022)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from holdfast.data import Dataset, Matrix
from holdfast.data.images import Images
from holdfast.detection.views import PictureView, Queries, TableView, view_of
from holdfast.errors import DataError, UsageError

_MAX_REFERENCE: Final = 2_000
"""Clean inputs that are kept to compare with; a query costs as many distances."""
_ROWS_AT_ONCE: Final = 1_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """The distance from a query to its k-th nearest clean input.

    It holds clean inputs: as confidential as they are, and no detector for a model whose training rows must not be
    told from others. For tables `holdfast.serving.WatchProfile` does without rows, with a covariance in their place.
    Make one with `Neighbours.of`, and calibrate it on other inputs than it was made of.

    Args:
        view: of the queries.
        reference: (rows, width) clean inputs as vectors, float32.
        k: which neighbour counts.
    """

    kind: ClassVar[str] = "neighbours"
    finding: ClassVar[str] = "are unlike any clean input"
    window: ClassVar[int] = 1
    width: ClassVar[int] = 1
    view: TableView | PictureView
    reference: npt.NDArray[np.float32] = field(repr=False)
    k: int = 5

    def __post_init__(self) -> None:
        """Refuse a reference of another width, and a neighbour that it does not have."""
        reference = np.asarray(self.reference, dtype=np.float32)
        if reference.ndim != 2 or reference.shape[1] != self.view.width or not np.isfinite(reference).all():
            raise UsageError(f"expected finite vectors of {self.view.width} numbers, got {reference.shape}")
        if isinstance(self.k, bool) or not isinstance(self.k, int) or not 1 <= self.k <= len(reference):
            raise UsageError(f"expected a neighbour of 1 to {len(reference)} clean inputs, got {self.k!r}")
        object.__setattr__(self, "reference", reference)

    @classmethod
    def of(cls, clean: Dataset | Images, *, rng: np.random.Generator, k: int = 5) -> Neighbours:
        """Keep clean inputs to compare with, at most 2,000 of them.

        Args:
            clean: inputs such as honest clients send.
            rng: chooses among more.
            k: which neighbour counts.

        Raises:
            DataError: fewer inputs than neighbours.
        """
        if len(clean) < k:
            raise DataError(f"expected at least {k} clean inputs for {k} neighbours, got {len(clean)}")
        view, chosen = view_of(clean), rng.permutation(len(clean))[:_MAX_REFERENCE]
        vectors = view.vectors((clean.X if isinstance(clean, Dataset) else clean.pixels)[chosen])
        return cls(view=view, reference=vectors.astype(np.float32), k=k)

    def kept(self, queries: Queries) -> Matrix:
        """(n, 1) the distance to the k-th nearest clean input, in units of the view."""
        vectors, found = self.view.vectors(queries), np.empty((len(queries), 1))
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            D = cdist(vectors[start : start + _ROWS_AT_ONCE], self.reference)
            found[start : start + _ROWS_AT_ONCE, 0] = np.partition(D, self.k - 1, axis=1)[:, self.k - 1]
        return found

    def scores(self, windows: Matrix) -> Matrix:
        """(n, 1, 1) to (n,)."""
        return windows[:, 0, 0]

    def to_json(self) -> dict[str, Any]:
        """All that it is, the clean inputs included."""
        packed = base64.b64encode(np.ascontiguousarray(self.reference, dtype="<f4").tobytes()).decode()
        return {"kind": self.kind, "view": self.view.to_json(), "k": self.k, "reference": packed}

    @classmethod
    def from_fields(cls, view: TableView | PictureView, fields: Mapping[str, Any]) -> Neighbours:
        """From what `to_json` wrote, the view read already."""
        flat = np.frombuffer(base64.b64decode(fields["reference"], validate=True), dtype="<f4")
        return cls(view=view, reference=flat.reshape(-1, view.width), k=fields["k"])
