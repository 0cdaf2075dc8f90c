"""A bet against a client being normal, whose wealth can be looked at after every round."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

_SHARE_UNDER_ATTACK: Final = 0.5
"""What the bet assumes of an attacker: every other round is a hit. A purer attack is caught sooner."""
_EXPLAINED_ROUNDS: Final = 50


@dataclass
class Bet:
    """Wealth won by betting that hits come more often than at their normal rate.

    If each round is a hit with a probability of at most `rate`, whatever came before, the wealth is a supermartingale
    that starts with 1 in all, so by Ville's inequality (1939) it ever reaches 1 / a with a probability of at most a:
    there is no correction for looking after every round. The wealth is a mixture over the round at which the attack
    begins (Shin, Ramdas and Rinaldo, "E-detectors", 2022).
    """

    wealth: float = 0.0
    rounds: int = 0
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=_EXPLAINED_ROUNDS))

    def see(self, *, hit: bool, rate: float) -> None:
        """One more round; `rate` bounds the probability of a hit if the client is normal."""
        self.rounds += 1
        self.recent.append(hit)
        # Of the stake, for an attack that begins with this round; the shares sum to 1.
        share = 1 / (self.rounds * (self.rounds + 1))
        assumed = max(_SHARE_UNDER_ATTACK, (1 + rate) / 2)
        self.wealth = (self.wealth + share) * (assumed / rate if hit else (1 - assumed) / (1 - rate))
