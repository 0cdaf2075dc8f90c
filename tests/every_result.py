"""One result of every type that the rooms give, made of counts and not of attacks, so that it costs nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from holdfast.attacks import EvasionResult, ExtractionResult, FeasibleChange
from holdfast.attacks.changed_features import ChangedFeature
from holdfast.attacks.evasion_result import evasion_result
from holdfast.attacks.images.threat import PixelChange
from holdfast.attacks.poisoning.success import BackdoorResult
from holdfast.attacks.privacy import AttributeResult, audit, gaussian, risk_list, toss
from holdfast.attacks.privacy.membership_result import MembershipResult, membership_result
from holdfast.data import tumour_schema
from holdfast.data.checks import DataChecks
from holdfast.detection.limit import conformal_limit
from holdfast.detection.trial import DetectionTrial
from holdfast.evidence import NO_MODEL, Figure
from holdfast.hardening.images.certify import Certificate
from holdfast.hardening.images.smoothing import SmoothedCertificate
from holdfast.hardening.outputs import OutputDefence
from holdfast.hardening.outputs_price import OutputPrice, OutputQuality
from holdfast.hardening.ownership.result import OwnershipResult
from holdfast.hardening.result import HardeningResult, compare
from holdfast.intervals import proportion
from holdfast.serving.trial import WatchTrial
from holdfast.telling import Printed
from holdfast.training import Entry, Ledger, private_events
from holdfast.training.partitions.certificate import PoisonCertificate

ROWS = 2_000
"""So many that a result which prints them by mistake is long."""
FLAGS = np.arange(ROWS) % 3 > 0
SCORES = np.random.default_rng(0).normal(size=ROWS) + FLAGS
SHARE = proportion(3, 10)


def evaded(*, exact: bool = False, share: float = 0.3) -> EvasionResult:
    """An evasion of rows: so many of those that were right are flipped, half of the budget away."""
    y, flipped = FLAGS.astype(np.int64), np.arange(ROWS) < share * ROWS
    return evasion_result(
        threat=FeasibleChange(budget=0.0625, costs={"amount": 2.0}, max_cost=0.5),
        within="when every changeable feature may move by 0.0625 of its range",
        method="a search",
        exact=exact,
        black_box=True,
        y=y,
        before=np.eye(2)[y],
        after=np.where(flipped, 1 - y, y),
        distance=np.where(flipped, 0.03125, np.inf),
        queries=np.full(ROWS, 7),
        adversarial=np.zeros((ROWS, 2)),
        cost=np.where(flipped, 0.25, 0.0),
        changed=(ChangedFeature(name="amount", rows=1.0, move=0.03125),),
    )


def hardened() -> HardeningResult[Any]:
    return compare(object(), method="retraining", before=evaded(), after=evaded(share=0.1), details={})


def extracted() -> ExtractionResult:
    return ExtractionResult(
        copy=None,  # type: ignore[arg-type]
        method="path finding",
        queries=100,
        asked=120,
        stopped_by="",
        agrees=FLAGS,
        gaps=abs(SCORES),
        fidelity=proportion(90, 100, bound="lower"),
        copy_accuracy=SHARE,
        oracle_accuracy=SHARE,
        baseline_fidelity=SHARE,
        curve_queries=np.array([50, 100]),
        curve_fidelity=np.array([0.5, 0.9]),
    )


def membership() -> MembershipResult:
    return membership_result(SCORES, FLAGS, attack="LiRA", unit="nats", threshold=0.5, n_shadows=8)


def attribute() -> AttributeResult:
    return AttributeResult(
        feature="income",
        choices=10,
        with_model=FLAGS,
        by_imputation=~FLAGS,
        accuracy=SHARE,
        imputation=SHARE,
        gain=Figure(value=0.1, low=0.0, high=0.2, confidence=0.95, bound="lower"),
        advantage=Figure(value=0.1, low=0.0, high=0.2, confidence=0.95, bound="lower"),
        members=np.arange(ROWS),
    )


def output_price() -> OutputPrice:
    quality = OutputQuality(
        accuracy=SHARE,
        log_loss=0.4,
        calibration_error=0.1,
        fidelity=proportion(90, 100, bound="lower"),
        best_attacker="labels alone",
        membership_auc=Figure(value=0.5, low=0.4, high=0.6, confidence=0.95, bound="lower"),
        by_attacker={"labels alone": extracted()},
    )
    return OutputPrice(defence=OutputDefence(decimals=2), queries=100, before=quality, after=quality)


def statement() -> Printed:
    events = private_events(tumour_schema(), epsilon=2.0, delta=1e-5)
    entry = Entry(step="train", data_digest=NO_MODEL, released=True, events=events, method="logistic-regression")
    return Ledger(epsilon_limit=8.0, delta=1e-5).add(entry).statement_for("train")


@cache
def every_result() -> dict[str, Printed]:
    """By the name of their types."""
    rng = np.random.default_rng(5)
    included = toss(400, rng=rng)
    threat = PixelChange(radius=8 / 255)
    results: list[Printed] = [
        evaded(),
        hardened(),
        extracted(),
        membership(),
        risk_list(membership()),
        attribute(),
        audit(rng.normal(size=400) + included, included, claim=gaussian(1.0, 1e-5)),
        BackdoorResult(
            target_class=1,
            trigger={"patch": "corner"},
            attack_success=proportion(9, 10, bound="lower"),
            without_trigger=SHARE,
            clean_accuracy=SHARE,
            fooled=FLAGS,
        ),
        DetectionTrial(
            kind="distances",
            window=5,
            limit=conformal_limit(SCORES, false_alarm_rate=0.01),
            clean=SCORES,
            attack=SCORES + 3,
        ),
        PoisonCertificate(
            partitions=50, y=FLAGS.astype(np.int64), labels=np.ones(ROWS, dtype=np.int64), radii=np.arange(ROWS) % 12
        ),
        Certificate(threat=threat, correct=FLAGS, margin=SCORES, accuracy=SHARE, certified_accuracy=SHARE),
        SmoothedCertificate(
            sigma=0.25,
            samples=100,
            failure_probability=0.001,
            y=FLAGS.astype(np.int64),
            prediction=np.ones(ROWS, dtype=np.int64),
            radius=abs(SCORES),
        ),
        output_price(),
        OwnershipResult(
            method="watermark", commitment="c" * 64, queries=50, matches=48, p_value=1e-9, alpha=0.01, null="chance"
        ),
        WatchTrial(
            clients=100,
            flagged=1,
            rows_per_client=50,
            false_alarm_rate=0.01,
            queries_until_flagged={"made up": (5, 0, 9)},
            attack_rows={"made up": 60},
        ),
        DataChecks(dataset=NO_MODEL, findings=(), figures={"rows": SHARE}, samples={"score": SCORES}),
        statement(),
    ]
    return {type(result).__name__: result for result in results}
