"""What an evasion attack found, and what it says as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks import references
from holdfast.attacks.threat import FeasibleChange
from holdfast.data import Labels, Matrix
from holdfast.evidence import Evidence, Figure

_CURVE_POINTS: Final = 41
_CURVE_REACH: Final = 4.0
"""The security curve of an exact attack goes on to this many times the budget."""
TOLERANCE: Final = 1e-9
"""Shares of a range that are one for floating point."""


@dataclass(frozen=True, eq=False)
class SecurityCurve:
    """Robust accuracy by budget (share of the range), both (points,)."""

    budgets: Matrix
    robust_accuracy: Matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class EvasionResult:
    """What feasible changes did to a model's decisions.

    Args:
        threat: what was allowed.
        unmoved: changeable whole numbers that stayed as they are, because one step is more than the budget.
        from_class: the only class attacked, or None for all.
        exact: whether nothing within the threat was missed, so that the figures are of the model and not of the attack.
        rows: (n,) positions of the attacked rows in the data.
        correct: (n,) whether the model was right before.
        evaded: (n,) whether a right decision was flipped within the budget; checked by asking the model again.
        distance: (n,) smallest known share of the range that flips the decision: 0 where the model was wrong already or
            a switch of categories is enough, infinite where none is known. For exact attacks also beyond the budget.
        queries: (n,) rows asked for each row; 0 where the weights were read instead.
        adversarial: (n, features) the changed rows; the row itself where not evaded.
        accuracy, robust_accuracy, attack_success: shares with intervals; the last among the rows that were right.
        auc, mcc, robust_mcc: before and after, None where there is one class only or (auc) more than two.
        curve: robust accuracy over budgets.
    """

    threat: FeasibleChange
    unmoved: tuple[str, ...]
    from_class: str | None
    exact: bool
    rows: Labels
    correct: npt.NDArray[np.bool_]
    evaded: npt.NDArray[np.bool_]
    distance: Matrix
    queries: Labels
    adversarial: Matrix
    accuracy: Figure
    robust_accuracy: Figure
    attack_success: Figure | None
    auc: float | None
    mcc: float | None
    robust_mcc: float | None
    curve: SecurityCurve

    @property
    def robust(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the model was right and stayed right."""
        return self.correct & ~self.evaded

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        limit = float(self.curve.budgets[-1])
        return Evidence(
            kind="evasion",
            subject=model_digest,
            subject_kind="model",
            title=_title(self),
            figures=_figures(self),
            samples={
                "row": self.rows.tolist(),
                "correct": self.correct.tolist(),
                "evaded": self.evaded.tolist(),
                "distance": np.minimum(self.distance, limit).tolist(),
                "queries": self.queries.tolist(),
            },
            context={
                "threat": self.threat.to_json(),
                "method": "exact (linear program)" if self.exact else "black-box search",
                "from_class": self.from_class,
                "distance_censored_at": limit,
                "curve": {
                    "budgets": self.curve.budgets.tolist(),
                    "robust_accuracy": self.curve.robust_accuracy.tolist(),
                },
            },
            references=references.EVASION if self.exact else references.BLACK_BOX_EVASION,
            caveats=_caveats(self),
        )


def security_curve(correct: npt.NDArray[np.bool_], distance: Matrix, budget: float, *, exact: bool) -> SecurityCurve:
    """The share of rows that are right and stay right at each budget; a search knows nothing beyond its own."""
    budgets = np.linspace(0.0, min(1.0, _CURVE_REACH * budget) if exact else budget, _CURVE_POINTS)
    robust = correct[:, None] & (distance[:, None] > budgets + TOLERANCE)
    return SecurityCurve(budgets, robust.mean(axis=0))


def _title(result: EvasionResult) -> str:
    share = f"{result.robust_accuracy.value:.1%}"
    but = f", but for {len(result.unmoved)} whole numbers too coarse to move" if result.unmoved else ""
    within = f"when every changeable feature may move by {result.threat.budget:.3g} of its range{but}"
    if result.exact:
        return f"{share} of rows are answered rightly and stay so {within}"
    return f"At most {share} of rows are answered rightly and stay so {within}"


def _figures(result: EvasionResult) -> dict[str, Figure]:
    flipped = result.distance[result.evaded]
    figures = {
        "robust_accuracy": result.robust_accuracy,
        "clean_accuracy": result.accuracy,
        "budget": Figure(value=result.threat.budget, unit="of range"),
        "rows": Figure(value=len(result.rows), unit="rows"),
        "queries_per_row": Figure(value=float(result.queries.mean()), unit="queries"),
    }
    if result.attack_success is not None:
        figures["attack_success"] = result.attack_success
    if len(flipped):
        figures["median_distance"] = Figure(value=float(np.median(flipped)), unit="of range")
        figures["smallest_distance"] = Figure(value=float(flipped.min()), unit="of range")
    for name in ("auc", "mcc", "robust_mcc"):
        if (value := getattr(result, name)) is not None:
            figures[name] = Figure(value=value)
    return figures


def _caveats(result: EvasionResult) -> tuple[str, ...]:
    caveats = [
        "It holds for the rows tested, and for changes within the ranges, relations and mutability of the schema."
    ]
    if result.exact:
        caveats.append("Flips that would need a score to change by less than rounding are counted as robust.")
    else:
        caveats.append("The search may miss flips that exist, so the true robust accuracy may be lower.")
    if result.unmoved:
        caveats.append(
            f"{len(result.unmoved)} changeable whole numbers stayed as they are, because one step is more than the "
            f"budget: {', '.join(result.unmoved[:10])}. Declare codes as categories, or allow a larger budget."
        )
    if result.threat.max_category_changes:
        caveats.append("A distance counts numeric features only; a flip by categories alone has distance 0.")
    return tuple(caveats)
