"""What a verification found, and what it says as evidence about the suspect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from holdfast.arguments import is_number
from holdfast.errors import UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.telling import Telling

Method = Literal["watermark", "fingerprint"]

_CAVEATS: Final[dict[Method, tuple[str, ...]]] = {
    "watermark": (
        "The p-value holds for a model made without the secret, whatever it is; it says nothing of how the secret was "
        "come by.",
        "The commitment has to be older than the suspect: with its answers at hand an owner can try secrets, and among "
        "n of them one with a p-value of 1 in n is to be expected.",
    ),
    "fingerprint": (
        "The p-value holds if records and seed of the owner's model were drawn at random and in secret, and its twins "
        "made in the same way; for a split or a seed that others know it proves nothing.",
        "The commitment has to be older than the suspect; otherwise its inputs may have been chosen by its answers.",
    ),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class OwnershipResult(Telling):
    """How a suspect answered the secret queries.

    Args:
        method: of the proof.
        commitment: what was published before.
        queries: asked; matches: answered as the copy of the owner's model would.
        p_value: the probability of as many matches, or more, in a model that is none.
        alpha: the claim is made where the p-value is no larger, so at most this share of such models is claimed.
        null: what the p-value takes for granted of a model that is no copy, in words.
    """

    method: Method
    commitment: str
    queries: int
    matches: int
    p_value: float
    alpha: float
    null: str

    def __post_init__(self) -> None:
        """Refuse counts and probabilities that are none."""
        check_level(self.alpha)
        if not 0 <= self.matches <= self.queries or not 0 <= self.p_value <= 1:
            raise UsageError(
                f"expected matches within the queries and a probability, got {self.matches} of {self.queries} "
                f"and {self.p_value}"
            )

    @property
    def claimed(self) -> bool:
        """Whether the suspect is claimed to be a copy."""
        return self.p_value <= self.alpha

    def to_evidence(self, suspect_digest: str) -> Evidence:
        """The result as evidence about the suspect, by whatever digest it is known."""
        counted = f"{self.matches} of {self.queries} secret queries"
        if self.claimed:
            title = f"The model is a copy: it answers {counted} like the original (p = {self.p_value:.2g})"
        else:
            title = f"No claim: the model answers {counted} like the original (p = {self.p_value:.2g})"
        return Evidence(
            kind="ownership",
            subject=suspect_digest,
            subject_kind="model",
            title=title,
            figures={
                "p_value": Figure(value=self.p_value, bound="upper"),
                "match_rate": proportion(self.matches, self.queries),
                "queries": Figure(value=self.queries, unit="queries"),
                "false_claim_rate_bound": Figure(value=self.alpha, bound="upper"),
            },
            context={
                "method": self.method,
                "commitment": self.commitment,
                "claimed": self.claimed,
                "null_hypothesis": self.null,
            },
            references=(
                "MITRE ATLAS AML.T0024.002 Extract AI Model",
                "NIST AI 100-2e2025 NISTAML.031 Model Extraction",
                "OWASP ML05:2023 Model Theft",
            ),
            caveats=_CAVEATS[self.method],
        )


def check_level(alpha: float) -> None:
    """Refuse a level of significance that is none, before the suspect has seen the secret queries.

    Raises:
        UsageError: it does not lie between 0 and 1.
    """
    if not is_number(alpha) or not 0 < alpha < 1:
        raise UsageError(f"a level of significance lies between 0 and 1, got {alpha!r}")
