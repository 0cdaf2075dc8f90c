"""How good a stolen copy is, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks import references
from holdfast.data import Labels, Matrix
from holdfast.evidence import Evidence, Figure
from holdfast.models import Model
from holdfast.rounding import share
from holdfast.telling import Telling

NO_COPY: Final = "none"
"""The method where the answers gave no copy that is better than naming one class always."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExtractionResult(Telling):
    """How good the best copy was.

    Args:
        copy: the stolen model.
        method: how it was made: "linear equations", "boundary search", "path finding", "logistic regression", "boosted
            trees", "perceptron", or "none" where the answers gave nothing better than naming one class always.
        queries: rows answered; asked: rows that were allowed to be asked. A method that has learned all there is stops
            before.
        stopped_by: why the oracle stopped answering, or "".
        agrees: (reference rows,) whether copy and oracle give the same class.
        gaps: (reference rows,) mean absolute difference of their probabilities.
        fidelity: share of reference rows on which they agree; a lower bound on what an attacker can reach.
        copy_accuracy, oracle_accuracy: shares of reference rows answered rightly.
        baseline_fidelity: agreement of a "copy" that always says the oracle's most frequent class.
        curve_queries, curve_fidelity: fidelity by number of queries.
    """

    copy: Model
    method: str
    queries: int
    asked: int
    stopped_by: str
    agrees: npt.NDArray[np.bool_]
    gaps: Matrix
    fidelity: Figure
    copy_accuracy: Figure
    oracle_accuracy: Figure
    baseline_fidelity: Figure
    curve_queries: Labels
    curve_fidelity: Matrix

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        return Evidence(
            kind="extraction",
            subject=model_digest,
            subject_kind="model",
            title=self._title(),
            figures={
                "fidelity": self.fidelity,
                "queries": Figure(value=self.queries, unit="queries"),
                "copy_accuracy": self.copy_accuracy,
                "oracle_accuracy": self.oracle_accuracy,
                "baseline_fidelity": self.baseline_fidelity,
                "mean_probability_gap": Figure(value=float(self.gaps.mean())),
            },
            samples={"agrees": self.agrees.tolist(), "probability_gap": self.gaps.tolist()},
            context={
                "method": self.method,
                "asked": self.asked,
                "stopped_by": self.stopped_by,
                "curve": {"queries": self.curve_queries.tolist(), "fidelity": self.curve_fidelity.tolist()},
            },
            references=references.EXTRACTION,
            caveats=(
                "A copy shows what can be stolen at least; another attacker may do better with as many queries.",
                "Of several copies the one closest to the model on the reference rows counts, which favours the "
                "attacker.",
                "The attacker knew the schema and no record; one who has records may need fewer queries.",
            ),
        )

    def _title(self) -> str:
        agrees = share(self.fidelity.value, bound=self.fidelity.bound)
        if self.method == NO_COPY:
            guess = f"naming one class always, which agrees on {agrees} of rows"
            return f"No copy was made: {self.queries} queries gave none that is better than {guess}"
        return f"A copy made with {self.queries} queries gives the same class on {agrees} of rows"
