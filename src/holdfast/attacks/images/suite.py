"""Attacks that go together.

`standard` is AutoAttack's `standard` version (Croce & Hein 2020, section 5; github.com/fra31/auto-attack), so that
figures compare with published ones: APGD on cross entropy, targeted APGD, targeted FAB, Square, in this order, each on
the pictures that still stand. The protocol knows no fewer than ten classes; with fewer, targeted APGD climbs to each
more than once, each time from another random start, so that it climbs as often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, get_args

from holdfast.arguments import check_kind
from holdfast.attacks.images.apgd import Apgd, ApgdTargeted
from holdfast.attacks.images.attack import Attack
from holdfast.attacks.images.fab import FabTargeted
from holdfast.attacks.images.square import Square
from holdfast.attacks.images.threat import NormName, PixelChange
from holdfast.errors import UsageError

SuiteName = Literal["standard", "fast", "black-box"]

_RESTARTS: Final[dict[NormName, int]] = {"Linf": 1, "L2": 1, "L1": 5}
_TARGETS: Final[dict[NormName, int]] = {"Linf": 9, "L2": 9, "L1": 5}


def attacks_of(suite: SuiteName | Sequence[Attack], threat: PixelChange) -> tuple[Attack, ...]:
    """The attacks of a suite in their order; attacks that are given are taken as they are.

    Raises:
        UsageError: no such suite, no attack, or two of one name.
    """
    if isinstance(suite, str):
        if suite not in _SUITES:
            raise UsageError(f"expected the suite {', '.join(get_args(SuiteName))} or attacks, got {suite!r}")
        return _SUITES[suite](threat)
    attacks = tuple(suite)
    for attack in attacks:
        check_kind("suite", attack, Attack, example='"standard", or suite=[Pgd(), Square()]')
    if not attacks or len({attack.name for attack in attacks}) != len(attacks):
        names = ", ".join(attack.name for attack in attacks) or "none"
        raise UsageError(f"expected attacks with different names, got {names}")
    return attacks


def _standard(threat: PixelChange) -> tuple[Attack, ...]:
    return (
        Apgd(restarts=_RESTARTS[threat.norm]),
        ApgdTargeted(targets=_TARGETS[threat.norm]),
        FabTargeted(),
        Square(),
    )


def _fast(threat: PixelChange) -> tuple[Attack, ...]:
    """The same attacks in the same order, cut where the last steps find next to nothing.

    Climbs keep their steps. Of other classes the likeliest bring nearly all that is found: FAB finds more towards
    three in 30 steps than towards nine in 15. Square is what is left against gradients that lie, and finds late: it
    keeps its queries, and its squares are small by the end of them.
    """
    return (
        Apgd(restarts=_RESTARTS[threat.norm]),
        ApgdTargeted(targets=5),
        FabTargeted(targets=3, steps=30),
        Square(schedule=5_000),
    )


def _black_box(threat: PixelChange) -> tuple[Attack, ...]:
    """Through the model's answers alone."""
    del threat
    return (Square(schedule=5_000),)


_SUITES: Final[dict[str, Callable[[PixelChange], tuple[Attack, ...]]]] = {
    "standard": _standard,
    "fast": _fast,
    "black-box": _black_box,
}
