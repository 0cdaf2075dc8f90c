"""What the checks found, each in one sentence with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from holdfast.data.dataset import Dataset, Labels
from holdfast.data.label_noise import FOLDS, MAX_TRAINED_ROWS, LabelNoise
from holdfast.data.personal import PersonalColumn
from holdfast.data.rows import OUTLIER_SHARE, Repetitions, Rows
from holdfast.data.schema import Schema

Severity = Literal["info", "warning", "serious"]

_ROWS_SHOWN: Final = 10
_RARE_SHARE: Final = 0.05
_MANY_MISSING: Final = 0.2
_SERIOUS_NOISE: Final = 0.03
_OVERLAP_ACCURACY: Final = 0.9  # below it, hard rows are likely to outnumber wrong labels among the suspects


@dataclass(frozen=True, kw_only=True)
class DataFinding:
    """One thing that a check found.

    Args:
        check: its name: "balance", "missing", "repeated", "contradicting", "near-repeated", "labels", "outliers",
            "personal", "trigger", "flips", "cluster" or "shift".
        severity: "info" to know, "warning" to look at, "serious" to mend before training.
        sentence: what was found.
        advice: what to do about it.
        rows: the rows it is about, all of them, the worst first where they are ranked.
        columns: the columns it is about.
    """

    check: str
    severity: Severity
    sentence: str
    advice: str
    rows: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.severity}: {self.sentence}; {self.advice}"

    @property
    def first_rows(self) -> str:
        """Its first ten rows, as a person reads them; "" where it is about none."""
        if not self.rows:
            return ""
        return ", ".join(map(str, self.rows[:_ROWS_SHOWN])) + (", …" if len(self.rows) > _ROWS_SHOWN else "")

    def to_json(self, *, max_rows: int) -> dict[str, Any]:
        """The finding as JSON, with at most `max_rows` of its rows."""
        return {
            "check": self.check,
            "severity": self.severity,
            "sentence": self.sentence,
            "advice": self.advice,
            "row_count": len(self.rows),
            "rows": list(self.rows[:max_rows]),
            "columns": list(self.columns),
        }


def balance_findings(y: Labels, classes: Sequence[str], *, what: str = "rows") -> list[DataFinding]:
    """Classes that are rare or have too few rows to check and split."""
    findings = []
    for name, count in zip(classes, np.bincount(y, minlength=len(classes)), strict=True):
        share = count / len(y)
        if count >= 2 * FOLDS and share >= _RARE_SHARE:
            continue
        serious = count < 2 * FOLDS
        findings.append(
            DataFinding(
                check="balance",
                severity="serious" if serious else "warning",
                sentence=f"class {name!r} has {count} of {len(y)} {what} ({share:.2%})",
                advice=f"collect at least {2 * FOLDS} {what} of it, or leave the class out"
                if serious
                else "judge the model by recall and precision of this class; accuracy hides it",
            )
        )
    return findings


def missing_findings(dataset: Dataset) -> list[DataFinding]:
    """Columns in which many values are missing."""
    shares = np.isnan(dataset.X).mean(axis=0)
    many = [name for name, share in zip(dataset.schema.names, shares, strict=True) if share > _MANY_MISSING]
    if not many:
        return []
    sentence = f"more than {_MANY_MISSING:.0%} of the values are missing in {_some(many)}"
    advice = "ask why they are missing, and leave out a column that is mostly empty"
    return [DataFinding(check="missing", severity="warning", sentence=sentence, advice=advice, columns=tuple(many))]


def repetition_findings(found: Repetitions, *, rows: int) -> list[DataFinding]:
    """Rows that occur again."""
    findings = []
    if count := len(found.contradicting):
        findings.append(
            DataFinding(
                check="contradicting",
                severity="serious",
                sentence=f"{count} of {rows} rows have a twin with the same values and another label",
                advice="find out which label is right, or leave these rows out",
                rows=_tuple(found.contradicting),
            )
        )
    if count := len(found.repeated):
        findings.append(
            DataFinding(
                check="repeated",
                severity="warning",
                sentence=f"{count} of {rows} rows repeat an earlier row in every value and the label",
                advice="keep one of each if they are one record; repeated rows leak from training into the test set",
                rows=_tuple(found.repeated),
            )
        )
    if count := len(found.near):
        findings.append(
            DataFinding(
                check="near-repeated",
                severity="info",
                sentence=f"{count} of {rows} rows nearly equal an earlier one: in all columns but one, to a thousandth",
                advice="look whether one record was entered, or altered, twice",
                rows=_tuple(found.near),
            )
        )
    return findings


def label_findings(noise: LabelNoise | None, *, rows: int, what: str = "rows") -> list[DataFinding]:
    """Labels that are probably wrong."""
    if noise is None:
        sentence = f"labels were not checked, because a class has fewer than {FOLDS} {what}"
        return [DataFinding(check="labels", severity="warning", sentence=sentence, advice=f"collect more {what} of it")]
    if not len(noise.suspects):
        return []
    rate, overlap = noise.rate, noise.accuracy < _OVERLAP_ACCURACY
    low, high = rate.low or 0.0, rate.high or 0.0
    sentence = (
        f"{len(noise.suspects)} of {rows} labels are doubtful "
        f"(estimated share of wrong labels {rate.value:.1%}, {low:.1%} to {high:.1%})"
    )
    if overlap:
        sentence += (
            f", but cross-validated models agree with only {noise.accuracy:.0%} of all labels: most may be hard {what}"
        )
    if rows * (1 - 1 / FOLDS) > MAX_TRAINED_ROWS:
        sentence += f"; the judging models learned from {MAX_TRAINED_ROWS} {what} drawn at random"
    return [
        DataFinding(
            check="labels",
            severity="serious" if rate.value >= _SERIOUS_NOISE and not overlap else "warning",
            sentence=sentence,
            advice=f"look at these {what}, the most doubtful first, and mend the labels that are wrong",
            rows=_tuple(noise.suspects),
        )
    ]


def outlier_finding(outliers: Rows, *, rows: int, what: str = "rows") -> DataFinding:
    """The most unusual rows."""
    return DataFinding(
        check="outliers",
        severity="info",
        sentence=f"{len(outliers)} of {rows} {what} are listed as most unusual: {OUTLIER_SHARE:.0%}, by construction",
        advice="look at the first few for slips of the pen and wrong units",
        rows=_tuple(outliers),
    )


def personal_findings(personal: Sequence[PersonalColumn], schema: Schema) -> list[DataFinding]:
    """Columns that look like personal data; graver where the model would see them."""
    return [
        DataFinding(
            check="personal",
            severity="serious" if column.name in schema.names else "warning",
            sentence=str(column),
            advice="leave it out of the features, and pseudonymise it in the file"
            if column.name in schema.names
            else "the model does not see it; take it out of the file, or pseudonymise it",
            columns=(column.name,),
        )
        for column in personal
    ]


def _tuple(rows: Rows) -> tuple[int, ...]:
    return tuple(rows.tolist())


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
