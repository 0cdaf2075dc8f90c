"""What a defence of outputs costs, in calibration, beside what it buys, against attackers who know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from holdfast.arguments import check_kind, is_whole
from holdfast.attacks import ExtractionResult, check_subject, extraction
from holdfast.attacks.stats import auc
from holdfast.attacks.stealing.adaptive import Averaged, LabelsAlone, Sharpened
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import UsageError
from holdfast.evidence import Evidence, Figure
from holdfast.hardening.outputs import HardenedOutput, OutputDefence
from holdfast.intervals import proportion
from holdfast.models import Model
from holdfast.telling import Telling

_LEAST_PROBABILITY: Final = 1e-6
"""What an answer of 0 is taken for in a log loss, which is infinite otherwise."""
_BINS: Final = 15
"""Of the calibration error, as Guo et al. 2017 have it."""
_AVERAGED: Final = 5
_SPREAD: Final = 0.01
_REFERENCES: Final = (
    "MITRE ATLAS AML.M0002 Passive AI Output Obfuscation",
    "NIST AI 100-2e2025, mitigations of privacy attacks: limiting and obscuring outputs",
    "OWASP ML05:2023 Model Theft",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputQuality:
    """How good the answers are, and what they give away.

    Args:
        accuracy: share of rows answered rightly.
        log_loss: mean, in nats, with an answer of 0 taken for 1e-6.
        calibration_error: expected calibration error of the most probable class, in 15 bins (Guo et al. 2017).
        fidelity: of the best copy that the attackers made; a lower bound on what can be stolen.
        best_attacker: who made it.
        membership_auc: how well the loss tells members from others; 0.5 is guessing; a lower bound on what leaks.
        by_attacker: the copies of all attackers.
    """

    accuracy: Figure
    log_loss: float
    calibration_error: float
    fidelity: Figure
    best_attacker: str
    membership_auc: Figure
    by_attacker: dict[str, ExtractionResult]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OutputPrice(Telling):
    """A defence of outputs: before and after, on the same rows with as many queries."""

    defence: OutputDefence
    queries: int
    before: OutputQuality
    after: OutputQuality

    def to_evidence(self, model_digest: str) -> Evidence:
        """The price as evidence about the model with this digest."""
        before, after = self.before, self.after
        figures: dict[str, Figure] = {}
        for name, quality in (("before", before), ("after", after)):
            figures |= {
                f"accuracy_{name}": quality.accuracy,
                f"log_loss_{name}": Figure(value=quality.log_loss, unit="nats"),
                f"calibration_error_{name}": Figure(value=quality.calibration_error),
                f"fidelity_{name}": quality.fidelity,
                f"membership_auc_{name}": quality.membership_auc,
            }
        return Evidence(
            kind="output-hardening",
            subject=model_digest,
            subject_kind="model",
            title=f"Hardened outputs change what {self.queries} queries can copy from {before.fidelity.value:.1%} to "
            f"{after.fidelity.value:.1%} of rows, and the log loss from {before.log_loss:.3f} to {after.log_loss:.3f}",
            figures=figures | {"queries": Figure(value=self.queries, unit="queries")},
            context={
                "defence": self.defence.to_json(),
                "best_attacker_before": before.best_attacker,
                "best_attacker_after": after.best_attacker,
                "fidelity_by_attacker": {name: copy.fidelity.value for name, copy in after.by_attacker.items()},
            },
            references=_REFERENCES,
            caveats=(
                "The class of every row stays as it is, so an attacker with more queries learns where classes part.",
                "Attackers who know the defence were run; another may copy more with as many queries.",
                "Membership is judged by the loss alone, without shadow models; stronger attacks may find more.",
            ),
        )


def price(
    model: Model,
    hardened: HardenedOutput,
    *,
    members: Dataset,
    non_members: Dataset,
    queries: int,
    rng: np.random.Generator,
) -> OutputPrice:
    """Measure a defence: accuracy and calibration beside what can be copied and who can be recognised.

    Copies are made by attackers who know the defence: one takes the answers as they are, one looks at labels alone, one
    undoes the temperature, one averages over near-duplicates, which costs as many queries. The best counts.

    Args:
        model: the model as it is.
        hardened: the same model behind the defence.
        members: rows that it was trained on.
        non_members: rows that it was not trained on; accuracy, calibration and copies are measured on them.
        queries: rows that each attacker may ask.
        rng: for the attackers.

    Raises:
        UsageError: an argument of another kind, `hardened` is of another model, or too few queries.
        DataError: the data does not fit the model, or has no rows.
    """
    check_kind("hardened", hardened, HardenedOutput, example="HardenedOutput(model, OutputDefence(decimals=2))")
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    for name, data in (("members", members), ("non_members", non_members)):
        check_kind(name, data, Dataset, example="load(frame, schema)")
    if hardened.model is not model:
        raise UsageError("expected a defence of the same model, got that of another one")
    if not is_whole(queries) or queries < _AVERAGED:
        raise UsageError(f"expected at least {_AVERAGED} queries for the attackers, got {queries!r}")
    check_subject(model, members)
    check_subject(model, non_members)
    seed = int(rng.integers(2**31))  # the same questions before and after
    plain = HardenedOutput(model, OutputDefence(), hardened.key)
    before, after = (
        _quality(each, members, non_members, queries, np.random.default_rng(seed)) for each in (plain, hardened)
    )
    return OutputPrice(defence=hardened.defence, queries=queries, before=before, after=after)


def _quality(
    oracle: HardenedOutput, members: Dataset, others: Dataset, queries: int, rng: np.random.Generator
) -> OutputQuality:
    P = oracle.predict_proba(others.X)
    copies = {
        name: extraction(asked, reference=others, queries=allowed, rng=rng, model=oracle.model)
        for name, (asked, allowed) in _attackers(oracle, queries, rng).items()
    }
    best = max(copies, key=lambda name: copies[name].fidelity.value)
    member_losses = _losses(oracle.predict_proba(members.X), members.y)
    losses = _losses(P, others.y)
    return OutputQuality(
        accuracy=proportion(int((P.argmax(axis=1) == others.y).sum()), len(others)),
        log_loss=float(losses.mean()),
        calibration_error=calibration_error(P, others.y),
        fidelity=copies[best].fidelity,
        best_attacker=best,
        membership_auc=auc(-member_losses, -losses, bound="lower"),
        by_attacker=copies,
    )


def _attackers(oracle: HardenedOutput, queries: int, rng: np.random.Generator) -> dict[str, tuple[Model, int]]:
    """Those who know the defence, each with what he asks and how often; those that would do the same are left out."""
    defence = oracle.defence
    attackers: dict[str, tuple[Model, int]] = {"answers as they are": (oracle, queries)}
    if defence == OutputDefence():
        return attackers
    attackers["labels alone"] = (LabelsAlone(oracle=oracle), queries)
    if defence.temperature != 1:
        attackers["temperature undone"] = (Sharpened(oracle=oracle, temperature=defence.temperature), queries)
    if defence.noise or defence.decimals is not None:
        averaged = Averaged(oracle=oracle, times=_AVERAGED, spread=_SPREAD, rng=rng)
        attackers["near-duplicates averaged"] = (averaged, queries // _AVERAGED)
    return attackers


def calibration_error(P: Matrix, y: Labels) -> float:
    """The gap between how sure answers are and how often they are right, in bins of equal width, weighted by rows."""
    sure, right = P.max(axis=1), P.argmax(axis=1) == y
    bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(y))


def _losses(P: Matrix, y: Labels) -> Matrix:
    return np.asarray(-np.log(np.maximum(P[np.arange(len(y)), y], _LEAST_PROBABILITY)))
