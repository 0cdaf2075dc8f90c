"""What an evasion attack found, and what it says as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from holdfast.attacks import references
from holdfast.attacks.security_curve import TOLERANCE, SecurityCurve, security_curve
from holdfast.attacks.telling import Telling
from holdfast.data import Labels, Matrix
from holdfast.errors import PolicyError, UsageError
from holdfast.evidence import Evidence, Figure, is_finite_number
from holdfast.intervals import proportion


class Threat(Protocol):
    """What someone may change, as a value."""

    @property
    def budget(self) -> float:
        """How far; distances are compared with it."""
        ...

    @property
    def unit(self) -> str:
        """Of the budget and of distances: "of range", "Linf"."""
        ...

    def to_json(self) -> dict[str, Any]:
        """The threat as JSON."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class EvasionResult(Telling):
    """What the changes that a threat allows did to a model's decisions; rows are records or pictures.

    Args:
        threat: what was allowed.
        within: the same in words, to follow "stay so": "when every pixel may move by 8/255".
        method: how the changes were found.
        exact: whether nothing within the threat was missed, so that the figures are of the model and not of the attack.
        black_box: whether the model was only asked; weights and gradients were not used.
        from_class: the only class attacked, or None for all.
        rows: (n,) positions of the attacked rows in the data.
        correct: (n,) whether the model was right before.
        evaded: (n,) whether a right decision was flipped within the budget; checked by asking the model again.
        distance: (n,) smallest known distance that flips the decision, in the threat's unit: 0 where the model was
            wrong already, infinite where none is known. For exact attacks also beyond the budget.
        queries: (n,) rows asked for each row; 0 where the weights were read instead.
        adversarial: (n, …) the changed rows; the row itself where not evaded.
        accuracy, robust_accuracy, attack_success: shares with intervals; the last among the rows that were right.
        auc, mcc, robust_mcc: before and after, None where there is one class only or (auc) more than two.
        curve: robust accuracy over budgets.
        unreliable: why the figures may say too much for the model; empty where no check found a reason.
        caveats: what else a reader should know.
    """

    threat: Threat
    within: str
    method: str
    exact: bool
    black_box: bool
    from_class: str | None
    rows: Labels
    correct: npt.NDArray[np.bool_]
    evaded: npt.NDArray[np.bool_]
    distance: Matrix
    queries: Labels
    adversarial: npt.NDArray[Any]
    accuracy: Figure
    robust_accuracy: Figure
    attack_success: Figure | None
    auc: float | None
    mcc: float | None
    robust_mcc: float | None
    curve: SecurityCurve
    unreliable: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def robust(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the model was right and stayed right."""
        return self.correct & ~self.evaded

    def gate(self, *, min_robust_accuracy: float) -> None:
        """Let pass only a model that is robust enough; for CI.

        Args:
            min_robust_accuracy: 0 to 1; the measured share is judged, as a policy judges it.

        Raises:
            UsageError: a share that is none.
            PolicyError: fewer rows are answered rightly under attack.
        """
        if not is_finite_number(min_robust_accuracy) or not 0 <= min_robust_accuracy <= 1:
            raise UsageError(f"min_robust_accuracy is a share from 0 to 1, got {min_robust_accuracy!r}")
        found = self.robust_accuracy.value
        if found < min_robust_accuracy:
            raise PolicyError(
                f"expected a robust accuracy of at least {min_robust_accuracy:g}, got {found:.4g} {self.within}",
                hint="harden the model, or ask for less if the threat allows it",
            )

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
                "method": self.method,
                "from_class": self.from_class,
                "distance_censored_at": limit,
                "unreliable": list(self.unreliable),
                "curve": {
                    "budgets": self.curve.budgets.tolist(),
                    "robust_accuracy": self.curve.robust_accuracy.tolist(),
                },
            },
            references=references.BLACK_BOX_EVASION if self.black_box else references.EVASION,
            caveats=(*(f"This result may be unreliable: {why}." for why in self.unreliable), *self.caveats),
        )


def evasion_result(
    *,
    threat: Threat,
    within: str,
    method: str,
    exact: bool,
    black_box: bool,
    y: Labels,
    before: Matrix,
    after: Labels,
    distance: Matrix,
    queries: Labels,
    adversarial: npt.NDArray[Any],
    rows: Labels | None = None,
    from_class: str | None = None,
    unreliable: tuple[str, ...] = (),
    caveats: tuple[str, ...] = (),
) -> EvasionResult:
    """Count what the model says before and after; only a decision that is seen to change counts as evaded.

    Args:
        threat: see `EvasionResult`, as for all that are not explained here.
        within: likewise.
        method: likewise.
        exact: likewise.
        black_box: likewise.
        y: (n,) the true classes.
        before: (n, classes) what the model gives for the rows, as probabilities or scores.
        after: (n,) what it says of the changed rows, asked again.
        distance: (n,) of the flipping changes that are known, in the threat's unit; infinite where there is none.
        queries: likewise.
        adversarial: likewise.
        rows: (n,) positions in the data; 0 … n - 1 unless given.
        from_class: likewise.
        unreliable: likewise.
        caveats: likewise.
    """
    correct = before.argmax(axis=1) == y
    evaded = correct & (after != y)
    distance = np.where(evaded | (distance > threat.budget + TOLERANCE), distance, np.inf)
    distance[~correct] = 0.0
    robust, right = correct & ~evaded, int(correct.sum())
    return EvasionResult(
        threat=threat,
        within=within,
        method=method,
        exact=exact,
        black_box=black_box,
        from_class=from_class,
        rows=np.arange(len(y), dtype=np.int64) if rows is None else rows,
        correct=correct,
        evaded=evaded,
        distance=distance,
        queries=queries,
        adversarial=adversarial,
        accuracy=proportion(right, len(y)),
        robust_accuracy=proportion(int(robust.sum()), len(y), bound="estimate" if exact else "upper"),
        attack_success=proportion(int(evaded.sum()), right) if right else None,
        auc=_auc(y, before),
        mcc=_mcc(y, before.argmax(axis=1)),
        robust_mcc=_mcc(y, after),
        curve=security_curve(correct, distance, threat.budget, exact=exact),
        unreliable=unreliable,
        caveats=caveats,
    )


def _title(result: EvasionResult) -> str:
    share = f"{result.robust_accuracy.value:.1%}" if result.exact else f"At most {result.robust_accuracy.value:.1%}"
    rows = "rows" if result.from_class is None else f"rows of the class {result.from_class}"
    return f"{share} of {rows} are answered rightly and stay so {result.within}"


def _figures(result: EvasionResult) -> dict[str, Figure]:
    unit, flipped = result.threat.unit, result.distance[result.evaded]
    figures = {
        "robust_accuracy": result.robust_accuracy,
        "clean_accuracy": result.accuracy,
        "budget": Figure(value=result.threat.budget, unit=unit),
        "rows": Figure(value=len(result.rows), unit="rows"),
        "queries_per_row": Figure(value=float(result.queries.mean()), unit="queries"),
    }
    if result.attack_success is not None:
        figures["attack_success"] = result.attack_success
    if len(flipped):
        figures["median_distance"] = Figure(value=float(np.median(flipped)), unit=unit)
        figures["smallest_distance"] = Figure(value=float(flipped.min()), unit=unit)
    for name in ("auc", "mcc", "robust_mcc"):
        if (value := getattr(result, name)) is not None:
            figures[name] = Figure(value=value)
    return figures


def _auc(y: Labels, P: Matrix) -> float | None:
    if P.shape[1] != 2 or len(np.unique(y)) < 2:
        return None
    return float(roc_auc_score(y, P[:, 1] - P[:, 0]))


def _mcc(y: Labels, labels: Labels) -> float | None:
    return float(matthews_corrcoef(y, labels)) if len(np.unique(y)) > 1 else None
