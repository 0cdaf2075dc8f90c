"""The policy: no evidence is never a pass, and evidence about something else is no evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ConfigError
from holdfast.evidence import Evidence, Figure, digest_bytes
from holdfast.policy import REQUIRABLE, THRESHOLDS, Policy, judge

MODEL, OTHER, DATA = (digest_bytes(name) for name in (b"model", b"other", b"data"))


def item(kind: str, figure: str, value: float, *, subject: str = MODEL, **interval: Any) -> Evidence:
    return Evidence(
        kind=kind,
        subject=subject,
        subject_kind="dataset" if subject == DATA else "model",
        title="a measurement",
        figures={figure: Figure(value=value, **interval)},
    )


def meeting(name: str, value: float, **changes: Any) -> Evidence:
    return item(THRESHOLDS[name].kind, THRESHOLDS[name].figure, value, **changes)


@pytest.mark.parametrize("name", THRESHOLDS)
@given(limit=st.floats(0, 10), value=st.floats(0, 10))
def test_a_threshold_is_met_exactly_on_its_side(name: str, limit: float, value: float) -> None:
    verdict = judge(Policy(limits={name: limit}), [meeting(name, value)], model_digest=MODEL)
    expected = value <= limit if name.startswith("max") else value >= limit
    assert verdict.met == expected
    (finding,) = verdict.findings
    assert finding.outcome == ("met" if expected else "not met")
    assert finding.limit == limit
    assert finding.figure is not None
    assert finding.figure.value == value


@pytest.mark.parametrize("name", THRESHOLDS)
class TestNoEvidence:
    def verdict(self, name: str, evidence: list[Evidence]) -> Any:
        limit = 1e9 if name.startswith("max") else -1e9
        return judge(Policy(limits={name: limit}), evidence, model_digest=MODEL)

    def test_is_never_a_pass(self, name: str) -> None:
        verdict = self.verdict(name, [])
        assert not verdict.met
        assert verdict.findings[0].outcome == "no evidence"

    def test_is_what_evidence_about_another_model_is(self, name: str) -> None:
        assert not self.verdict(name, [meeting(name, 0.5, subject=OTHER)]).met

    def test_is_what_evidence_without_the_figure_is(self, name: str) -> None:
        assert not self.verdict(name, [item(THRESHOLDS[name].kind, "something_else", 0.5)]).met

    def test_is_what_a_figure_of_a_model_that_calls_itself_one_of_data_is(self, name: str) -> None:
        """Evidence about data is not bound to a model, so it must not stand in for evidence that is."""
        assert not self.verdict(name, [meeting(name, 0.5, subject=DATA)]).met
        kind = THRESHOLDS[name].kind
        assert not judge(Policy(limits={}, require=(kind,)), [meeting(name, 0.5, subject=DATA)], model_digest=MODEL).met


def test_required_kinds_must_be_there_about_this_model_or_about_data() -> None:
    policy = Policy(limits={}, require=("card", "data-checks"))
    card, checks = item("card", "size", 1), item("data-checks", "rows", 569, subject=DATA)
    assert judge(policy, [card, checks], model_digest=MODEL).met
    for evidence in ([], [card], [checks], [item("card", "size", 1, subject=OTHER), checks]):
        verdict = judge(policy, evidence, model_digest=MODEL)
        assert not verdict.met
        assert "no evidence" in {finding.outcome for finding in verdict.findings}


@pytest.mark.parametrize("kind", [*REQUIRABLE, "card"])
def test_evidence_does_not_choose_itself_what_it_is_about(kind: str) -> None:
    """What says that it is about data is bound to no model, so only the kinds that are about data may say so."""
    policy = Policy(limits={}, require=(kind,))
    about_data, about_model = item(kind, "x", 1, subject=DATA), item(kind, "x", 1, subject=MODEL)
    assert judge(policy, [about_data], model_digest=MODEL).met == (kind == "data-checks")
    assert judge(policy, [about_model], model_digest=MODEL).met == (kind != "data-checks")
    of_this_name = replace(about_data, subject=MODEL)
    assert judge(policy, [of_this_name], model_digest=MODEL).met == (kind == "data-checks")


@pytest.mark.parametrize("contradicts", [0.0, 1.0])
def test_an_audit_that_contradicts_its_claim_does_not_meet_a_demand_for_audits(contradicts: float) -> None:
    policy = Policy(limits={}, require=("privacy-audit",))
    audits = [item("privacy-audit", "contradicts", found) for found in (contradicts, 0.0)]
    verdict = judge(policy, audits, model_digest=MODEL)
    assert verdict.met == (contradicts == 0)
    assert ("contradicts what is claimed" in verdict.findings[0].reason) == (contradicts == 1)


def test_one_demand_not_met_is_enough_to_fail() -> None:
    policy = Policy(limits={"max_epsilon": 3, "min_accuracy": 0.9}, require=("evasion",))
    good = [meeting("max_epsilon", 1), meeting("min_accuracy", 0.95), item("evasion", "robust_accuracy", 0.1)]
    assert judge(policy, good, model_digest=MODEL).met
    for left_out in range(3):
        assert not judge(policy, good[:left_out] + good[left_out + 1 :], model_digest=MODEL).met
    assert not judge(policy, [*good, meeting("max_epsilon", 3.0001)], model_digest=MODEL).met


def test_a_policy_without_demands_is_met_by_any_model() -> None:
    assert judge(Policy(limits={}), [], model_digest=MODEL).met


@pytest.mark.parametrize(("low", "high", "uncertain"), [(0.85, 0.95, True), (0.91, 0.95, False), (0.9, 0.95, False)])
def test_an_interval_on_both_sides_of_the_limit_is_said_to_be_uncertain(
    low: float, high: float, uncertain: bool
) -> None:
    evidence = [meeting("min_robust_accuracy", 0.92, low=low, high=high, confidence=0.95)]
    (finding,) = judge(Policy(limits={"min_robust_accuracy": 0.9}), evidence, model_digest=MODEL).findings
    assert finding.outcome == "met"
    assert finding.uncertain is uncertain
    assert "robust accuracy is 0.92, at least 0.9 is demanded" in finding.reason


def test_a_kind_that_cannot_be_required_is_answered_with_those_that_can() -> None:
    with pytest.raises(ConfigError) as refused:
        Policy.from_table({"require": ["service-watch"]})
    assert all(kind in refused.value.hint for kind in REQUIRABLE)


@given(
    st.dictionaries(st.sampled_from(list(THRESHOLDS)), st.floats(0, 100)),
    st.lists(st.sampled_from(REQUIRABLE), max_size=3),
)
def test_a_policy_is_read_back_as_it_was_written(limits: dict[str, float], require: list[str]) -> None:
    policy = Policy(limits=limits, require=tuple(require))
    assert Policy.from_table(policy.to_table()) == policy


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"max_epsylon": 3}, "does not know 'max_epsylon'"),
    ({"max_epsilon": "3"}, "max_epsilon must be a number, got '3'"),
    ({"max_epsilon": True}, "max_epsilon must be a number, got True"),
    ({"max_epsilon": None}, "max_epsilon must be a number"),
    ({"max_epsilon": float("nan")}, "max_epsilon must be a finite number"),
    ({"max_epsilon": float("inf")}, "max_epsilon must be a finite number"),
    ({"min_accuracy": float("-inf")}, "min_accuracy must be a finite number"),
    ({"max_epsilon": 10**400}, "max_epsilon must be a finite number"),
    ({"max_epsilon": 1 << 20_000}, "max_epsilon must be a finite number"),
    ({"require": "evasion"}, "require must be a list"),
    ({"require": [1]}, "require must be a list"),
    ({"require": ["data-checks", "reading"]}, "names 'reading', which no sealed model can have"),
    ({"require": ["service-watch"]}, "names 'service-watch'"),
    ({"require": ["evason"]}, "names 'evason'"),
    ({"require": ["x" * 10_000]}, "names 'x+, which"),
)


@pytest.mark.parametrize(("table", "message"), WRONG)
def test_a_policy_that_says_nothing_sensible_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        Policy.from_table(table)
    assert len(str(refused.value)) < 300


def test_a_policy_cannot_be_changed_once_made() -> None:
    limits = {"max_epsilon": 3.0}
    policy = Policy(limits=limits)
    limits["max_epsilon"] = 100.0
    assert policy.limits["max_epsilon"] == 3.0
    with pytest.raises(TypeError):
        policy.limits["max_epsilon"] = 100.0  # type: ignore[index]


def test_of_several_measurements_the_worst_is_judged() -> None:
    def measured(value: float) -> Evidence:
        return Evidence(
            kind="evasion",
            subject=MODEL,
            subject_kind="model",
            title="",
            figures={"robust_accuracy": Figure(value=value)},
        )

    policy = Policy(limits={"min_robust_accuracy": 0.7})
    for order in ([0.6, 0.9], [0.9, 0.6]):
        verdict = judge(policy, map(measured, order), model_digest=MODEL)
        assert not verdict.met
        assert verdict.findings[0].figure == Figure(value=0.6)
