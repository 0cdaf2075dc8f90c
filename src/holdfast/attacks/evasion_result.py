"""What an evasion attack found, and what it says as evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from holdfast.attacks.changed_features import ChangedFeature
from holdfast.attacks.evasion_evidence import evidence_of
from holdfast.attacks.security_curve import TOLERANCE, SecurityCurve, security_curve
from holdfast.data import Dataset, Labels, Matrix
from holdfast.data.images import Images
from holdfast.errors import PolicyError, UsageError
from holdfast.evidence import NO_MODEL, Evidence, Figure, is_finite_number
from holdfast.intervals import proportion
from holdfast.telling import Telling


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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EvasionResult(Telling):
    """What the changes that a threat allows did to a model's decisions; rows are records or pictures.

    Args:
        threat: what was allowed.
        within: the same in words, to follow "stay so": "when every pixel may move by 8/255".
        method: how the changes were found.
        exact: whether nothing within the threat was missed, so that the figures are of the model and not of the attack.
        black_box: whether the model was only asked; weights and gradients were not used.
        source_class: the only class attacked, or None for all.
        rows: (n,) positions of the attacked rows in the data.
        correct: (n,) whether the model was right before.
        evaded: (n,) whether a right decision was flipped within the budget; checked by asking the model again.
        distance: (n,) smallest known distance that flips the decision, in the threat's unit: 0 where the model was
            wrong already, infinite where none is known. For exact attacks also beyond the budget.
        queries: (n,) rows asked for each row; 0 where the weights were read instead.
        adversarial: (n, …) the changed rows; the row itself where not evaded.
        said: (n,) positions of the classes that the model gives to these.
        cost: (n,) what the changes of each row cost; None where changes have no price.
        changed: the features that were changed in most of the flipped rows; none for pictures.
        accuracy, robust_accuracy, attack_success: shares with intervals; the last among the rows that were right.
        auc, mcc, robust_mcc: before and after, None where there is one class only or (auc) more than two.
        curve: robust accuracy over budgets.
        unreliable: why the figures may say too much for the model; empty where no check found a reason.
        void: those of these reasons for which nothing was measured in earnest, such as answers that are all the same.
            `gate` and the policy refuse such a result; any other reason is only shown, since the figures still bound.
        caveats: what else a reader should know.
    """

    threat: Threat
    within: str
    method: str
    exact: bool
    black_box: bool
    source_class: str | None
    rows: Labels
    correct: npt.NDArray[np.bool_]
    evaded: npt.NDArray[np.bool_]
    distance: Matrix
    queries: Labels
    adversarial: npt.NDArray[Any]
    said: Labels
    cost: Matrix | None
    changed: tuple[ChangedFeature, ...]
    accuracy: Figure
    robust_accuracy: Figure
    attack_success: Figure | None
    auc: float | None
    mcc: float | None
    robust_mcc: float | None
    curve: SecurityCurve
    unreliable: tuple[str, ...]
    void: tuple[str, ...]
    caveats: tuple[str, ...]

    @property
    def robust(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the model was right and stayed right."""
        return self.correct & ~self.evaded

    @property
    def things(self) -> Literal["rows", "pictures"]:
        """What was attacked, in a word."""
        return "pictures" if self.adversarial.ndim > 2 else "rows"

    def gate(self, *, min_robust_accuracy: float) -> None:
        """Let pass only a model that is robust enough; for CI.

        Args:
            min_robust_accuracy: 0 to 1; the measured share is judged, as a policy judges it.

        Raises:
            UsageError: a share that is none.
            PolicyError: fewer rows are answered rightly under attack, or nothing was measured in earnest (`void`).
        """
        if not is_finite_number(min_robust_accuracy) or not 0 <= min_robust_accuracy <= 1:
            raise UsageError(f"min_robust_accuracy is a share from 0 to 1, got {min_robust_accuracy!r}")
        if self.void:
            raise PolicyError(
                f"expected a robust accuracy measured in earnest, got none: {self.void[0]}",
                hint="mend what the reason names, and attack again",
            )
        found = self.robust_accuracy.value
        if found < min_robust_accuracy:
            raise PolicyError(
                f"expected a robust accuracy of at least {min_robust_accuracy:g}, got {found:.4g} {self.within}",
                hint="harden the model, or ask for less if the threat allows it",
            )

    def to_html(self, model_digest: str = NO_MODEL, *, originals: Images | Dataset | None = None) -> str:
        """The result as one self-contained HTML page.

        Args:
            model_digest: of the model.
            originals: the data that was attacked. Handed over, a few of its flipped inputs are shown before and after;
                left out, the page shows no record of it, so that it can go to people who may not see any.

        Raises:
            UsageError, DataError: other originals than were attacked.
        """
        from holdfast.attacks.evasion_examples import examples_of
        from holdfast.drawing.evidence_page import evidence_page  # templates are loaded for those who want a page

        examples = [] if originals is None else [examples_of(self, originals, heading="Before and after")]
        return evidence_page(self.to_evidence(model_digest), examples=examples)

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        return evidence_of(self, model_digest)


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
    cost: Matrix | None = None,
    changed: tuple[ChangedFeature, ...] = (),
    rows: Labels | None = None,
    source_class: str | None = None,
    unreliable: tuple[str, ...] = (),
    void: tuple[str, ...] = (),
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
        cost: likewise.
        changed: likewise.
        rows: (n,) positions in the data; 0 … n - 1 unless given.
        source_class: likewise.
        unreliable: the reasons that are only shown; those of `void` join them.
        void: likewise.
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
        source_class=source_class,
        rows=np.arange(len(y), dtype=np.int64) if rows is None else rows,
        correct=correct,
        evaded=evaded,
        distance=distance,
        queries=queries,
        adversarial=adversarial,
        said=after,
        cost=cost,
        changed=changed,
        accuracy=proportion(right, len(y)),
        robust_accuracy=proportion(int(robust.sum()), len(y), bound="estimate" if exact else "upper"),
        attack_success=proportion(int(evaded.sum()), right, bound="estimate" if exact else "lower") if right else None,
        auc=_auc(y, before),
        mcc=_mcc(y, before.argmax(axis=1)),
        robust_mcc=_mcc(y, after),
        curve=security_curve(correct, distance, threat.budget, exact=exact),
        unreliable=(*void, *unreliable),
        void=void,
        caveats=caveats,
    )


def _auc(y: Labels, P: Matrix) -> float | None:
    if P.shape[1] != 2 or len(np.unique(y)) < 2:
        return None
    return float(roc_auc_score(y, P[:, 1] - P[:, 0]))


def _mcc(y: Labels, labels: Labels) -> float | None:
    return float(matthews_corrcoef(y, labels)) if len(np.unique(y)) > 1 else None
