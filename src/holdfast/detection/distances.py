"""Distances among a client's own queries: too near to one another, or spread as honest ones never are.

Searches for an adversarial input ask again and again near one point; similarity to earlier queries gives them away
(Chen, Carlini and Wagner 2019; SEAT: Zhang et al. 2021). Queries made up for copying a model are spread unlike honest
ones (PRADA: Juuti et al. 2019). PRADA tests whether distances are normal, which those of honest traffic are not; here
they are compared with distances seen among clean inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
from scipy.spatial.distance import cdist

from holdfast.data import Dataset, Matrix
from holdfast.data.images import Images
from holdfast.detection.statistic import check_window, windows_of
from holdfast.detection.views import PictureView, Queries, TableView, view_of
from holdfast.errors import DataError, UsageError

_QUANTILES: Final = 99


@dataclass(frozen=True, kw_only=True)
class NearQueries:
    """How near the two nearest of a client's queries are: minus the smallest distance in the window.

    Args:
        view: of the queries.
        window: queries compared with one another. An attacker who asks fewer than two of them for each window, with
            honest queries or other accounts for the rest, is not seen.
    """

    kind: ClassVar[str] = "near-queries"
    finding: ClassVar[str] = "hold two that are nearer to each other than honest ones: a decision is searched for"
    view: TableView | PictureView
    window: int = 8

    def __post_init__(self) -> None:
        """Refuse a window without pairs."""
        check_window(self.window)

    @property
    def width(self) -> int:
        """Numbers kept of one query."""
        return self.view.width

    def kept(self, queries: Queries) -> Matrix:
        """(n, width) the queries as vectors."""
        return self.view.vectors(queries)

    def scores(self, windows: Matrix) -> Matrix:
        """(k, window, width) to (k,) minus the smallest distance, in units of the view."""
        return np.asarray(-nearest(windows).min(axis=1))

    def to_json(self) -> dict[str, Any]:
        """All that it is."""
        return {"kind": self.kind, "view": self.view.to_json(), "window": self.window}


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryDistances:
    """How unlike clean ones the nearest distances in a window are: the Kolmogorov-Smirnov distance between the two.

    Make one with `QueryDistances.of`, and calibrate it on other inputs than it was made of.

    Args:
        view: of the queries.
        window: queries compared with one another.
        quantiles: (99,) percentiles of the distance from a clean query to the nearest other one of its window.
    """

    kind: ClassVar[str] = "query-distances"
    finding: ClassVar[str] = "are spread as honest ones are not: they look made up, as for copying a model"
    view: TableView | PictureView
    window: int = 8
    quantiles: Matrix = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse percentiles that are none, and a window without pairs."""
        check_window(self.window)
        q = np.asarray(self.quantiles, dtype=np.float64)
        if q.shape != (_QUANTILES,) or not np.isfinite(q).all() or (np.diff(q) < 0).any():
            raise UsageError(f"expected {_QUANTILES} rising percentiles of distances, got {q.shape}")
        object.__setattr__(self, "quantiles", q)

    @classmethod
    def of(cls, clean: Dataset | Images, *, rng: np.random.Generator, window: int = 8) -> QueryDistances:
        """Learn the distances among clean inputs.

        Args:
            clean: inputs such as honest clients send.
            rng: puts them into windows.
            window: queries compared with one another.

        Raises:
            DataError: not enough inputs for one window.
        """
        check_window(window)
        view = view_of(clean)
        vectors = view.vectors(clean.X if isinstance(clean, Dataset) else clean.pixels)
        windows = windows_of(rng.permutation(np.unique(vectors, axis=0)), window)
        if len(windows) == 0:
            raise DataError(f"expected at least {window} different clean inputs, got fewer")
        levels = np.arange(1, _QUANTILES + 1) / (_QUANTILES + 1)
        return cls(view=view, window=window, quantiles=np.quantile(nearest(windows), levels))

    @property
    def width(self) -> int:
        """Numbers kept of one query."""
        return self.view.width

    def kept(self, queries: Queries) -> Matrix:
        """(n, width) the queries as vectors."""
        return self.view.vectors(queries)

    def scores(self, windows: Matrix) -> Matrix:
        """(k, window, width) to (k,) the largest gap between the two distribution functions, at the percentiles."""
        levels = np.arange(1, _QUANTILES + 1) / (_QUANTILES + 1)
        below = (nearest(windows)[:, None, :] <= self.quantiles[:, None]).mean(axis=2)
        return np.asarray(np.abs(below - levels).max(axis=1))

    def to_json(self) -> dict[str, Any]:
        """All that it is."""
        return {
            "kind": self.kind,
            "view": self.view.to_json(),
            "window": self.window,
            "quantiles": self.quantiles.tolist(),
        }

    @classmethod
    def from_fields(cls, view: TableView | PictureView, fields: Mapping[str, Any]) -> QueryDistances:
        """From what `to_json` wrote, the view read already."""
        quantiles = np.array(fields["quantiles"], dtype=np.float64)
        return cls(view=view, window=fields["window"], quantiles=quantiles)


def nearest(windows: Matrix) -> Matrix:
    """(k, window, width) to (k, window): the distance from each query to the nearest other one of its window."""
    found = np.empty(windows.shape[:2])
    for number, window in enumerate(windows):
        D = cdist(window, window)
        np.fill_diagonal(D, np.inf)
        found[number] = D.min(axis=1)
    return found
