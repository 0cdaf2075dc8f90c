"""How a matrix over slots is applied: the rotations that reach its diagonals, and what it makes of noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.he import bounds
from holdfast.he.bounds import Bound
from holdfast.he.encoder import galois_element, row_swap_element
from holdfast.he.parameters import Parameters

_MANY_GIANT_STEPS: Final = 8
"""Up to it products over the special primes cost less than a division for each baby step."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The rotations of a transform.

    Args:
        unit: every diagonal is a multiple of it.
        baby: n, how many of these multiples are reached by one taking apart.
        giant: how many times n of them there are.
        folds: rotations in the end; N/2 swaps the rows.
    """

    unit: int
    baby: int
    giant: int
    folds: tuple[int, ...] = ()

    @classmethod
    def of(cls, rotations: Sequence[int], *, baby: int, folds: tuple[int, ...] = ()) -> Steps:
        """Steps that reach all of these rotations."""
        unit = math.gcd(*rotations) or 1
        return cls(unit=unit, baby=baby, giant=max(rotations) // (unit * baby) + 1, folds=folds)

    def extended(self, parameters: Parameters) -> bool:
        """Whether baby steps stay over the special primes: not where many giant steps would pay for that in BGV.

        In CKKS the rounding of their division would count as noise of the input.
        """
        return parameters.rows == 1 or self.giant <= _MANY_GIANT_STEPS

    def elements(self, parameters: Parameters) -> list[int]:
        """The Galois elements that keys are needed for."""
        giant = [self.unit * self.baby] if self.giant > 1 else []
        turns = [self.unit * b for b in range(1, self.baby)] + giant + [f for f in self.folds if f < parameters.slots]
        swaps = [row_swap_element(parameters)] if parameters.slots in self.folds else []
        return sorted({galois_element(parameters, turn) for turn in turns} | set(swaps))


@dataclass(frozen=True, kw_only=True)
class Gain:
    """By how much a real matrix over slots, with the folds done, makes noise larger.

    Args:
        l1, l2: the largest norms of one of its rows.
        slot: the largest l2 norm of a row before the folds.
        operator: at least its norm as an operator on all slots.
    """

    l1: float
    l2: float
    slot: float
    operator: float

    def bound(
        self, noise: Bound, *, parameters: Parameters, level: int, scale: float, steps: Steps, n_diagonals: int
    ) -> Bound:
        """The noise of a transform's result from that of its inputs.

        A root of unity sees `Σ row[i]·noise(root i)`: at most the l1 norm times the canonical bound. Noise of
        independent coefficients is a sub-Gaussian sum there, of deviation `spread·sqrt(N)` times the l2 norm, as the
        roots are orthogonal. A plaintext that comes later sees the noise through the transposed matrix. The noise of
        one baby step meets its own diagonal alone. Diagonals are rounded, and single steps add noise of their own.
        """
        folded, tail = 2.0 ** len(steps.folds), bounds.EMBEDDING_TAIL * math.sqrt(parameters.degree)
        rounded = n_diagonals * folded * tail / math.sqrt(12)
        l1, l2, operator = (norm * scale + rounded for norm in (self.l1, self.l2, self.operator))
        slot = self.slot * scale * folded + rounded
        switching, rounding = bounds.switching(parameters, level), bounds.rounding(parameters)
        single = (switching + rounding).scaled((steps.giant + 1) * folded)
        baby = switching if steps.extended(parameters) else switching + rounding
        canonical = min(noise.canonical * l1, tail * noise.spread * l2) + single.canonical + baby.canonical * l1
        return Bound(
            canonical=canonical,
            spread=noise.spread * operator + single.spread + baby.spread * slot,
            coefficient=canonical,
            deviation=math.hypot(noise.deviation * operator, single.deviation, baby.deviation * slot),
            rms=canonical,
        )
