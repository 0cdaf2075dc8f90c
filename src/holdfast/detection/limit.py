"""The limit of a score, set on clean scores so that few honest ones lie above it, for any distribution of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from holdfast.data import Matrix
from holdfast.errors import DataError, UsageError, WireError
from holdfast.evidence import Figure, is_finite_number

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Above which a score is flagged, and what is known of how often honest ones are.

    Args:
        value: the limit.
        false_alarm_rate: what was asked for. The chance that an honest score lies above the limit, over the drawing of
            the clean scores and of that one, is at most this (split conformal prediction: Papadopoulos et al. 2002;
            Vovk et al. 2005); it needs the scores to be exchangeable, and nothing else.
        scores: clean scores that the limit was set on.
        exceeding: how many of them lie above it, at most.
    """

    value: float
    false_alarm_rate: float
    scores: int
    exceeding: int

    def __post_init__(self) -> None:
        """Refuse numbers that no calibration gives."""
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (self.scores, self.exceeding))
        if not (is_finite_number(self.value) and is_finite_number(self.false_alarm_rate) and whole):
            raise UsageError("a limit needs a finite value and rate, and whole numbers of scores")
        if not 0 < self.false_alarm_rate < 1 or not 0 <= self.exceeding < self.scores:
            raise UsageError(
                f"a limit needs a rate between 0 and 1 and fewer scores above it than there are, got "
                f"{self.false_alarm_rate} and {self.exceeding} of {self.scores}"
            )

    @property
    def rate_bound(self) -> float:
        """Upper bound (95 %) on the rate of false alarms of this very limit, as long as it is used.

        The rate beyond the k-th largest of n scores has the distribution Beta(k, n + 1 - k), or less with ties, whose
        quantile is also the one-sided bound of Clopper and Pearson (1934) for k - 1 in n; no correction is due for the
        limit having been set on the same scores.
        """
        return float(betaincinv(self.exceeding + 1, self.scores - self.exceeding, _CONFIDENCE))

    def to_figure(self) -> Figure:
        """The rate of false alarms as a figure: an upper bound with its confidence."""
        bound = self.rate_bound
        return Figure(value=bound, low=0.0, high=bound, confidence=_CONFIDENCE, bound="upper")

    def above(self, scores: Matrix) -> npt.NDArray[np.bool_]:
        """(n,) which scores are flagged."""
        return scores > self.value

    def to_json(self) -> dict[str, Any]:
        """The limit as JSON; `from_json` is its inverse."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, document: object) -> Limit:
        """Read a limit back.

        Raises:
            WireError: the document is none.
        """
        if not isinstance(document, Mapping):
            raise WireError(f"expected a detector's limit, got {type(document).__name__}")
        try:
            return cls(**document)
        except (TypeError, UsageError) as error:
            raise WireError(f"the limit of a detector is malformed: {error}") from None


def conformal_limit(scores: Matrix, *, false_alarm_rate: float) -> Limit:
    """The lowest limit that keeps a rate of false alarms, whatever the distribution of the scores.

    With n scores it is the k-th largest, k = ⌊(n + 1) · rate⌋.

    Args:
        scores: (n,) of clean inputs that had no part in making the statistic.
        false_alarm_rate: between 0 and 1.

    Raises:
        UsageError: the rate is not between 0 and 1.
        DataError: too few scores for the rate, or one that is not finite.
    """
    if not 0 < false_alarm_rate < 1:
        raise UsageError(f"a false alarm rate lies between 0 and 1, got {false_alarm_rate}")
    if not np.isfinite(scores).all():
        raise DataError("expected finite scores of clean inputs to calibrate on, got others")
    # The nudge makes 0.01 of 99 + 1 scores one score, which floating point may put just below.
    rank = math.floor((len(scores) + 1) * false_alarm_rate + 1e-9)
    if rank < 1:
        needed = math.ceil(1 / false_alarm_rate - 1e-9) - 1
        raise DataError(
            f"a false alarm rate of {false_alarm_rate:g} needs at least {needed} clean scores, got {len(scores)}",
            hint="give more clean inputs, allow more false alarms, or compare fewer queries at a time",
        )
    return Limit(
        value=float(np.sort(scores)[-rank]),
        false_alarm_rate=false_alarm_rate,
        scores=len(scores),
        exceeding=rank - 1,
    )
