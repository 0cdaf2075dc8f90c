"""A hardening in words: what stays right under attack, what that gained and cost, and against which threat."""

from __future__ import annotations

from holdfast.drawing.cards import Card, percent_points, share_card, threat_card
from holdfast.drawing.words import percent
from holdfast.evidence import Evidence, Figure

_SHARES = ("robust_accuracy_before", "robust_accuracy_after", "accuracy_before", "accuracy_after")


def is_hardening(evidence: Evidence) -> bool:
    """Whether it is a hardening that says all that is told here."""
    return evidence.kind == "hardening" and {*_SHARES, "gain", "cost", "budget"} <= evidence.figures.keys()


def cards(evidence: Evidence) -> list[Card]:
    """What a reader should see first: gain beside cost, and the threat that both hold for."""
    robust_before, robust, clean_before, clean = (evidence.figures[name] for name in _SHARES)
    gain, cost = evidence.figures["gain"], evidence.figures["cost"]
    doubt = () if evidence.context.get("improved") else ("no sure improvement",)
    name = evidence.context.get("source_class")
    of, of_all = ((), ()) if name is None else ((f"of rows of class {name!r}",), ("of all test rows",))
    at_most = ("at most: a stronger attack may flip more",) if robust.bound == "upper" else ()
    return [
        share_card("Right under attack, hardened", robust, f"before: {percent(robust_before.value)}", *of, *at_most),
        Card(name="Gained under attack", value=percent_points(gain.value), notes=(*doubt, *_span(gain, sign=1))),
        share_card("Right without an attack, hardened", clean, f"before: {percent(clean_before.value)}", *of_all),
        Card(name="Paid without an attack", value=percent_points(-cost.value), notes=(*of_all, *_span(cost, sign=-1))),
        threat_card(evidence),
    ]


def _span(difference: Figure, *, sign: int) -> tuple[str, ...]:
    """The interval of a difference, in points."""
    if difference.low is None or difference.high is None or difference.confidence is None:
        return ()
    low, high = sorted((sign * difference.low, sign * difference.high))
    return (f"{percent_points(low)} to {percent_points(high)} ({percent(difference.confidence)} interval)",)
