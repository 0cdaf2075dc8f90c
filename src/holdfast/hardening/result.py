"""What hardening bought and what it cost, measured on the same rows before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.attacks import EvasionResult, paired_difference
from holdfast.attacks.evasion_examples import examples_of
from holdfast.data import Dataset
from holdfast.data.images import Images
from holdfast.errors import UsageError
from holdfast.evidence import NO_MODEL, Evidence, Figure
from holdfast.intervals import proportion
from holdfast.telling import Telling

Hardened = TypeVar("Hardened")
"""What is hardened: a `Model`, or a network in PyTorch."""

Right = npt.NDArray[np.bool_]
"""(rows,) whether a model is right on each test row."""

_REFERENCES = (
    "NIST AI 100-2e2025, mitigations of evasion attacks: adversarial training",
    "MITRE ATLAS AML.M0003 Model Hardening",
    "EU AI Act Article 15(5)",
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HardeningResult(Telling, Generic[Hardened]):
    """A hardened model, and the same attack on the same rows before and after.

    Args:
        model: the hardened model; the original one where no round was better.
        method: how it was hardened.
        before, after: the attack on the test rows, or on those of one class.
        accuracy_before, accuracy_after: clean accuracy on all test rows, whichever were attacked.
        gain: robust accuracy after minus before, with the interval of the paired difference.
        cost: clean accuracy on all test rows before minus after, likewise; negative where hardening helped.
        details: what the method wants to say of its run (radii, rounds).
    """

    model: Hardened
    method: str
    before: EvasionResult
    after: EvasionResult
    accuracy_before: Figure
    accuracy_after: Figure
    gain: Figure
    cost: Figure
    details: dict[str, Any]

    @property
    def improved(self) -> bool:
        """Whether the whole interval of the gain lies above 0; a gain that chance explains is none.

        Nor is one claimed where the model before was attacked exactly and the hardened one was not, or where nothing
        was measured in earnest of the hardened one.
        """
        return self.gain.low is not None and self.gain.low > 0 and self.gain.bound != "upper" and not self.after.void

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Why the figures may say too much, of either attack."""
        sides = (("after hardening", self.after), ("before hardening", self.before))
        return tuple(f"{why} ({side})" for side, found in sides for why in found.unreliable)

    def to_html(self, model_digest: str = NO_MODEL, *, originals: Images | Dataset | None = None) -> str:
        """The result as one self-contained HTML page.

        Args:
            model_digest: of the hardened model.
            originals: the data that was attacked; as `EvasionResult.to_html` has it, for both attacks.

        Raises:
            UsageError, DataError: other originals than were attacked.
        """
        from holdfast.drawing.evidence_page import evidence_page  # templates are loaded for those who want a page

        attacks = (("Flipped before hardening", self.before), ("Flipped after hardening", self.after))
        examples = [examples_of(found, originals, heading=name) for name, found in attacks if originals is not None]
        return evidence_page(self.to_evidence(model_digest), examples=examples)

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the hardened model, which has this digest."""
        return Evidence(
            kind="hardening",
            subject=model_digest,
            subject_kind="model",
            title=_title(self),
            figures={
                "robust_accuracy_before": self.before.robust_accuracy,
                "robust_accuracy_after": self.after.robust_accuracy,
                "accuracy_before": self.accuracy_before,
                "accuracy_after": self.accuracy_after,
                "gain": self.gain,
                "cost": self.cost,
                "budget": Figure(value=self.after.threat.budget, unit=self.after.threat.unit),
                "rows": Figure(value=len(self.after.rows), unit="rows"),
                **_of_attacked(self),
            },
            samples={
                "robust_before": self.before.robust.tolist(),
                "robust_after": self.after.robust.tolist(),
                "correct_before": self.before.correct.tolist(),
                "correct_after": self.after.correct.tolist(),
            },
            context={
                "method": self.method,
                "threat": self.after.threat.to_json(),
                "within": self.after.within,
                "source_class": self.after.source_class,
                "unreliable": list(self.unreliable),
                "void": list(self.after.void),
                "improved": self.improved,
                "curve_before": _curve(self.before),
                "curve_after": _curve(self.after),
                **self.details,
            },
            references=_REFERENCES,
            caveats=tuple(_caveats(self)),
        )


def compare(
    model: Hardened,
    *,
    method: str,
    before: EvasionResult,
    after: EvasionResult,
    details: dict[str, Any],
    right: tuple[Right, Right] | None = None,
) -> HardeningResult[Hardened]:
    """Set the two attacks beside each other, row by row.

    Args:
        model: see `HardeningResult`, as for all that are not explained here.
        method: likewise.
        before: likewise.
        after: likewise.
        details: likewise.
        right: where the model before and the hardened one are right, of all test rows; None where all were attacked.

    Raises:
        UsageError: one class was attacked, and nothing is said of the others.
    """
    if right is None and after.source_class is not None:
        raise UsageError(f"expected right=, of all test rows, where only rows of {after.source_class!r} were attacked")
    was, now = (before.correct, after.correct) if right is None else right
    gain = paired_difference(after.robust, before.robust)
    if before.exact and not after.exact:
        gain = replace(gain, bound="upper")
    return HardeningResult(
        model=model,
        method=method,
        before=before,
        after=after,
        accuracy_before=proportion(int(was.sum()), len(was)),
        accuracy_after=proportion(int(now.sum()), len(now)),
        gain=gain,
        cost=paired_difference(was, now),
        details=details,
    )


def _of_attacked(result: HardeningResult[Any]) -> dict[str, Figure]:
    """The clean accuracy on the attacked rows, where they are not all."""
    if result.after.source_class is None:
        return {}
    return {"attacked_accuracy_before": result.before.accuracy, "attacked_accuracy_after": result.after.accuracy}


def _caveats(result: HardeningResult[Any]) -> Iterator[str]:
    yield from (f"This result may be unreliable: {why}." for why in result.unreliable)
    if (name := result.after.source_class) is not None:
        yield f"Only rows of class {name!r} were attacked: the gain is of these, clean accuracy of all."
    yield "It holds for the threat and the rows tested; another threat needs another measurement."
    searched = [side for side, found in (("before", result.before), ("after", result.after)) if not found.exact]
    if searched:
        yield f"The search may miss flips that exist {' and '.join(searched)}, so the gain may differ from this."
    if result.gain.bound == "upper":
        yield "Before, no flip was missed, and after, some may be: the gain is at most this, and none is claimed."
    elif result.after.void:
        yield "Of the hardened model nothing was measured in earnest, so no improvement is claimed."
    elif not result.improved:
        yield "The interval of the gain contains 0 or less, so no improvement is claimed."


def _title(result: HardeningResult[Any]) -> str:
    gain, cost = _points(result.gain.value), _points(-result.cost.value)
    name = result.after.source_class
    of, of_all = ("", "") if name is None else (f" of rows of class {name!r}", " of all rows")
    robust = f"changed robust accuracy{of} by {gain} points {result.after.within}"
    changed = f"{robust}, and clean accuracy{of_all} by {cost} points"
    return f"Hardening {changed}" if result.improved else f"Hardening shows no sure improvement: it {changed}"


def _points(share: float) -> str:
    """A difference of shares in points, with its sign; no sign for none."""
    points = round(100 * share, 1)
    return f"{points:+.1f}" if points else "0.0"


def _curve(result: EvasionResult) -> dict[str, list[float]]:
    curve = result.curve
    return {"budgets": curve.budgets.tolist(), "robust_accuracy": curve.robust_accuracy.tolist()}
