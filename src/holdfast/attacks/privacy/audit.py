"""An audit: someone who planted canaries tries to contradict a claim of epsilon.

    coins ──> training with and without each canary ──> scores ──> guesses ──> a lower bound on epsilon

The accountant's epsilon is an upper bound from a proof about the algorithm as it is meant to be; the audit's is a lower
bound from what the program did. Between the two lies the truth; where they cross, the claim is false. An audit that
finds nothing proves nothing: it may have looked at the wrong place, with too few canaries, or too weakly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from holdfast.arguments import check_kind, is_number, is_whole
from holdfast.attacks import references
from holdfast.attacks.privacy.audit_curves import Claim, approximate, gaussian
from holdfast.attacks.privacy.one_run import (
    Guesses,
    Reading,
    by_curve,
    by_definition,
    by_separate_canaries,
    epsilon_at_least,
)
from holdfast.data import Matrix
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import CONFIDENCE, proportion
from holdfast.telling import Telling

_UNFAIR: Final = 1e-6
"""Coins less likely than this were not tossed; a fair audit is refused that often."""


@dataclass(frozen=True, kw_only=True)
class AuditMethod:
    """A way to read an audit: what it assumes, and how many guesses suit it.

    Args:
        name: for people.
        reading: what contradicts a claim.
        family: the claim that goes with an epsilon and a delta, where nothing is known of the mechanism's profile.
        share: of the canaries, the share that is guessed unless asked otherwise; for the rest the auditor abstains.
        assumption: one sentence; the bound is worth as much as it is true.
    """

    name: str
    reading: Reading
    family: Callable[[float, float], Claim]
    share: float
    assumption: str


ANY_MECHANISM: Final = AuditMethod(
    name="one run, by the definition",
    reading=by_definition,
    family=approximate,
    share=0.1,
    assumption="Nothing is assumed of the training but that the canaries were chosen by fair coins.",
)
INTERFERING_CANARIES: Final = AuditMethod(
    name="one run, by the trade-off curve",
    reading=by_curve,
    family=gaussian,
    share=0.1,
    assumption="The lower bound takes the training's trade-off curve to be a Gaussian mechanism's.",
)
SEPARATE_CANARIES: Final = AuditMethod(
    name="one run, separate canaries",
    reading=by_separate_canaries,
    family=gaussian,
    share=0.6,
    assumption=(
        "The lower bound takes the training's trade-off curve to be a Gaussian mechanism's, and the canaries not to "
        "interfere: each has weights and noise of its own."
    ),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class AuditResult(Telling):
    """What an audit found.

    Args:
        claimed_epsilon: the claim, an upper bound.
        epsilon_lower: the audit's lower bound; above the truth with probability 1 - confidence at most.
        confidence: of the lower bound and of the contradiction.
        delta: at which both hold.
        guesses: how many canaries there were, how many were guessed, how many rightly.
        method: how that was read.
        contradicts: whether the claim is refuted at this confidence.
    """

    claimed_epsilon: float
    epsilon_lower: float
    confidence: float
    delta: float
    guesses: Guesses
    method: AuditMethod
    contradicts: bool

    @property
    def title(self) -> str:
        """What was found, and no more than that, in one sentence."""
        claimed = f"the claim of epsilon at most {_up(self.claimed_epsilon)}"
        if self.contradicts:
            counts = f"{self.guesses.correct:,} of {self.guesses.made:,} guesses about canaries were right"
            return f"The audit contradicts {claimed}: {counts}, more than the claim allows"
        shown = f"epsilon is at least {_down(self.epsilon_lower)}"
        return f"The audit found no contradiction to {claimed}: it shows that {shown}"

    def to_evidence(self, subject_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        return Evidence(
            kind="privacy-audit",
            subject=subject_digest,
            subject_kind="model",
            title=self.title,
            figures={
                "epsilon_claimed": Figure(value=self.claimed_epsilon, bound="upper"),
                "epsilon_lower": Figure(value=self.epsilon_lower, bound="lower"),
                "right_guesses": proportion(self.guesses.correct, self.guesses.made),
                "contradicts": Figure(value=float(self.contradicts)),
            },
            context={
                "attack": self.method.name,
                "canaries": self.guesses.canaries,
                "guesses": self.guesses.made,
                "correct": self.guesses.correct,
                "delta": self.delta,
                "confidence": self.confidence,
            },
            references=references.MEMBERSHIP,
            caveats=(
                self.method.assumption,
                "An audit that finds no contradiction is no proof: a better one may find it.",
                f"With probability {1 - self.confidence:.2g} at most the audit contradicts a claim that is true.",
            ),
        )


def audit(
    scores: Matrix,
    included: npt.NDArray[np.bool_],
    *,
    claim: Claim,
    method: AuditMethod = SEPARATE_CANARIES,
    guesses: int | None = None,
    confidence: float = CONFIDENCE,
) -> AuditResult:
    """Try to contradict a claim with what one training shows of its canaries.

    The canaries with the highest scores are guessed to have been included, those with the lowest not to; for those in
    between the auditor abstains. Which method and how many guesses is to be settled before the scores are seen.

    Args:
        scores: (canaries,) the higher, the more a canary seems to have been in.
        included: (canaries,) the coins: whether it was. Tossed fairly, each by itself, unknown to the training.
        claim: what is to be contradicted: `gaussian`, `approximate` or `profile` of `audit_curves`.
        method: how the counts are read.
        guesses: how many canaries to guess; by default what suits the method.
        confidence: of the lower bound, between 0 and 1.

    Raises:
        DataError: scores that are no numbers, not one for each coin, or coins that were not fair.
        UsageError: an argument of another kind, no canary, no guess, more guesses than canaries, or a confidence
            outside (0, 1).
    """
    check_audit(claim, method)
    if not is_number(confidence) or not 0 < confidence < 1:
        raise UsageError(f"expected a confidence above 0 and below 1, got {confidence!r}")
    if guesses is not None and not is_whole(guesses):
        raise UsageError(f"expected a whole number of guesses, got {guesses!r}")
    _check(scores, included)
    made = max(1, round(method.share * len(scores))) if guesses is None else guesses
    counts = Guesses(canaries=len(scores), made=made, correct=_right_guesses(scores, included, made))
    error = 1 - confidence
    lower = epsilon_at_least(counts, method.reading, lambda epsilon: method.family(epsilon, claim.delta), error=error)
    return AuditResult(
        claimed_epsilon=claim.epsilon,
        epsilon_lower=lower,
        confidence=confidence,
        delta=claim.delta,
        guesses=counts,
        method=method,
        contradicts=method.reading(counts, claim, error),
    )


def check_audit(claim: Claim, method: AuditMethod) -> None:
    """Refuse what is no claim, and no method of those above.

    Raises:
        UsageError: naming what is due.
    """
    check_kind("claim", claim, Claim, example="gaussian(epsilon, delta)")
    check_kind("method", method, AuditMethod, example="SEPARATE_CANARIES")


def _check(scores: Matrix, included: npt.NDArray[np.bool_]) -> None:
    check_kind("scores", scores, np.ndarray, example="module.canary_weights()")
    check_kind("included", included, np.ndarray, example="toss(1_000, rng=rng)")
    if scores.ndim != 1 or scores.shape != included.shape or included.dtype != np.bool_:
        raise DataError(
            f"expected a score and a coin (true or false) for each canary, "
            f"got scores of shape {scores.shape} and coins of shape {included.shape} and type {included.dtype}"
        )
    if len(scores) == 0:
        raise UsageError("an audit needs at least one canary, got 0")
    if (absent := np.isnan(scores)).any():
        raise DataError(f"expected a number as each canary's score, got NaN for canary {int(absent.argmax())}")
    heads = int(included.sum())
    if 2 * bdtr(min(heads, len(included) - heads), len(included), 0.5) < _UNFAIR:
        raise DataError(
            f"expected canaries included by fair coins, got {heads:,} of {len(included):,}",
            hint="toss a coin for each canary before the training, as `toss` does",
        )


def _right_guesses(scores: Matrix, included: npt.NDArray[np.bool_], made: int) -> int:
    """How many guesses are right: the lower half of them out, the upper half in.

    Equal scores come in an order of their own, so that the order in which the canaries are listed tells nothing.
    """
    order = np.lexsort((np.random.default_rng(0).permutation(len(scores)), scores))
    out, inside = order[: made // 2], order[len(order) - (made - made // 2) :]
    return int((~included[out]).sum() + included[inside].sum())


def _down(epsilon: float) -> str:
    return f"{math.floor(epsilon * 100) / 100:g}"


def _up(epsilon: float) -> str:
    return f"{math.ceil(epsilon * 100) / 100:g}"
