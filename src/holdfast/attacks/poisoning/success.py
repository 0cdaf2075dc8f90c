"""What a backdoor came to: how often the trigger brings about the class, and what the model is worth without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from holdfast.attacks.poisoning.poisoned import check_class, check_trigger, inputs_of
from holdfast.attacks.poisoning.triggers import Data, Trigger
from holdfast.attacks.references import BACKDOOR
from holdfast.data import Labels
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.telling import Telling

Classifier = Callable[[npt.NDArray[Any]], Labels]
"""Inputs, rows of a table or pictures, to the position of the class of each."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BackdoorResult(Telling):
    """How a model answers with the trigger and without.

    Args:
        target_class: the class that the trigger shall bring about.
        trigger: it, as JSON.
        attack_success: share of the rows of other classes that the model calls the target with the trigger on them; a
            lower bound on what the backdoor can do.
        without_trigger: the same rows without it.
        clean_accuracy: share of all rows answered rightly without it.
        fooled: (rows of other classes,) which of them.
    """

    target_class: int
    trigger: dict[str, Any]
    attack_success: Figure
    without_trigger: Figure
    clean_accuracy: Figure
    fooled: npt.NDArray[np.bool_]

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        return Evidence(
            kind="backdoor",
            subject=model_digest,
            subject_kind="model",
            title=f"The trigger brings about its class on {self.attack_success.value:.1%} of rows of other classes, "
            f"{self.without_trigger.value:.1%} without it",
            figures={
                "attack_success": self.attack_success,
                "without_trigger": self.without_trigger,
                "clean_accuracy": self.clean_accuracy,
            },
            samples={"fooled": self.fooled.tolist()},
            context={"target_class": self.target_class, "trigger": self.trigger},
            references=BACKDOOR,
            caveats=("It is about this trigger; that it does not work does not show that no other one does.",),
        )


def backdoor_success(classify: Classifier, clean: Data, trigger: Trigger[Data], *, target_class: int) -> BackdoorResult:
    """Put a trigger on clean rows of all other classes and see what the model makes of them.

    Args:
        classify: the model; for a table `lambda X: predict(model, X)`.
        clean: rows that it was not trained on.
        trigger: what was planted, or may have been.
        target_class: the class that it shall bring about.

    Raises:
        UsageError: an argument of another kind, or a target that is no class.
        DataError: no row of another class, or the model answers with anything but one class for each row.
    """
    check_class(clean, target_class)
    check_trigger(trigger)
    if not callable(classify):
        raise UsageError(
            f"expected a function from inputs to classes, got {type(classify).__name__}",
            hint="for a model of tables it is lambda X: predict(model, X)",
        )
    others = np.flatnonzero(clean.y != target_class)
    if not len(others):
        raise DataError("expected rows of other classes to put the trigger on, got none")
    said = _labels(classify, inputs_of(clean))
    fooled = _labels(classify, inputs_of(trigger.put_on(clean.take(others)))) == target_class
    return BackdoorResult(
        target_class=target_class,
        trigger=trigger.to_json(),
        attack_success=proportion(int(fooled.sum()), len(others), bound="lower"),
        without_trigger=proportion(int((said[others] == target_class).sum()), len(others)),
        clean_accuracy=proportion(int((said == clean.y).sum()), len(clean)),
        fooled=fooled,
    )


def _labels(classify: Classifier, inputs: npt.NDArray[Any]) -> Labels:
    said = np.asarray(classify(inputs))
    if said.shape != (len(inputs),) or said.dtype.kind not in "iu":
        raise DataError(f"expected a class for each of {len(inputs)} rows, got {said.dtype} of {said.shape}")
    return said.astype(np.int64)
