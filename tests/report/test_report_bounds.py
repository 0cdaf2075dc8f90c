"""What is proven beside what was measured: audits, certificates, and attacks on privacy as the rooms leave them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from holdfast.attacks.privacy import audit, gaussian, toss
from holdfast.attacks.privacy.audit import AuditResult
from holdfast.attacks.privacy.inversion_result import InversionResult
from holdfast.attacks.privacy.membership_result import membership_result
from holdfast.attacks.privacy.risk import risk_list
from holdfast.drawing.bounds import audit_bounds, certified_curve
from holdfast.drawing.chart import Plot
from holdfast.evidence import Evidence, Figure
from holdfast.intervals import proportion
from holdfast.report import ReportInput, render_report, report_json
from holdfast.report.measured import Section, sections
from holdfast.report.outlook import next_steps
from holdfast.report.verdict import promises
from holdfast.training.partitions.certificate import PoisonCertificate

from .report_example import MODEL, example


def audited(*, separation: float) -> AuditResult:
    """An audit of a claim of epsilon 1 with 400 canaries, whose scores give the coins away more or less."""
    rng = np.random.default_rng(5)
    included = toss(400, rng=rng)
    return audit(rng.normal(size=400) + separation * included, included, claim=gaussian(1.0, 1e-5))


def certificate() -> PoisonCertificate:
    rng = np.random.default_rng(6)
    y, radii = rng.integers(0, 2, 200), rng.integers(0, 12, 200)
    return PoisonCertificate(
        partitions=50, y=y, labels=np.where(rng.random(200) < 0.9, y, 1 - y), radii=radii, plain_accuracy=0.96
    )


def risks() -> Evidence:
    rng = np.random.default_rng(7)
    member = np.arange(400) < 200
    scores = rng.normal(size=400) + 6 * (np.arange(400) < 40)
    result = membership_result(scores, member, attack="LiRA, online", unit="nats", threshold=0.0, n_shadows=8)
    return risk_list(result).to_evidence(MODEL)


def inverted() -> Evidence:
    pictures = np.random.default_rng(8).random((3, 4, 4, 1))
    drawn = InversionResult(
        pictures=pictures, classes=np.arange(3), confidence=np.array([0.9, 0.8, 0.99]), attack="gradients", queries=30
    )
    return drawn.to_evidence(MODEL, recognised=proportion(2, 3), classes=3)


@pytest.fixture(scope="module")
def story() -> ReportInput:
    """The example with everything that this file is about."""
    run = example()
    more = (audited(separation=0.2).to_evidence(MODEL), certificate().to_evidence(MODEL), risks(), inverted())
    return replace(run, evidence=(*run.evidence, *more))


def section(story: ReportInput, anchor: str) -> Section:
    return next(section for section in sections(story) if section.anchor == anchor)


def ends(plot: Plot) -> list[float]:
    """Where the upright lines of the audit and of the claim stand, in pixels."""
    lines = [mark for mark in plot.marks if mark.css in ("line a", "line b")]
    return [float(mark.attributes["d"][1:].split(",")[0]) for mark in lines]


def test_the_claim_stands_right_of_what_a_true_audit_shows(story: ReportInput) -> None:
    (plot,) = section(story, "privacy-audit").plots
    measured, claimed = ends(plot)
    assert measured < claimed
    assert [label.split(":")[0] for _, label in plot.legend] == ["audit", "claim"]
    assert "the truth lies in the shaded stretch" in plot.caption
    (shaded,) = (mark for mark in plot.marks if mark.css.startswith("area"))
    assert shaded.css == "area a"


def test_a_contradiction_is_drawn_as_one() -> None:
    plot = audit_bounds(audited(separation=6.0).to_evidence(MODEL))
    assert plot is not None
    measured, claimed = ends(plot)
    assert measured > claimed
    assert "crossed" in plot.caption
    assert [mark.css for mark in plot.marks if mark.css.startswith("area")] == ["area b"]


def test_a_contradiction_is_the_first_thing_to_do(story: ReportInput) -> None:
    contradicted = replace(story, evidence=(*story.evidence, audited(separation=6.0).to_evidence(MODEL)))
    urgent = [step.action for step in next_steps(contradicted) if step.urgency == "now"]
    assert any("Do not rely on the epsilon" in action for action in urgent)
    assert not any("Do not rely on the epsilon" in step.action for step in next_steps(story))


def test_bounds_are_rounded_away_from_what_they_do_not_show() -> None:
    evidence = audited(separation=0.2).to_evidence(MODEL)
    figures = {"epsilon_claimed": Figure(value=1.001, bound="upper"), "epsilon_lower": Figure(value=0.999)}
    plot = audit_bounds(replace(evidence, figures=figures))
    assert plot is not None
    assert [label for _, label in plot.legend] == ["audit: at least 0.99", "claim: at most 1.01"]


def test_the_privacy_promise_names_both_bounds(story: ReportInput) -> None:
    promise = next(promise for promise in promises(story) if promise.name == "Privacy of the records")
    assert any("is the least ε, as an audit" in detail for detail in promise.details)


def test_the_certificate_falls_in_steps_and_shows_what_it_costs(story: ReportInput) -> None:
    (plot,) = section(story, "poison-certificate").plots
    (line,) = (mark for mark in plot.marks if mark.css == "line a")
    heights = [float(point.split(",")[1]) for point in line.attributes["d"][1:].split("L")]
    assert heights == sorted(heights)
    assert [css for css, _ in plot.legend] == ["line a", "dot b"]


@pytest.mark.parametrize("kind", ["privacy-audit", "poison-certificate", "membership-risk", "model-inversion"])
def test_every_kind_has_words_of_its_own(story: ReportInput, kind: str) -> None:
    found = section(story, kind)
    assert found.kind.question.endswith("?")
    assert found.kind.reading
    assert all(row.name[:1].isupper() or row.name[:1] == "ε" for row in found.rows)


def test_who_stands_out_is_counted_and_not_listed(story: ReportInput) -> None:
    listed = risks()
    assert listed.figures["exposed_members"].value > 0
    (shown,) = (item for item in report_json(story)["evidence"] if item["kind"] == "membership-risk")
    assert "samples" not in shown
    assert not any(f"{score:.4f}"[:6] in render_report(story) for score in listed.samples["score"])


@pytest.mark.parametrize("curve", [None, 3, "ab", [], [[1]], [["a", 1]], [[1, float("nan")]], [[0, 1]] * 2_001])
def test_a_curve_that_is_none_is_not_drawn(curve: Any) -> None:
    evidence = certificate().to_evidence(MODEL)
    assert certified_curve(replace(evidence, context={"curve": curve})) is None


@pytest.mark.parametrize("figures", [{}, {"epsilon_lower": Figure(value=1.0)}])
def test_an_audit_without_its_figures_is_not_drawn(figures: dict[str, Figure]) -> None:
    assert audit_bounds(replace(audited(separation=0.0).to_evidence(MODEL), figures=figures)) is None
