"""An evasion in words: the shares that matter, how sure they are, and what the distance of each record means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.drawing.cards import Card, share_card, threat_card
from holdfast.drawing.words import number
from holdfast.evidence import Evidence, Figure


def is_evasion(evidence: Evidence) -> bool:
    """Whether it is an evasion that says all that is told here."""
    figures = {"robust_accuracy", "clean_accuracy", "budget", "queries_per_row"}
    known = figures <= evidence.figures.keys() and {"correct", "evaded", "distance"} <= evidence.samples.keys()
    return (
        evidence.kind == "evasion" and known and isinstance(evidence.context.get("distance_censored_at"), int | float)
    )


def is_exact(evidence: Evidence) -> bool:
    """Whether nothing within the threat was missed; a search gives an upper bound only."""
    return evidence.figures["robust_accuracy"].bound != "upper"


def cards(evidence: Evidence) -> list[Card]:
    """What a reader should see first."""
    exact, figures = is_exact(evidence), evidence.figures
    doubt = _doubt(evidence)
    of_class = _of_class(evidence)
    at_most = () if exact else ("at most: a stronger attack may flip more",)
    at_least = () if exact else ("at least: a stronger attack may flip more",)
    told = [
        share_card("Right, and right under attack", figures["robust_accuracy"], *of_class, *doubt, *at_most),
        share_card("Right without an attack", figures["clean_accuracy"], *of_class),
    ]
    if (flipped := figures.get("attack_success")) is not None:
        told.append(share_card("Flipped, of those that were right", flipped, *doubt, *at_least))
    return [*told, threat_card(evidence), _way(evidence)]


def figures_of(evidence: Evidence) -> Mapping[str, Figure]:
    """The figures worth a line: questions only where some were asked."""
    return {name: figure for name, figure in evidence.figures.items() if name != "queries_per_row" or figure.value}


def distance_note(evidence: Evidence) -> str:
    """What the distances of records are, and what stands in their place."""
    budget = evidence.figures["budget"]
    allowed = f"{number(budget.value)} {budget.unit}".strip()
    if not is_exact(evidence):
        return (
            f"Distance is the smallest change found that flips a right decision; {allowed} is allowed. Where none was "
            "found there may still be one."
        )
    return (
        f"Distance is the smallest change that flips a right decision. A record that needs more than the {allowed} "
        f"allowed is not evaded; beyond {_limit(evidence)} no distance is told."
    )


def distance_cell(evidence: Evidence, record: Mapping[str, Any]) -> str:
    """The distance of one record, or why it has none."""
    if not record["correct"]:
        return "wrong already"
    if record["evaded"] or record["distance"] < evidence.context["distance_censored_at"]:
        return number(record["distance"])
    return f"{_limit(evidence)} or more" if is_exact(evidence) else "none found"


def curve_note(evidence: Evidence) -> str:
    """How far the security curve is to be trusted."""
    if is_exact(evidence):
        return "The curve is exact for these records at every budget shown."
    return "The true curve lies on this one or below it; beyond its budget a search knows nothing."


def columns(evidence: Evidence) -> Sequence[str]:
    """The columns of records worth a place: questions only where some were asked."""
    return [name for name, values in evidence.samples.items() if name != "queries" or any(values)]


def _doubt(evidence: Evidence) -> tuple[str, ...]:
    if evidence.context.get("void"):
        return ("not measured in earnest, for a reason given below",)
    return ("may be unreliable, for a reason given below",) if evidence.context.get("unreliable") else ()


def _of_class(evidence: Evidence) -> tuple[str, ...]:
    """Whose share it is, where rows of one class were attacked."""
    name = evidence.context.get("source_class")
    return () if name is None else (f"of rows of class {name!r}",)


def _way(evidence: Evidence) -> Card:
    asked = evidence.figures["queries_per_row"].value
    notes = [str(evidence.context.get("method", ""))]
    notes.append("no change within the threat was missed" if is_exact(evidence) else "changes may have been missed")
    notes.append(f"{number(asked)} questions per record" if asked else "from the model's weights, without a question")
    return Card(
        name="How it was found", value="Exact" if is_exact(evidence) else "Search", notes=tuple(filter(None, notes))
    )


def _limit(evidence: Evidence) -> str:
    return number(float(evidence.context["distance_censored_at"]))
