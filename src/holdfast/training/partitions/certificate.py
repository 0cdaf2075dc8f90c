"""What a partitioned ensemble withstands, measured on rows with known labels, beside what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.data import Dataset, Labels
from holdfast.data.images import Images
from holdfast.errors import DataError, UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.models import Model, accuracy
from holdfast.telling import Telling
from holdfast.training.partitions.train import (
    PartitionedModel,
    PartitionedPictureModel,
    PictureModel,
    certified_radius,
)

KIND: Final = "poison-certificate"

_CAVEATS: Final = (
    "The certificate counts records that are added, removed or given another label; one whose values are altered "
    "counts twice.",
    "It is about the answer to each of these rows, and holds for rows that were not altered themselves: it says "
    "nothing of evasion.",
    "It holds for the records from the first one on that reaches training; what was wrong with all of them, such as a "
    "biased collection, is no poison that a vote could find.",
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PoisonCertificate(Telling):
    """What poison changes no answer, row by row.

    Args:
        partitions: models that vote.
        y: (rows,) true labels.
        labels: (rows,) the answers.
        radii: (rows,) records that no one can add, remove or relabel so that the answer changes.
        plain_accuracy: of one model trained on all records, where it was given: what the partitions cost.
    """

    partitions: int
    y: Labels
    labels: Labels
    radii: Labels
    plain_accuracy: float | None = None

    def certified_accuracy(self, records: int) -> Figure:
        """The share of rows whose answer is right and stays so whatever `records` records are poisoned.

        The interval is about rows that were not measured; for those measured the share is exact.

        Raises:
            UsageError: fewer than no records.
        """
        if records < 0:
            raise UsageError(f"expected a number of poisoned records from 0, got {records}")
        safe = (self.labels == self.y) & (self.radii >= records)
        return proportion(int(safe.sum()), len(self.y), bound="lower")

    def curve(self) -> tuple[tuple[int, float], ...]:
        """Certified accuracy at every number of poisoned records at which it changes, from 0."""
        right = self.labels == self.y
        steps = [0, *(np.unique(self.radii[right]) + 1).tolist()]
        return tuple((records, float(np.mean(right & (self.radii >= records)))) for records in steps)

    @property
    def median_radius(self) -> int:
        """Poisoned records that half of all rows, or more, are answered rightly in spite of; -1 if half are wrong."""
        right = np.where(self.labels == self.y, self.radii, -1)
        return int(np.sort(right)[::-1][(len(right) + 1) // 2 - 1])

    def to_evidence(self, subject_digest: str) -> Evidence:
        """The certificate as evidence about the model of this digest."""
        clean, tenth = self.certified_accuracy(0), max(1, self.partitions // 10)
        figures = {
            "accuracy": clean,
            "certified_accuracy_one_record": self.certified_accuracy(1),
            f"certified_accuracy_{tenth}_records": self.certified_accuracy(tenth),
            "median_certified_records": Figure(value=self.median_radius, unit="records", bound="lower"),
        }
        if self.plain_accuracy is not None:
            figures["accuracy_of_one_model"] = Figure(value=self.plain_accuracy)
            figures["cost"] = Figure(value=self.plain_accuracy - clean.value)
        return Evidence(
            kind=KIND,
            subject=subject_digest,
            subject_kind="model",
            title=_title(self.median_radius),
            figures=figures,
            samples={"certified_records": np.where(self.labels == self.y, self.radii, -1).tolist()},
            context={
                "method": "deep partition aggregation",
                "partitions": self.partitions,
                "curve": [list(step) for step in self.curve()],
            },
            references=(
                "Levine and Feizi 2021, Deep Partition Aggregation, theorem 1",
                "OWASP ML02:2023 Data Poisoning Attack",
                "NIST AI 100-2e2025 NISTAML.013 Data Poisoning",
                "NIST AI 100-2e2025 NISTAML.024 Targeted Poisoning",
                "MITRE ATLAS AML.T0020 Poison Training Data",
            ),
            caveats=_CAVEATS,
        )


def certify(model: PartitionedModel, test: Dataset, *, plain: Model | None = None) -> PoisonCertificate:
    """Certify a partitioned model on rows that it did not learn from.

    Args:
        model: the ensemble.
        test: rows with true labels.
        plain: one model trained on all records, to show what the partitions cost.

    Raises:
        DataError: no row to certify.
    """
    _check_rows(test)
    labels, radii = certified_radius(model.votes(test.X))
    return PoisonCertificate(
        partitions=len(model.voters),
        y=test.y,
        labels=labels,
        radii=radii,
        plain_accuracy=None if plain is None else accuracy(plain, test),
    )


def certify_pictures(
    model: PartitionedPictureModel, test: Images, *, plain: PictureModel | None = None
) -> PoisonCertificate:
    """The same for pictures."""
    _check_rows(test)
    labels, radii = certified_radius(model.votes(test.pixels))
    return PoisonCertificate(
        partitions=len(model.voters),
        y=test.y,
        labels=labels,
        radii=radii,
        plain_accuracy=None if plain is None else float(np.mean(plain(test.pixels) == test.y)),
    )


def _check_rows(test: Dataset | Images) -> None:
    if not len(test):
        raise DataError("expected at least one row with a known label to certify, got none")


def _title(records: int) -> str:
    match records:
        case 1:
            return "Half of the answers stay right whatever one training record is poisoned"
        case _ if records > 1:
            return f"Half of the answers stay right whatever {records} training records are poisoned"
    return "Fewer than half of the answers stay right if one training record is poisoned"
