"""How well a detector does on clean inputs and on attacks: measured, with intervals, never promised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.data import Matrix
from holdfast.detection.detector import Detector
from holdfast.detection.limit import Limit
from holdfast.detection.views import Queries
from holdfast.errors import DataError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.telling import Telling

_CAVEATS: Final = (
    "It holds for the attacks that were tried; one that knows the detector, spreads its queries over accounts or mixes "
    "them with honest ones may stay below its limit.",
    "The bound on false alarms needs honest queries to come like the clean inputs that the limit was set on.",
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DetectionTrial(Telling):
    """What a detector flagged.

    Args:
        kind: of the statistic.
        window: queries that one score is made of.
        limit: that it was flagged by.
        clean: (n,) scores of clean windows, other ones than the limit was set on.
        attack: (m,) scores of windows of an attack.
    """

    kind: str
    window: int
    limit: Limit
    clean: Matrix
    attack: Matrix

    @property
    def false_alarm_rate(self) -> Figure:
        """The share of clean windows that were flagged."""
        return proportion(int(self.limit.above(self.clean).sum()), len(self.clean))

    @property
    def detection_rate(self) -> Figure:
        """The share of the attack's windows that were flagged; an upper bound on that of the best attacker."""
        return proportion(int(self.limit.above(self.attack).sum()), len(self.attack), bound="upper")

    @property
    def auc(self) -> float:
        """The probability that a window of the attack scores above a clean one: 0.5 says nothing, 1 tells all apart."""
        from sklearn.metrics import roc_auc_score  # a service that follows clients starts without it

        truth = np.repeat([0, 1], [len(self.clean), len(self.attack)])
        return float(roc_auc_score(truth, np.concatenate([self.clean, self.attack])))

    def to_evidence(self, model_digest: str) -> Evidence:
        """The trial as evidence about the model of this digest, which the detector stands before."""
        share, false = self.detection_rate.value, self.false_alarm_rate.value
        return Evidence(
            kind="query-detection",
            subject=model_digest,
            subject_kind="model",
            title=f"{share:.0%} of the attack's windows are flagged, and {false:.1%} of clean ones",
            figures={
                "detection_rate": self.detection_rate,
                "false_alarm_rate": self.false_alarm_rate,
                "false_alarm_rate_bound": self.limit.to_figure(),
                "auc": Figure(value=self.auc),
                "window": Figure(value=self.window, unit="queries"),
            },
            context={
                "statistic": self.kind,
                "limit": self.limit.to_json(),
                "clean_scores": self.clean.tolist(),
                "attack_scores": self.attack.tolist(),
            },
            references=(
                "MITRE ATLAS AML.M0015 Adversarial Input Detection",
                "NIST AI 100-2e2025, mitigations of query-based attacks",
                "EU AI Act Article 15(5)",
            ),
            caveats=_CAVEATS,
        )


def try_detector(detector: Detector, *, clean: Queries, attack: Queries) -> DetectionTrial:
    """Score fresh clean queries and those of an attack.

    Args:
        detector: what to try.
        clean: (n, …) clean queries in random order, none of which the detector was made of or calibrated on.
        attack: (m, …) an attacker's queries in the order in which they were asked.

    Raises:
        DataError: not enough of either for one window, or not what the detector's view is of.
    """
    scores = {name: detector.score(queries) for name, queries in (("clean", clean), ("attack", attack))}
    for name, found in scores.items():
        if len(found) == 0:
            raise DataError(f"expected at least {detector.statistic.window} {name} queries for one window, got fewer")
    statistic = detector.statistic
    return DetectionTrial(kind=statistic.kind, window=statistic.window, limit=detector.limit, **scores)
