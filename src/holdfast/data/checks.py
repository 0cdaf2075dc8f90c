"""The first checks of a data set, before anything is learned from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from holdfast.data.dataset import Dataset
from holdfast.data.findings import (
    DataFinding,
    balance_findings,
    label_findings,
    missing_findings,
    outlier_finding,
    personal_findings,
    repetition_findings,
)
from holdfast.data.frames import Matrix
from holdfast.data.label_noise import (
    FOLDS,
    MAX_TRAINED_ROWS,
    LabelNoise,
    cross_validated,
    judge_labels,
    linear_estimator,
    standardised,
)
from holdfast.data.one_thread import one_thread
from holdfast.data.personal import PersonalColumn, find_personal
from holdfast.data.poison import (
    PairFlips,
    Trigger,
    find_clusters,
    find_flips,
    find_table_marks,
    grouped_folds,
    judge_marks,
)
from holdfast.data.poison.flips import OVERLAP_ACCURACY
from holdfast.data.poison_findings import cluster_findings, flip_findings, trigger_findings
from holdfast.data.rows import OUTLIER_SHARE, Repetitions, find_outliers, find_repetitions, outlier_scores
from holdfast.errors import DataError
from holdfast.evidence import Evidence, Figure
from holdfast.telling import Printed

KIND: Final = "data-checks"
MAX_LISTED_ROWS: Final = 100
"""Rows of a finding that evidence lists."""

_CAVEATS: Final = (
    "Records that were poisoned with care, labels included, look ordinary and are not found by these checks.",
    "A trigger of three values or more, of inexact numbers, or in fewer than five rows is not found; a value that "
    "decides the class by nature, though nothing else tells it, is taken for one.",
    "Personal data is told by shape and name; that none was found does not prove that there is none.",
    "The label-noise estimate counts rows that are hard by nature along with labels that are wrong.",
    f"Outliers are the most unusual {OUTLIER_SHARE:.0%} of the rows by construction, whether or not anything is wrong.",
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class DataChecks(Printed):
    """What the checks found.

    Args:
        dataset: digest of the data set.
        findings: the gravest first.
        figures: shares and counts by name.
        samples: a number for each row: `outlier_score`, and `self_confidence` where labels could be checked.
        caveats: what the checks cannot tell, each one sentence.
    """

    dataset: str
    findings: tuple[DataFinding, ...]
    figures: Mapping[str, Figure]
    samples: Mapping[str, Matrix]
    caveats: tuple[str, ...] = _CAVEATS

    def __post_init__(self) -> None:
        """Freeze the mappings."""
        object.__setattr__(self, "figures", MappingProxyType(dict(self.figures)))
        object.__setattr__(self, "samples", MappingProxyType(dict(self.samples)))

    def _printed(self) -> Evidence:
        return self.to_evidence()

    def to_evidence(self) -> Evidence:
        """The checks as evidence about the data set. Of each finding the first 100 rows are listed."""
        counts = {grade: sum(f.severity == grade for f in self.findings) for grade in ("serious", "warning", "info")}
        return Evidence(
            kind=KIND,
            subject=self.dataset,
            subject_kind="dataset",
            title=(
                f"Data checks: {_count(counts['serious'], 'serious finding')}, {_count(counts['warning'], 'warning')}"
            ),
            figures=self.figures,
            samples={name: np.round(column, 4).tolist() for name, column in self.samples.items()},
            context={
                "findings": [finding.to_json(max_rows=MAX_LISTED_ROWS) for finding in self.findings],
                "folds": FOLDS,
                "max_trained_rows": MAX_TRAINED_ROWS,
                "outlier_share": OUTLIER_SHARE,
            },
            references=(
                "OWASP ML02:2023 Data Poisoning Attack",
                "NIST AI 100-2e2025 NISTAML.013 Data Poisoning",
                "NIST AI 100-2e2025 NISTAML.023 Backdoor Poisoning",
                "MITRE ATLAS AML.T0020 Poison Training Data",
                "EU AI Act Art. 10 Data and data governance",
            ),
            caveats=self.caveats,
        )


@one_thread()
def run_checks(
    dataset: Dataset,
    *,
    rng: np.random.Generator,
    frame: pd.DataFrame | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DataChecks:
    """Look for what should be mended before training: repetitions, doubtful labels, triggers, flips, foreign groups.

    Args:
        dataset: what will be learned from.
        rng: decides folds, samples and the outlier forest. The same state gives the same result.
        frame: the raw table, in which personal data is looked for, in the columns that the schema leaves out too.
            Without it, only the data set's own categories and numbers are looked at.
        progress: called with the steps done and the steps in all.

    Raises:
        DataError: there is no row.
    """
    if not len(dataset):
        raise DataError("expected rows to check, got none")

    def advance(done: int) -> None:
        if progress is not None:
            progress(done, _BEFORE_FOLDS + FOLDS)

    repetitions = find_repetitions(dataset, rng=rng)
    advance(1)
    scores = outlier_scores(dataset, rng=rng)
    X = standardised(dataset)
    clusters = find_clusters(X, dataset.y, scores)
    advance(2)
    personal = find_personal(dataset.to_frame() if frame is None else frame, rng=rng)
    advance(3)
    noise, triggers, flips = _judge(dataset, X, rng, lambda done, _: advance(_BEFORE_FOLDS + done))
    overlap = noise is not None and noise.accuracy < OVERLAP_ACCURACY
    classes, what = dataset.schema.classes, "rows"
    found = [
        *balance_findings(dataset.y, classes),
        *missing_findings(dataset),
        *repetition_findings(repetitions, rows=len(dataset)),
        *label_findings(noise, rows=len(dataset)),
        *trigger_findings(triggers, classes, what=what),
        *flip_findings(flips, classes, what=what, overlap=overlap),
        *cluster_findings(clusters, classes, what=what),
        outlier_finding(find_outliers(scores), rows=len(dataset)),
        *personal_findings(personal, dataset.schema),
    ]
    figures = _figures(dataset, repetitions, personal) | {"triggers": Figure(value=len(triggers))}
    samples = {"outlier_score": scores}
    if noise is not None:
        figures |= {"label_noise": noise.rate, "cross_validated_accuracy": Figure(value=noise.accuracy)}
        figures["suspect_labels"] = Figure(value=len(noise.suspects), unit="rows")
        samples["self_confidence"] = noise.self_confidence
    return DataChecks(dataset=dataset.digest, findings=gravest_first(found), figures=figures, samples=samples)


def gravest_first(findings: Iterable[DataFinding]) -> tuple[DataFinding, ...]:
    """Findings by severity, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: _GRAVITY[finding.severity]))


def _judge(
    dataset: Dataset, X: Matrix, rng: np.random.Generator, progress: Callable[[int, int], None]
) -> tuple[LabelNoise | None, list[Trigger], list[PairFlips]]:
    """What cross-validated models say of labels and marks; nothing where a class has too few rows."""
    y, classes = dataset.y, len(dataset.schema.classes)
    if np.bincount(y, minlength=classes).min() < FOLDS:
        return None, [], []
    plain = grouped_folds(y, (), folds=FOLDS, rng=rng)
    expected = cross_validated(X, y, classes, fold=plain, rng=rng, estimators=linear_estimator)
    marks = find_table_marks(dataset, expected)
    fold = grouped_folds(y, marks, folds=FOLDS, rng=rng)
    P = cross_validated(X, y, classes, fold=fold, rng=rng, progress=progress)
    return judge_labels(P, y, rng=rng), judge_marks(marks, P, y), find_flips(P, y)


def _figures(dataset: Dataset, found: Repetitions, personal: Sequence[PersonalColumn]) -> dict[str, Figure]:
    rows, counts = len(dataset), np.bincount(dataset.y, minlength=len(dataset.schema.classes))
    return {
        "rows": Figure(value=rows, unit="rows"),
        "repeated_rows": Figure(value=len(found.repeated), unit="rows"),
        "contradicting_rows": Figure(value=len(found.contradicting), unit="rows"),
        "near_repeated_rows": Figure(value=len(found.near), unit="rows"),
        "smallest_class_share": Figure(value=float(counts.min() / rows)),
        "missing_share": Figure(value=float(np.isnan(dataset.X).mean())),
        "personal_columns": Figure(value=len(personal), unit="columns"),
    }


_GRAVITY: Final = {"serious": 0, "warning": 1, "info": 2}
_BEFORE_FOLDS: Final = 3


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
