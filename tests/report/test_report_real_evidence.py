"""The report reads the names that the steps write: with real evidence every section has its plot."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from holdfast.attacks import FeasibleChange, evasion, extraction, membership_inference
from holdfast.data import Dataset, run_checks
from holdfast.evidence import Evidence
from holdfast.hardening import harden, robust_logistic
from holdfast.models import LinearModel, OnnxModel, fit_estimator
from holdfast.policy import Policy, judge
from holdfast.report import DatasetFacts, ReportInput, render_report
from holdfast.report.measured import Section, sections
from holdfast.report.outlook import price
from holdfast.training import Entry, Ledger, measure_utility, private_events

THREAT = FeasibleChange(budget=0.05)


def logistic(data: Dataset, *, seed: int) -> LinearModel | OnnxModel:
    return fit_estimator(LogisticRegression(max_iter=500), data)


def evidence_of(train: Dataset, test: Dataset) -> tuple[str, tuple[Evidence, ...]]:
    """The reported model's digest, and what the rooms say of it, of the one before it, and of the data."""
    rng = np.random.default_rng(0)
    before = logistic(train, seed=0)
    result = harden(before, train, test, trainer=robust_logistic, threat=THREAT, rng=rng)
    after = result.model
    assert isinstance(after, LinearModel)
    membership = membership_inference(after, members=train, non_members=test, trainer=logistic, n_shadows=4, rng=rng)
    ledger, made = Ledger(epsilon_limit=8.0, delta=1e-5), []
    for step, model in (("train", before), ("harden", after)):
        events = private_events(train.schema, epsilon=2.0, delta=1e-5)
        ledger = ledger.add(
            Entry(step=step, data_digest=train.digest, released=True, events=events, method="logistic-regression")
        )
        made.append(ledger.statement_for(step).to_evidence(model.digest))
    return after.digest, (
        run_checks(train, rng=rng).to_evidence(),
        *made,
        measure_utility(before, test),
        evasion(before, test, threat=THREAT, rng=rng).to_evidence(before.digest),
        result.to_evidence(after.digest),
        measure_utility(after, test),
        membership.to_evidence(after.digest),
        evasion(after, test, threat=THREAT, rng=rng).to_evidence(after.digest),
        extraction(after, reference=test, queries=60, rng=rng).to_evidence(after.digest),
    )


@pytest.fixture(scope="module")
def story(tumour: Dataset) -> ReportInput:
    train, test = tumour.split(test_fraction=0.4, seed=0)
    digest, evidence = evidence_of(train, test)
    policy = Policy(limits={"max_epsilon": 8.0, "min_robust_accuracy": 0.8, "max_extraction_fidelity": 0.99})
    return ReportInput(
        project="real",
        model_name="tumour",
        model_version="1",
        model_digest=digest,
        dataset=DatasetFacts(name="t", digest=train.digest, rows=len(train), features=30, classes=train.schema.classes),
        evidence=evidence,
        verdict=judge(policy, evidence, model_digest=digest),
    )


def section(story: ReportInput, anchor: str) -> Section:
    return next(section for section in sections(story) if section.anchor == anchor)


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("utility", ["Figures with their intervals"]),
        ("privacy-guarantee", ["Privacy budget spent, by use of the records"]),
        ("membership-inference", ["Membership attack, ROC on log axes", "Score of every record"]),
        ("evasion", ["Security curve"]),
        ("extraction", ["How fast the model can be copied"]),
    ],
)
def test_real_evidence_has_its_plot(story: ReportInput, kind: str, titles: list[str]) -> None:
    assert [plot.title for plot in section(story, kind).plots] == titles


def test_both_uses_of_the_records_are_named_in_the_budget(story: ReportInput) -> None:
    legend = [label for _, label in section(story, "privacy-guarantee").plots[0].legend]
    assert [label.split(":")[0] for label in legend] == ["1 train", "2 harden"]


def test_the_security_curve_shows_the_model_before_hardening_too(story: ReportInput) -> None:
    legend = [label for _, label in section(story, "evasion").plots[0].legend]
    assert legend == ["this model", "before hardening"]


def test_the_findings_of_the_checks_are_listed_with_their_advice(story: ReportInput) -> None:
    findings = section(story, "data-checks").findings
    assert findings
    assert all(finding.sentence and finding.severity and finding.action for finding in findings)


def test_hardening_is_weighed_with_a_plot(story: ReportInput) -> None:
    weighed = price(story)
    assert weighed is not None
    assert [plot.title for plot in weighed.plots] == ["Before and after", "Security curve"]
    assert [row.name for row in weighed.totals] == ["Gain", "Cost", "Budget", "Rows"]


def test_the_page_of_real_evidence_is_small_and_names_every_demand(story: ReportInput) -> None:
    page = render_report(story)
    assert len(page.encode()) < 600_000
    assert all(name in page for name in ("Privacy loss ε", "Accuracy under attack", "Fidelity of a stolen copy"))
