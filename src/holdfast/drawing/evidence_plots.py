"""Which plots go with which kind of evidence, on a page of its own and in the report alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.drawing import bars, bounds, plots, security
from holdfast.drawing.chart import Plot
from holdfast.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What is drawn beside a piece of evidence; nothing unless given.

    Args:
        limits: of the policy, by figure.
        other: the same evidence about another model.
        other_name: what to call that model.
        history: evidence of this kind so far, in order, with this one as the last.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    other: Evidence | None = None
    other_name: str = ""
    history: Sequence[Evidence] = ()


_ALONE: Final = Beside()


def plots_of(item: Evidence, beside: Beside = _ALONE) -> tuple[Plot, ...]:
    """The plots of a piece of evidence; of a kind that is not known here, its shares with their intervals."""
    return tuple(plot for plot in _PLOTS.get(item.kind, _shares)(item, beside) if plot is not None)


_Drawing = Callable[[Evidence, Beside], Sequence[Plot | None]]


def _alone(*drawings: Callable[[Evidence], Plot | None]) -> _Drawing:
    """Plots that need nothing beside."""
    return lambda item, _: [draw(item) for draw in drawings]


def _security(item: Evidence, beside: Beside) -> Sequence[Plot | None]:
    limit = beside.limits.get("robust_accuracy")
    curve = security.security_curve(item, before=beside.other, limit=limit, other_name=beside.other_name)
    return [curve, bars.changed_features(item)]


def _hardening(item: Evidence, _: Beside) -> Sequence[Plot | None]:
    return [bars.before_after(bars.pairs_of(item)), security.hardening_curves(item)]


def _budget(item: Evidence, beside: Beside) -> Sequence[Plot | None]:
    return [plots.privacy_budget(beside.history or [item], limit=beside.limits.get("epsilon"))]


def _extraction(item: Evidence, beside: Beside) -> Sequence[Plot | None]:
    return [plots.extraction_curve(item, limit=beside.limits.get("fidelity"))]


def _messages(item: Evidence, _: Beside) -> Sequence[Plot | None]:
    sizes = bars.bars(item, unit="bytes", title="Size of the messages", label="kB")
    return [sizes, bars.bars(item, unit="ms", title="Time per prediction", label="Milliseconds")]


_shares: Final = _alone(bars.intervals)

_PLOTS: Final[Mapping[str, _Drawing]] = {
    "poison-certificate": _alone(bounds.certified_curve),
    "smoothing-certificate": _alone(bounds.certified_radii),
    "privacy-guarantee": _budget,
    "privacy-audit": _alone(bounds.audit_bounds),
    "membership-inference": _alone(plots.membership_roc, plots.membership_scores),
    "membership-risk": _alone(plots.membership_risks),
    "evasion": _security,
    "extraction": _extraction,
    "hardening": _hardening,
    "output-hardening": lambda item, _: [bars.before_after(bars.pairs_of(item))],
    "private-inference": _messages,
}
