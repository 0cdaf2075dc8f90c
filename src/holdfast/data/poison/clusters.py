"""Small dense groups of rows far from all others, as a forged batch leaves them.

Single odd rows are outliers; `rows` lists them. A group is told from them by its density: its rows lie much closer to
each other than to any row outside. Only the twentieth of the rows that random cuts set apart most easily is searched,
by hierarchical density clustering (Campello, Moulavi and Sander 2013, https://doi.org/10.1007/978-3-642-37456-2_14).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.data.dataset import Labels
from holdfast.data.frames import Matrix
from holdfast.data.poison.marks import MIN_CARRIERS
from holdfast.data.rows import Rows

SEARCHED_SHARE: Final = 0.05
"""Share of the rows that is searched for groups, those with the highest outlier scores."""
MAX_SEARCHED: Final = 3_000
MIN_SEPARATION: Final = 3.0
"""How many times farther the nearest row outside is than the nearest inside, for the median row of a group."""

_MAX_COMPARED: Final = 20_000
_MIN_SEARCHED: Final = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class Cluster:
    """Rows that are close to each other and far from all others.

    Args:
        rows: rising.
        separation: distance to the nearest row outside over that to the nearest inside, of the median row.
        label: the commonest label among them, by position.
        purity: its share.
    """

    rows: Rows
    separation: float
    label: int
    purity: float


def find_clusters(X: Matrix, y: Labels, scores: Matrix) -> list[Cluster]:
    """Groups of at least five rows that stand apart, the most separate first.

    Args:
        X: (rows, columns) numbers without gaps, of comparable scale.
        y: (rows,) labels.
        scores: (rows,) outlier scores.
    """
    from sklearn.cluster import HDBSCAN

    searched = np.argsort(-scores, kind="stable")[: min(MAX_SEARCHED, round(SEARCHED_SHARE * len(y)))]
    if len(searched) < _MIN_SEARCHED:
        return []
    groups = HDBSCAN(min_cluster_size=MIN_CARRIERS, copy=True, allow_single_cluster=True).fit_predict(X[searched])
    found = []
    for number in range(int(groups.max()) + 1):
        rows = np.sort(searched[groups == number])
        separation = _separation(X, rows)
        if separation >= MIN_SEPARATION:
            counts = np.bincount(y[rows])
            label = int(counts.argmax())
            purity = float(counts[label] / len(rows))
            found.append(Cluster(rows=rows, separation=separation, label=label, purity=purity))
    return sorted(found, key=lambda cluster: -cluster.separation)


def _separation(X: Matrix, rows: Rows) -> float:
    """Distance to the nearest row outside over that to the nearest different row inside, of the median row."""
    from sklearn.neighbors import NearestNeighbors

    inside = np.unique(X[rows], axis=0)
    outside = np.delete(X, rows, axis=0)
    outside = outside[:: -(-len(outside) // _MAX_COMPARED)]
    if len(inside) < 2 or len(outside) == 0:
        return 0.0  # rows that repeat each other are found as such
    near = np.median(NearestNeighbors(n_neighbors=2).fit(inside).kneighbors(inside)[0][:, 1])
    far = np.median(NearestNeighbors(n_neighbors=1).fit(outside).kneighbors(inside)[0])
    return float(far / near)
