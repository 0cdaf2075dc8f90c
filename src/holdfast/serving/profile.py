"""What normal traffic looks like: the summary of held-out rows that the watch compares a client's rows with.

A row is *far* if its Mahalanobis distance from the nearest class centre is larger than that of about 95 % of normal
rows, and *near* if it lies closer to another row of the same client than 98 % of normal rows do to one another, without
being the same row. Synthetic rows are far, because they ignore how features go together; rows that probe a decision
boundary are near. Distances for the far limit are of rows that had no part in the centres and the covariance (ten-fold
cross-fitting). There is one far limit: one of its own for each class would be as large as the oddest row of a class
of few rows, and the room around it a hiding place. What differs from class to class is how often normal rows are far.

A profile holds class means, one covariance, column spreads and a few thresholds. It holds no row, but it is no secret
kept either: means and covariances of few rows tell something about each of them, and they come without differential
privacy. Calibrate on rows whose use for this was agreed, never on the training rows of a private model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from scipy.special import betaincinv

from holdfast import limits
from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.errors import DataError, UsageError, WireError
from holdfast.evidence import canonical_json, digest_bytes
from holdfast.models import Encoding

FORMAT: Final = "holdfast-watch-1"

MIN_ROWS: Final = 40
_FOLDS: Final = 10
_FAR_SHARE: Final = 0.05
_NEAR_SHARE: Final = 0.02
_MIN_REGION_ROWS: Final = 20
_RATE_CONFIDENCE: Final = 0.95
_SMALLEST_RATE: Final = 0.1
"""The watch wins at most fivefold on one row, so it takes a run of odd rows, and not a few, to flag a client."""
_SMALLEST_VARIANCE: Final = 1e-6
"""Of an encoded column, whose range is [-1, 1]: a column that never varied still has a spread of 0.001."""


@dataclass(frozen=True, eq=False, kw_only=True)
class WatchProfile:
    """Normal traffic in numbers. Made by `calibrate`; `width` is the number of encoded columns, `k` of centres.

    Args:
        schema_digest: of the schema whose rows these are.
        false_alarm_rate: chance that a client who sends normal rows is ever flagged, as it was asked for.
        centres: (k, width) class means of the encoded rows.
        precision_root: (width, width) L with L Lᵀ the inverse covariance, or (width,) its diagonal.
        spread: (width,) standard deviation of each encoded column about its centre.
        far: the distance above which a row is far.
        far_rates: (k,) upper bounds (95 %) on the share of normal rows nearest to each centre that are.
        near: the distance, in encoded units, below which a row is near another.
        near_rate: upper bound (95 %) on the share of normal rows that are.
        memory_rows: how many past rows of a client the near rows were counted among.
    """

    schema_digest: str
    false_alarm_rate: float
    centres: Matrix
    precision_root: Matrix
    spread: Matrix
    far: float
    far_rates: Matrix
    near: float
    near_rate: float
    memory_rows: int

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together, and rates that are none."""
        k, width = self.centres.shape if self.centres.ndim == 2 else (0, 0)
        fits = self.precision_root.shape in ((width, width), (width,)) and self.spread.shape == (width,)
        if not (k and width and fits and self.far_rates.shape == (k,) and np.ndim(self.far) == np.ndim(self.near) == 0):
            raise UsageError("a watch profile needs centres, covariance, spreads and thresholds of matching shapes")
        arrays = (self.centres, self.precision_root, self.spread)
        numbers = np.hstack([*map(np.ravel, arrays), self.far, self.near])
        rates = np.hstack([self.far_rates, self.near_rate, self.false_alarm_rate])
        if not (np.isfinite(numbers).all() and (self.spread > 0).all() and ((rates > 0) & (rates < 1)).all()):
            raise UsageError("a watch profile needs finite numbers, positive spreads and rates between 0 and 1")
        if not isinstance(self.memory_rows, int) or not 1 <= self.memory_rows <= limits.MAX_WATCH_ROWS:
            raise UsageError(f"a watch remembers 1 to {limits.MAX_WATCH_ROWS} rows, got {self.memory_rows}")

    def distances(self, E: Matrix) -> tuple[Labels, Matrix]:
        """(rows,) the nearest centre and (rows,) the distance from it, of encoded rows."""
        return _nearest(E, self.centres, self.precision_root)

    def to_json(self) -> dict[str, Any]:
        """The profile as JSON; `from_json` is its inverse."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"format": FORMAT} | {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()
        }

    @classmethod
    def from_json(cls, document: object) -> WatchProfile:
        """Read a profile back.

        Raises:
            WireError: the document is not a profile of a format that this version knows.
        """
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            got = document.get("format") if isinstance(document, Mapping) else type(document).__name__
            raise WireError(f"expected a watch profile in the format {FORMAT}, got {got!r:.100}")
        try:
            fields: dict[str, Any] = {
                name: np.array(value, dtype=np.float64) if isinstance(value, list) else value
                for name, value in document.items()
                if name != "format"
            }
            return cls(**fields)
        except (TypeError, ValueError, AttributeError, UsageError) as error:
            raise WireError(f"the watch profile is malformed: {error}") from None


def schema_digest(schema: Schema) -> str:
    """SHA-256 of a schema's canonical JSON."""
    return digest_bytes(canonical_json(schema.to_json()))


def calibrate(held_out: Dataset, *, rng: np.random.Generator, false_alarm_rate: float = 0.001) -> WatchProfile:
    """Learn what normal traffic looks like from rows that the model was not trained on.

    Args:
        held_out: normal rows, at least 40; a few hundred make a sharper watch.
        rng: decides the folds.
        false_alarm_rate: chance, over its whole life, that a client who sends such rows in random order is flagged.

    Raises:
        DataError: too few rows.
        UsageError: the rate is not between 0 and 1.
    """
    if not 0 < false_alarm_rate < 1:
        raise UsageError(f"a false alarm rate lies between 0 and 1, got {false_alarm_rate}")
    if len(held_out) < MIN_ROWS:
        raise DataError(f"expected at least {MIN_ROWS} held-out rows to calibrate the watch, got {len(held_out)}")
    E = Encoding(held_out.schema).encode(held_out.X)
    memory_rows = min(limits.MAX_WATCH_ROWS, len(E) - 1, max(limits.MAX_WATCH_BYTES // E[0].nbytes, 1))
    centres, root, spread = _fit(E, held_out.y)
    region, _ = _nearest(E, centres, root)
    far, far_rates = _far_limit(E, held_out.y, region=region, regions=len(centres), rng=rng)
    near, near_rate = _near_limit(E, memory_rows, rng)
    return WatchProfile(
        schema_digest=schema_digest(held_out.schema),
        false_alarm_rate=false_alarm_rate,
        centres=centres,
        precision_root=root,
        spread=spread,
        far=far,
        far_rates=far_rates,
        near=near,
        near_rate=near_rate,
        memory_rows=memory_rows,
    )


def _nearest(E: Matrix, centres: Matrix, root: Matrix) -> tuple[Labels, Matrix]:
    moved, rows = (centres @ root, E @ root) if root.ndim == 2 else (centres * root, E * root)
    D = cdist(rows, moved)
    nearest = D.argmin(axis=1)
    return nearest, D[np.arange(len(E)), nearest]


def _fit(E: Matrix, y: Labels) -> tuple[Matrix, Matrix, Matrix]:
    """Centres, root of the inverse covariance, and spreads of encoded rows."""
    large = [label for label in np.unique(y) if np.sum(y == label) >= _MIN_REGION_ROWS]
    centres = np.array([E[y == label].mean(axis=0) for label in large]) if large else E.mean(axis=0, keepdims=True)
    residuals = E - centres[cdist(E, centres).argmin(axis=1)]
    variances = residuals.var(axis=0) + _SMALLEST_VARIANCE
    if E.shape[1] > limits.MAX_WATCH_WIDTH:
        return centres, 1 / np.sqrt(variances), np.sqrt(variances)
    # Shrunk towards a multiple of the identity (Ledoit and Wolf 2004), so that few rows in many columns still do.
    from sklearn.covariance import LedoitWolf  # a service that only reads a profile starts without it

    covariance = LedoitWolf(assume_centered=True).fit(residuals).covariance_
    covariance[np.diag_indices_from(covariance)] += _SMALLEST_VARIANCE
    return centres, np.linalg.cholesky(np.linalg.inv(covariance)), np.sqrt(variances)


def _far_limit(E: Matrix, y: Labels, *, region: Labels, regions: int, rng: np.random.Generator) -> tuple[float, Matrix]:
    """The far distance, and for each centre the share of normal rows beyond it, on rows left out of the fit."""
    distances = np.empty(len(E))
    for fold in np.array_split(rng.permutation(len(E)), _FOLDS):
        rest = np.setdiff1d(np.arange(len(E)), fold)
        centres, root, _ = _fit(E[rest], y[rest])
        distances[fold] = _nearest(E[fold], centres, root)[1]
    limit, rate = _upper_tail(distances, _FAR_SHARE)
    own = [distances[region == r] for r in range(regions)]
    return limit, np.array([_rate_above(d, limit) if len(d) >= _MIN_REGION_ROWS else rate for d in own])


def _near_limit(E: Matrix, memory_rows: int, rng: np.random.Generator) -> tuple[float, float]:
    """The near distance and the share of normal rows that have another so near among `memory_rows`."""
    sample = rng.permutation(len(E))[: memory_rows + 1]
    D = cdist(E, E[sample])
    D[D == 0] = np.inf  # the row itself, or one equal to it
    limit, rate = _upper_tail(-D.min(axis=1), _NEAR_SHARE)
    return (-limit, rate) if np.isfinite(limit) else (0.0, rate)


def _upper_tail(values: npt.NDArray[np.float64], share: float) -> tuple[float, float]:
    """The limit that at most this share of the values exceeds, and an upper bound on the share of future ones.

    Of few values fewer exceed it, so that the bound is no more than `_SMALLEST_RATE` if that can be.
    """
    ordered = np.sort(values)[::-1]
    exceeding = int(share * len(values))
    while exceeding and _rate_above(values, ordered[exceeding]) > _SMALLEST_RATE:
        exceeding -= 1
    return float(ordered[exceeding]), _rate_above(values, ordered[exceeding])


def _rate_above(values: npt.NDArray[np.float64], limit: float) -> float:
    """Upper bound on the share of future values above a limit: Clopper and Pearson's (1934), one-sided.

    It is at least `_SMALLEST_RATE`, and below 1 even where all values are above.
    """
    above = min(int(np.sum(values > limit)), len(values) - 1)
    return max(float(betaincinv(above + 1, len(values) - above, _RATE_CONFIDENCE)), _SMALLEST_RATE)
