"""From guesses about canaries, all made in one training, to a lower bound on epsilon.

Each canary is included by the toss of a fair coin; afterwards the auditor guesses the coins and may abstain. The more
guesses are right, the more privacy was lost. The canaries of one training may depend on each other, so right guesses
are no independent trials. Three readings of the same counts deal with that:

* `by_definition`: any (epsilon, delta)-private training (Steinke, Nasr and Jagielski, "Privacy auditing with one (1)
  training run", 2023, theorem 5.2);
* `by_curve`: any training whose trade-off curve is the claimed one (Mahloujifar, Melis and Chaudhuri, "Auditing
  f-differential privacy in one run", arXiv:2410.22235, the bound for an adversary that may abstain);
* `by_separate_canaries`: the curve holds for each canary also given the outcome for all others, as where each canary
  has weights and noise of its own. What one can then know of a coin is independent of the other coins, and so are right
  guesses.

The last is by far the sharpest. What canaries cost one another otherwise: Keinan, Shenfeld and Ligett, "How well can
differential privacy be audited in one run?", 2025.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import bdtrc, betaincinv, expit

from holdfast.attacks.privacy.audit_curves import Claim, accuracy_of_surest
from holdfast.data import Matrix
from holdfast.errors import UsageError

MAX_EPSILON: Final = 100.0
"""Lower bounds are looked for up to here; no training that is called private comes near."""
_HALVINGS: Final = 24
_QUANTILES: Final = np.array([1e-4, *np.arange(1, 40) / 40])
"""Where a distribution is cut; in each part the worst end stands for all of it, and below the first anything goes."""


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """How an auditor did: of so many canaries it guessed some, and of these some rightly."""

    canaries: int
    made: int
    correct: int

    def __post_init__(self) -> None:
        """Refuse counts that do not fit one another, and an auditor that abstained throughout."""
        if self.canaries < 1:
            raise UsageError(f"an audit needs at least one canary, got {self.canaries}")
        if not 1 <= self.made <= self.canaries:
            raise UsageError(f"expected 1 to {self.canaries} guesses about the canaries, got {self.made}")
        if not 0 <= self.correct <= self.made:
            raise UsageError(f"expected 0 to {self.made} right guesses, got {self.correct}")


Reading = Callable[[Guesses, Claim, float], bool]
"""Whether the counts contradict a claim: were it true, they would come with at most this probability."""


def by_definition(guesses: Guesses, claim: Claim, error: float) -> bool:
    """Whether the counts contradict (epsilon, delta); the claim's curve is not used."""
    return definition_p_value(guesses, epsilon=claim.epsilon, delta=claim.delta) <= error


def definition_p_value(guesses: Guesses, *, epsilon: float, delta: float) -> float:
    """An upper bound on the chance of as many right guesses under (epsilon, delta) (theorem 5.2 of Steinke et al.).

    With W binomial (guesses made, e^epsilon / (1 + e^epsilon)) it is P[W >= v] plus 2 m delta times the largest
    P[v > W >= v - i] / i over i from 1 to v.
    """
    tail = _binomial_tails(guesses.made, guesses.correct, float(expit(epsilon)))
    reached = tail[-1]
    steps = np.arange(1, guesses.correct + 1)
    slack = ((tail[-1 - steps] - reached) / steps).max(initial=0.0)
    return float(min(1.0, reached + 2 * guesses.canaries * delta * slack))


def by_curve(guesses: Guesses, claim: Claim, error: float) -> bool:
    """Whether the counts contradict the claim's curve, whatever the canaries have to do with one another.

    Let p_i be the chance of i right guesses, of k made about m canaries, and for each c
    right_c = sum_{i >= c} (i / m) p_i and wrong_c = sum_{i >= c} ((k - i) / m) p_i. Take a canary at random and look
    at the event that at least c - 1 of the other guesses are right. With it the canary is guessed rightly with
    probability right_c, and wrongly with probability wrong_{c-1}; only its coin tells the two apart, so
    wrong_{c-1} >= curve(right_c). If P[at least v right] were `error` or more, then all of it at v would be the least
    demanding case; going down from there, each step needs a least p_{c-1}. The counts contradict the claim
    if in the end right_0 + wrong_0 would have to be more than k / m, which is what it is.
    """
    m, k = guesses.canaries, guesses.made
    right, wrong = error * guesses.correct / m, error * (k - guesses.correct) / m
    for i in range(guesses.correct - 1, -1, -1):
        needed = float(claim.curve(np.array(right)))
        if needed <= wrong:
            return False  # this step needs nothing more, and so neither does any further one
        right, wrong = right + i / (k - i) * (needed - wrong), needed
        if right + wrong > k / m:
            return True
    return False


def by_separate_canaries(guesses: Guesses, claim: Claim, error: float) -> bool:
    """Whether the counts contradict the claim's curve where canaries do not interfere.

    Whatever one sees of a canary is then a blurred view of the best that the curve allows, for each canary by itself.
    So no k guesses are right more often than those about the k canaries of which the best view is surest. Let u be how
    rarely a view is as sure as that of the next one: a quantile of Beta(k + 1, m - k). Given u, each of the k is
    guessed rightly with probability `accuracy_of_surest(curve, u)`, independently.
    """
    m, k = guesses.canaries, guesses.made
    shares = betaincinv(k + 1, m - k, _QUANTILES) if k < m else np.ones(1)
    weights = np.diff(_QUANTILES, append=1.0) if k < m else np.ones(1)
    tails = bdtrc(guesses.correct - 1.0, k, accuracy_of_surest(claim.curve, shares)) if guesses.correct else 1.0
    chance = float((weights * tails).sum())
    return chance + float(_QUANTILES[0]) * (k < m) <= error


def epsilon_at_least(guesses: Guesses, reading: Reading, claim_at: Callable[[float], Claim], *, error: float) -> float:
    """A lower bound on epsilon: below it, every claim of the family is contradicted; 0 where none is.

    Args:
        guesses: the counts.
        reading: how they are read.
        claim_at: the claim of the family with a given epsilon.
        error: the bound is above the true epsilon with at most this probability.
    """
    if not reading(guesses, claim_at(0.0), error):
        return 0.0
    low, high = 0.0, MAX_EPSILON
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if reading(guesses, claim_at(middle), error) else (low, middle)
    return low


def _binomial_tails(trials: int, successes: int, share: float) -> Matrix:
    """(successes + 1,) the chances of at least 0, 1, … `successes` successes."""
    above = bdtrc(np.arange(successes, dtype=np.float64), trials, share)
    return np.concatenate([[1.0], above])
