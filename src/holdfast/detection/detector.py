"""A statistic with its limit: what is calibrated, kept as JSON, and used to flag queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.data import Dataset, Matrix
from holdfast.data.images import Images
from holdfast.detection.distances import NearQueries, QueryDistances
from holdfast.detection.energy import Energy
from holdfast.detection.fingerprints import Fingerprints
from holdfast.detection.limit import Limit, conformal_limit
from holdfast.detection.neighbours import Neighbours
from holdfast.detection.squeezing import Squeezing
from holdfast.detection.statistic import Answer, Statistic, windows_of
from holdfast.detection.views import PictureView, Queries, TableView, View, read_view
from holdfast.errors import DataError, UsageError, WireError

FORMAT: Final = "holdfast-detector-1"


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Flags windows of queries at a known rate of false alarms. Made by `calibrate`.

    Args:
        statistic: what is looked at.
        limit: above which it is flagged.
    """

    statistic: Statistic
    limit: Limit

    def score(self, queries: Queries) -> Matrix:
        """(n // window,) the scores of one client's successive queries; the last, unfilled window has none.

        Raises:
            DataError: the queries are not what the statistic's view is of.
        """
        return self.statistic.scores(windows_of(self.statistic.kept(queries), self.statistic.window))

    def flags(self, queries: Queries) -> npt.NDArray[np.bool_]:
        """(n // window,) which of their scores lie above the limit."""
        return self.limit.above(self.score(queries))

    def to_json(self) -> dict[str, Any]:
        """The detector as JSON, but for the model that it asks; `from_json` is its inverse."""
        return {"format": FORMAT, "statistic": self.statistic.to_json(), "limit": self.limit.to_json()}

    @classmethod
    def from_json(cls, document: object, *, model: Answer | None = None) -> Detector:
        """Read a detector back.

        Args:
            document: what `to_json` wrote.
            model: the one that the statistic asks, where it asks one: probabilities for `Squeezing`, logits for
                `Energy`.

        Raises:
            WireError: the document is no detector of a format that this version knows.
            UsageError: the statistic asks a model, and none was given.
        """
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            got = document.get("format") if isinstance(document, Mapping) else type(document).__name__
            raise WireError(f"expected a detector in the format {FORMAT}, got {got!r:.100}")
        if set(document) != {"format", "statistic", "limit"} or not isinstance(document["statistic"], Mapping):
            raise WireError("expected a detector with a statistic and a limit, got other fields")
        if model is None and (kind := document["statistic"].get("kind")) in (Squeezing.kind, Energy.kind):
            raise UsageError(
                f"a detector of the kind {kind} asks the model", hint="give it as from_json(document, model=…)"
            )
        try:
            statistic = _read_statistic(document["statistic"], model)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as error:
            raise WireError(f"the statistic of a detector is malformed: {error}") from None
        return cls(statistic=statistic, limit=Limit.from_json(document["limit"]))


def calibrate(
    statistic: Statistic, clean: Dataset | Images, *, false_alarm_rate: float, rng: np.random.Generator
) -> Detector:
    """Set a statistic's limit on clean inputs, so that a stated share of honest windows at most is flagged.

    Inputs that repeat one another count once, as they do in a `Follower`. They are cut into windows that share none,
    so each gives an independent score: a window of 8 and a rate of 1 % need 99 windows, or 792 inputs.

    Args:
        statistic: what is looked at.
        clean: inputs such as honest clients send, none of which the statistic was made of, nor the model trained on.
        false_alarm_rate: of one window, between 0 and 1; see `Limit` for what is guaranteed.
        rng: puts the inputs into windows.

    Raises:
        DataError: too few clean inputs for the rate, or not what the statistic's view is of.
        UsageError: the rate is not between 0 and 1.
    """
    queries = clean.X if isinstance(clean, Dataset) else clean.pixels
    if len(queries) == 0:
        raise DataError("expected clean inputs to calibrate a detector on, got none")
    if not _looks_like(statistic.view, clean):
        raise DataError("the clean inputs and the statistic have different schemas, or one is of pictures")
    different = {query.tobytes(): row for row, query in enumerate(queries)}  # NumPy's unique parts rows with NaN
    kept = statistic.kept(queries[rng.permutation(list(different.values()))])
    scores = statistic.scores(windows_of(kept, statistic.window))
    return Detector(statistic=statistic, limit=conformal_limit(scores, false_alarm_rate=false_alarm_rate))


def _looks_like(view: View, clean: Dataset | Images) -> bool:
    if isinstance(clean, Dataset):
        return isinstance(view, TableView) and view.schema == clean.schema
    return isinstance(view, PictureView)


def _read_statistic(fields: Mapping[str, Any], model: Answer | None) -> Statistic:
    view, kind = read_view(fields.get("view")), fields.get("kind")
    match kind:
        case NearQueries.kind:
            return NearQueries(view=view, window=fields["window"])
        case QueryDistances.kind:
            return QueryDistances.from_fields(view, fields)
        case Fingerprints.kind if isinstance(view, PictureView):
            return Fingerprints.from_fields(view, fields)
        case Neighbours.kind:
            return Neighbours.from_fields(view, fields)
        case Squeezing.kind if isinstance(view, PictureView) and model is not None:
            return Squeezing.from_fields(view, fields, model)
        case Energy.kind if model is not None:
            return Energy(view=view, logits=model)
    raise WireError(f"expected a statistic that this version knows, got {kind!r:.100}")
