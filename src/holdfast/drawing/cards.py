"""The few figures that stand above all others on the page of a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.drawing.words import number, percent, plain, share
from holdfast.evidence import Evidence, Figure


@dataclass(frozen=True, kw_only=True)
class Card:
    """A figure that stands above all others.

    Args:
        name: its heading.
        value: itself, short.
        notes: what it means and how sure it is.
    """

    name: str
    value: str
    notes: tuple[str, ...] = ()


def share_card(name: str, figure: Figure, *notes: str) -> Card:
    """A share between 0 and 1, with how sure it is."""
    if figure.low is not None and figure.high is not None and figure.confidence is not None:
        sure = f"{percent(figure.confidence)} interval"
        notes = (*notes, f"{percent(figure.low)} to {percent(figure.high)} ({sure})")
    return Card(name=name, value=share(figure), notes=notes)


def threat_card(evidence: Evidence) -> Card:
    """What the attacker was allowed, in words, with the budget above them."""
    budget, within = evidence.figures["budget"], str(evidence.context.get("within", ""))
    threat = evidence.context.get("threat")
    told = [plain({name: value}) for name, value in threat.items()] if isinstance(threat, Mapping) else []
    notes = (within[:1].upper() + within[1:],) if within else tuple(told)
    return Card(name="The threat", value=f"{number(budget.value)} {budget.unit}".rstrip(), notes=notes)


def percent_points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    points = round(100 * value, 1)
    return (f"{points:+.1f}" if points else "0").replace("-", "\u2212") + "\u00a0points"
