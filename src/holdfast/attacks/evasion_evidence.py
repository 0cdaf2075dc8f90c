"""What an evasion says as evidence: the claim in words, its figures, and the threat that it holds for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.attacks import references
from holdfast.evidence import Evidence, Figure
from holdfast.rounding import share

if TYPE_CHECKING:
    from holdfast.attacks.evasion_result import EvasionResult


def evidence_of(result: EvasionResult, model_digest: str) -> Evidence:
    """The result as evidence about the model with this digest."""
    limit = float(result.curve.budgets[-1])
    return Evidence(
        kind="evasion",
        subject=model_digest,
        subject_kind="model",
        title=_title(result),
        figures=_figures(result),
        samples={
            "row": result.rows.tolist(),
            "correct": result.correct.tolist(),
            "evaded": result.evaded.tolist(),
            "distance": np.minimum(result.distance, limit).tolist(),
            "queries": result.queries.tolist(),
            **({} if result.cost is None else {"cost": result.cost.tolist()}),
        },
        context={
            "threat": result.threat.to_json(),
            "within": result.within,
            "method": result.method,
            "source_class": result.source_class,
            "distance_censored_at": limit,
            "unreliable": list(result.unreliable),
            "void": list(result.void),
            "changed_features": [feature.to_json() for feature in result.changed],
            "curve": {
                "budgets": result.curve.budgets.tolist(),
                "robust_accuracy": result.curve.robust_accuracy.tolist(),
            },
        },
        references=references.BLACK_BOX_EVASION if result.black_box else references.EVASION,
        caveats=(*(f"This result may be unreliable: {why}." for why in result.unreliable), *result.caveats),
    )


def _title(result: EvasionResult) -> str:
    told = share(result.robust_accuracy.value, bound=result.robust_accuracy.bound)
    told = told if result.exact else f"At most {told}"
    of = "" if result.source_class is None else f" of the class {result.source_class}"
    claim = f"{told} of {result.things}{of} are answered rightly and stay so {result.within}"
    return f"Not measured in earnest, as {result.void[0]}. {claim}" if result.void else claim


def _figures(result: EvasionResult) -> dict[str, Figure]:
    unit, flipped = result.threat.unit, result.distance[result.evaded]
    figures = {
        "robust_accuracy": result.robust_accuracy,
        "clean_accuracy": result.accuracy,
        "budget": Figure(value=result.threat.budget, unit=unit),
        "rows": Figure(value=len(result.rows), unit="rows"),
        "queries_per_row": Figure(value=float(result.queries.mean()), unit="queries"),
    }
    if result.attack_success is not None:
        figures["attack_success"] = result.attack_success
    if len(flipped):
        figures["median_distance"] = Figure(value=float(np.median(flipped)), unit=unit)
        figures["smallest_distance"] = Figure(value=float(flipped.min()), unit=unit)
        if result.cost is not None:
            figures["median_cost"] = Figure(value=float(np.median(result.cost[result.evaded])))
    for name in ("auc", "mcc", "robust_mcc"):
        if (value := getattr(result, name)) is not None:
            figures[name] = Figure(value=value)
    return figures
