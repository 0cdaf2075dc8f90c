"""A run as it might have been: realistic evidence of every kind, made from a fixed seed. Nothing here was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from holdfast.evidence import Evidence, Figure, digest_bytes
from holdfast.policy import Policy, judge
from holdfast.report import DatasetFacts, ReportInput, StepTime

MODEL = digest_bytes(b"hardened model")
BEFORE = digest_bytes(b"model before hardening")
DATA = digest_bytes(b"table")

POLICY = Policy(
    limits={
        "max_epsilon": 8.0,
        "min_accuracy": 0.9,
        "min_robust_accuracy": 0.8,
        "max_membership_advantage": 0.1,
        "max_extraction_fidelity": 0.95,
    },
    require=("data-checks", "private-inference"),
)


def share(value: float, half: float) -> Figure:
    return Figure(value=value, low=max(value - half, 0), high=min(value + half, 1), confidence=0.95)


def data_checks() -> Evidence:
    findings = [
        {
            "severity": "warning",
            "sentence": "11 rows carry a label that cross-validation contradicts",
            "advice": "have these labels checked by someone who knows the cases",
            "rows": [73, 81, 91, 135, 146],
        },
        {
            "severity": "info",
            "sentence": "29 rows are the most unusual 5 %, by construction",
            "advice": "look at the first of them",
        },
        {"severity": "info", "sentence": "no column looks like personal data", "advice": ""},
    ]
    return Evidence(
        kind="data-checks",
        subject=DATA,
        subject_kind="dataset",
        title="569 rows were checked: no duplicates, no personal data, and an estimated 1.9 % of labels are wrong.",
        figures={
            "duplicates": Figure(value=0, unit="rows"),
            "label_noise": Figure(value=0.0193, low=0.0097, high=0.0343, confidence=0.95),
            "outliers": Figure(value=29, unit="rows"),
            "personal_columns": Figure(value=0, unit="columns"),
        },
        context={"findings": findings, "folds": 5},
        references=("Northcutt et al. 2021, Confident Learning",),
        caveats=("Backdoors that keep the label plausible are not looked for.",),
    )


def utility(subject: str, accuracy: float) -> Evidence:
    return Evidence(
        kind="utility",
        subject=subject,
        subject_kind="model",
        title=f"The model is right on {accuracy:.1%} of the 114 test rows.",
        figures={
            "accuracy": share(accuracy, 0.041),
            "balanced_accuracy": share(accuracy - 0.006, 0.046),
            "auc": Figure(value=0.987, low=0.969, high=0.997, confidence=0.95),
            "recall[malignant]": share(0.929, 0.08),
            "recall[benign]": share(0.958, 0.046),
            "log_loss": Figure(value=0.1423),
        },
        context={"test_rows": 114},
        caveats=("Patients of other clinics may differ; nothing here was measured on them.",),
    )


def privacy(subject: str, epsilon: float, steps: tuple[str, ...]) -> Evidence:
    return Evidence(
        kind="privacy-guarantee",
        subject=subject,
        subject_kind="model",
        title="Adding or removing one training record changes the odds of anything released by at most "
        f"e^{epsilon}, up to a probability of 1e-05.",
        figures={
            "epsilon": Figure(value=epsilon, bound="upper"),
            "own_epsilon": Figure(value=3.0, bound="upper"),
            "delta": Figure(value=1e-5, bound="upper"),
            "noise_multiplier": Figure(value=6.42),
            "steps": Figure(value=60),
        },
        context={
            "uses": [{"step": "check", "private": False, "released": False}]
            + [{"step": step, "private": True, "released": True} for step in steps],
            "ledger_digest": digest_bytes(b"ledger"),
        },
        references=("NIST SP 800-226",),
        caveats=("Data checks and evaluation figures in this report were made without privacy.",),
    )


def membership() -> Evidence:
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.normal(0.12, 1.0, 228), rng.normal(0.0, 1.0, 114)])
    return Evidence(
        kind="membership-inference",
        subject=MODEL,
        subject_kind="model",
        title="The attack tells members from outsiders hardly better than guessing: advantage 0.063.",
        figures={
            "advantage": Figure(value=0.063, low=-0.049, high=0.172, confidence=0.95, bound="lower"),
            "auc": Figure(value=0.531, low=0.468, high=0.594, confidence=0.95),
            "tpr_at_1pct_fpr": Figure(value=0.018, low=0.003, high=0.062, confidence=0.95),
            "worst_advantage": Figure(value=0.091, bound="lower"),
        },
        samples={"score": scores.tolist(), "member": [1.0] * 228 + [0.0] * 114},
        context={"attack": "LiRA, online", "n_shadows": 64, "riskiest_members": [77, 12, 190]},
        references=("MITRE ATLAS AML.T0024.000", "OWASP ML04:2023"),
        caveats=(
            "A stronger attack may find more; this is a lower bound.",
            "114 outsiders cannot show a TPR at 0.1 % FPR.",
        ),
    )


def evasion(subject: str, start: float, slope: float) -> Evidence:
    budgets = [round(0.0025 * place, 4) for place in range(41)]
    robust = [max(start - slope * b - 4 * b * b * slope, 0.0) for b in budgets]
    at = robust[budgets.index(0.05)]
    return Evidence(
        kind="evasion",
        subject=subject,
        subject_kind="model",
        title=f"With every field changed by up to 5 % of its range, {at:.1%} of the decisions stay right.",
        figures={
            "robust_accuracy": share(at, 0.067),
            "clean_accuracy": share(start, 0.04),
            "budget": Figure(value=0.05, unit="of range"),
            "median_distance": Figure(value=0.031, unit="of range"),
        },
        context={
            "curve": {"budgets": budgets, "robust_accuracy": robust},
            "method": "exact (linear program)",
            "threat": {"budget": 0.05, "max_category_changes": 0},
        },
        references=("MITRE ATLAS AML.T0043",),
        caveats=("Changes of more than the budget, or that break the schema, are not covered.",),
    )


def extraction() -> Evidence:
    queries = [0, 10, 20, 31, 62, 125, 250, 500]
    fidelity = [0.63, 0.82, 0.9, 0.991, 1.0, 1.0, 1.0, 1.0]
    return Evidence(
        kind="extraction",
        subject=MODEL,
        subject_kind="model",
        title="A copy made with 500 queries gives the same class on 100.0% of rows",
        figures={
            "fidelity": Figure(value=1.0, low=0.968, high=1.0, confidence=0.95, bound="lower"),
            "baseline_fidelity": share(0.632, 0.09),
            "queries": Figure(value=500, unit="queries"),
        },
        context={"curve": {"queries": queries, "fidelity": fidelity}, "method": "linear equations"},
        references=("MITRE ATLAS AML.T0024.002", "OWASP ML05:2023"),
        caveats=("The attacker knew the schema and no real rows.",),
    )


def hardening() -> Evidence:
    return Evidence(
        kind="hardening",
        subject=MODEL,
        subject_kind="model",
        title="Hardening keeps 15.8 more of 100 decisions right under attack, for 0.9 fewer without one.",
        figures={
            "robust_accuracy_before": share(0.675, 0.088),
            "robust_accuracy_after": share(0.833, 0.067),
            "accuracy_before": share(0.956, 0.037),
            "accuracy_after": share(0.947, 0.041),
            "gain": Figure(value=0.158, low=0.083, high=0.233, confidence=0.95),
            "cost": Figure(value=0.009, low=-0.018, high=0.036, confidence=0.95),
        },
        context={"method": "private adversarial training", "epsilon": 3.0},
        caveats=("Other attacks than the one trained against were not tried.",),
    )


def private_inference() -> Evidence:
    return Evidence(
        kind="private-inference",
        subject=MODEL,
        subject_kind="model",
        title="All 114 encrypted answers equal the clear ones, bit for bit; the service saw ciphertext only.",
        figures={
            "agreement": Figure(value=1.0, low=0.968, high=1.0, confidence=0.95),
            "worst_error": Figure(value=3.1e-7, bound="upper"),
            "server_ms": Figure(value=4.6, unit="ms"),
            "client_ms": Figure(value=11.2, unit="ms"),
            "round_trip_ms": Figure(value=21.7, unit="ms"),
            "query_bytes": Figure(value=219_304, unit="bytes"),
            "answer_bytes": Figure(value=61_530, unit="bytes"),
            "key_bytes": Figure(value=219_280, unit="bytes"),
        },
        context={
            "first_bytes": np.random.default_rng(1).bytes(128).hex(),
            "security": "ring dimension 8192, log2 Q 202 of 214 allowed for 128 bits, ternary secret",
        },
        caveats=("The service sees who asks, when, and how many rows.", "m + 1 exact scores solve for a linear model."),
    )


def service_watch() -> Evidence:
    return Evidence(
        kind="service-watch",
        subject=MODEL,
        subject_kind="model",
        title="The extraction attack was flagged and blocked after 12 queries on the live service.",
        figures={
            "queries_until_flagged": Figure(value=12, unit="queries"),
            "false_alarm_rate": Figure(value=0.005, low=0.0, high=0.028, confidence=0.95),
        },
        context={"action": "block", "simulated_clients": 200},
        caveats=("Encrypted queries are counted, not looked at.",),
    )


def example(**changes: Any) -> ReportInput:
    """The whole run; `changes` replaces fields."""
    evidence = (
        data_checks(),
        utility(BEFORE, 0.956),
        privacy(BEFORE, 3.0, ("train",)),
        privacy(MODEL, 4.37, ("train", "harden")),
        membership(),
        evasion(BEFORE, 0.956, 4.6),
        hardening(),
        utility(MODEL, 0.947),
        evasion(MODEL, 0.947, 1.9),
        extraction(),
        private_inference(),
        service_watch(),
    )
    story = ReportInput(
        project="Breast tumour triage",
        model_name="tumour",
        model_version="1",
        model_digest=MODEL,
        dataset=DatasetFacts(
            name="Wisconsin diagnostic breast cancer",
            digest=DATA,
            rows=569,
            features=30,
            classes=("benign", "malignant"),
        ),
        evidence=evidence,
        verdict=judge(POLICY, evidence, model_digest=MODEL),
        privacy_statement="Unit of privacy: one patient record, added or removed.\n"
        "Guarantee: (ε, δ)-differential privacy with ε ≤ 4.37 and δ = 10⁻⁵, over all trainings of this model.\n"
        "Not covered: evaluation figures, data checks and test rows.",
        steps=(
            StepTime(name="check", seconds=2.1),
            StepTime(name="train", seconds=0.31),
            StepTime(name="attack", seconds=9.4),
            StepTime(name="harden", seconds=3.3),
            StepTime(name="seal", seconds=0.04),
            StepTime(name="serve and ask", seconds=4.0, reused=True),
        ),
        versions={"holdfast": "0.1.0", "python": "3.11.9", "numpy": "2.3.4"},
        created="2026-01-31T12:00:00Z",
    )
    return replace(story, **changes)


def passing() -> ReportInput:
    """The same run under a policy that it meets for certain."""
    story = example()
    policy = Policy(limits={"max_epsilon": 8.0, "min_accuracy": 0.85}, require=("data-checks",))
    return replace(story, verdict=judge(policy, story.evidence, model_digest=MODEL))
