"""Whose data stands out: the members that a model gives away most, and how sure one can be of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from holdfast.attacks import references
from holdfast.attacks.privacy.membership_result import MembershipResult
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.telling import Telling

FALSE_SHARE: Final = 0.05
"""Expected share of false alarms among the members that are called exposed."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RiskList(Telling):
    """Members by how much the model gives them away, the worst first.

    Args:
        rows: (count,) positions among the members.
        scores: (count,) of the attack.
        p_values: (count,) the chance that a record which was not trained on scores as high.
        q_values: (count,) the same, corrected for having looked at every member: of all members down to this one, at
            most this share is expected to be there by chance.
        members: how many were looked at.
        non_members: how many the p-values rest on; none can lie below 1 / (non_members + 1).
        exposed: members whose q-value is at most 5 %, listed or not.
        attack: its name.
        unit: of the scores.
    """

    rows: Labels
    scores: Matrix
    p_values: Matrix
    q_values: Matrix
    members: int
    non_members: int
    exposed: int
    attack: str
    unit: str

    @property
    def note(self) -> str:
        """How far the list can be believed, in plain words."""
        if self.exposed:
            surest = f"{self.exposed} of {self.members} members are told from outsiders; about {FALSE_SHARE:.0%} of "
            return surest + "these are expected to be there by chance."
        return (
            f"No member is told from outsiders: of {self.members}, some score so high by chance alone. With "
            f"{self.non_members} outsiders to compare with, no p-value can be below {1 / (self.non_members + 1):.2g}."
        )

    def to_frame(self, members: Dataset) -> pd.DataFrame:
        """The list beside the records themselves, for those who may see them.

        Args:
            members: the data set that the attack was given.
        """
        if len(members) != self.members:
            raise DataError(f"expected the {self.members} members that were attacked, got {len(members)}")
        records = members.take(self.rows).to_frame()
        told = pd.DataFrame(
            {"row": self.rows, "score": self.scores, "p_value": self.p_values, "q_value": self.q_values}
        )
        return pd.concat([told, records], axis=1)

    def to_evidence(self, model_digest: str) -> Evidence:
        """The list as evidence about the model with this digest. It names positions, no values of a record."""
        return Evidence(
            kind="membership-risk",
            subject=model_digest,
            subject_kind="model",
            title=self.note,
            figures={
                "exposed_members": Figure(value=self.exposed, unit="records", bound="lower"),
                "members": Figure(value=self.members, unit="records"),
            },
            samples={
                "row": self.rows.tolist(),
                "score": self.scores.tolist(),
                "p_value": self.p_values.tolist(),
                "q_value": self.q_values.tolist(),
            },
            context={"attack": self.attack, "non_members": self.non_members, "false_share": FALSE_SHARE},
            references=references.MEMBERSHIP,
            caveats=(
                "It holds for this one trained model; trained again, other records may stand out.",
                "A record that is not listed is not safe: a better attack may find it.",
                "P-values rest on the non-members being of the same population as the members.",
            ),
        )


def risk_list(result: MembershipResult, *, count: int = 10) -> RiskList:
    """The members whose scores are least like those of non-members.

    The p-value of a member is its rank among the non-members (conformal: exact whatever the attack, as long as both
    are of one population). Testing every member finds some by chance, so q-values follow (Benjamini and Hochberg 1995;
    valid for conformal p-values, Bates et al. 2023, Annals of Statistics 51:149, theorem 2).

    Args:
        result: of any attack; members first, as `prepare_membership` has them.
        count: members to list, at least 1.
    """
    if count < 1:
        raise UsageError(f"expected 1 or more members to list, got {count}")
    ins, outs = result.scores[result.member], np.sort(result.scores[~result.member])
    above = len(outs) - np.searchsorted(outs, ins, side="left")
    p_values = (1 + above) / (1 + len(outs))
    q_values = false_discovery_control(p_values, method="bh")
    rows = np.argsort(-ins, kind="stable")[:count]
    return RiskList(
        rows=rows,
        scores=ins[rows],
        p_values=p_values[rows],
        q_values=q_values[rows],
        members=len(ins),
        non_members=len(outs),
        exposed=int((q_values <= FALSE_SHARE).sum()),
        attack=result.attack,
        unit=result.unit,
    )
