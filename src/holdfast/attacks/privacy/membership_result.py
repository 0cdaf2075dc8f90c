"""What an attack on membership found, and what it says as evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from holdfast.attacks import references
from holdfast.attacks.privacy.shadows import Flags
from holdfast.attacks.stats import auc, difference, tpr_at_fpr, worst_difference
from holdfast.data import Labels, Matrix
from holdfast.evidence import Evidence, Figure
from holdfast.rounding import share
from holdfast.telling import Telling


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MembershipResult(Telling):
    """How well membership could be told.

    Args:
        attack: its name.
        unit: of the scores.
        scores: (members + non-members,) what the attack says of each record; the higher, the more like a member.
        member: (members + non-members,) whether the record was one.
        threshold: the score above which the attack says member, fixed before it saw the target.
        n_shadows: shadow models it was helped by.
        shared: non-members that repeat a member.
        advantage: TPR - FPR at that threshold, hence without selection.
        auc: chance that a member scores above a non-member.
        tpr_at_1pct_fpr, tpr_at_01pct_fpr: share of members found at 1 % and 0.1 % false positives.
        worst_advantage: TPR - FPR at the best threshold in hindsight; flatters the attacker.

    All but the last are lower bounds on what an attacker can do: there may be better attacks.
    """

    attack: str
    unit: str
    scores: Matrix
    member: Flags
    threshold: float
    n_shadows: int
    advantage: Figure
    auc: Figure
    tpr_at_1pct_fpr: Figure
    tpr_at_01pct_fpr: Figure
    worst_advantage: Figure
    shared: int = 0

    def riskiest(self, count: int = 10) -> Labels:
        """(count,) positions of the members that give themselves away most, the worst first."""
        members = np.flatnonzero(self.member)
        return members[np.argsort(-self.scores[members], kind="stable")[:count]]

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        members = int(self.member.sum())
        return Evidence(
            kind="membership-inference",
            subject=model_digest,
            subject_kind="model",
            title=self._title(),
            figures={
                "advantage": self.advantage,
                "auc": self.auc,
                "tpr_at_1pct_fpr": self.tpr_at_1pct_fpr,
                "tpr_at_01pct_fpr": self.tpr_at_01pct_fpr,
                "worst_advantage": self.worst_advantage,
                "max_score": Figure(value=float(self.scores[self.member].max()), unit=self.unit),
            },
            samples={"score": self.scores.tolist(), "member": self.member.tolist()},
            context={
                "attack": self.attack,
                "threshold": self.threshold,
                "n_shadows": self.n_shadows,
                "members": members,
                "non_members": len(self.member) - members,
                "riskiest_members": self.riskiest().tolist(),
            },
            references=references.MEMBERSHIP,
            caveats=(
                "An attack shows what can be inferred at least; a better attack may infer more.",
                "The worst advantage takes the best threshold in hindsight and so flatters the attacker.",
                "Shadow models were trained on the records, so no privacy guarantee covers these figures.",
                *self._blurred(),
            ),
        )

    def _blurred(self) -> tuple[str, ...]:
        if not self.shared:
            return ()
        outs = len(self.member) - int(self.member.sum())
        return (f"{self.shared:,} of the {outs:,} non-members repeat a member, which no attack can tell apart.",)

    def _title(self) -> str:
        measured = f"an advantage of {share(self.advantage.value, bound=self.advantage.bound)}"
        if self.advantage.low is not None and self.advantage.low > 0:
            return f"Someone who guesses membership of a record by {self.attack} does better than chance: {measured}"
        return f"{self.attack} was not seen to guess membership of a record better than chance: {measured}"


def membership_result(
    scores: Matrix, member: Flags, *, attack: str, unit: str, threshold: float, n_shadows: int, shared: int = 0
) -> MembershipResult:
    """Count what the scores give away."""
    ins, outs = scores[member], scores[~member]
    return MembershipResult(
        attack=attack,
        unit=unit,
        scores=scores,
        member=member,
        threshold=threshold,
        n_shadows=n_shadows,
        shared=shared,
        advantage=difference(ins > threshold, outs > threshold, bound="lower"),
        auc=auc(ins, outs, bound="lower"),
        tpr_at_1pct_fpr=tpr_at_fpr(ins, outs, fpr=0.01, bound="lower"),
        tpr_at_01pct_fpr=tpr_at_fpr(ins, outs, fpr=0.001, bound="lower"),
        worst_advantage=Figure(value=worst_difference(ins, outs)),
    )
