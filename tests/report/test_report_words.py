"""Words, verdicts and next steps: never surer than what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.drawing.words import (
    duration,
    figure_name,
    humanise,
    interval,
    number,
    percent,
    plain,
    quantity,
    sentence,
    share,
)
from holdfast.evidence import Evidence, Figure
from holdfast.policy import Policy, Verdict, judge
from holdfast.report import ReportInput
from holdfast.report.kinds import KINDS
from holdfast.report.outlook import next_steps, not_covered, price
from holdfast.report.verdict import headline, promises

from .report_example import MODEL, evasion, example, passing, utility


def judged(story: ReportInput, **limits: float) -> Verdict:
    return judge(Policy(limits=limits), story.evidence, model_digest=MODEL)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.0, "1"),
        (0.9471, "0.947"),
        (-0.049, "\u22120.049"),
        (4.366, "4.37"),
        (123.45, "123.5"),
        (219_304, "219\u202f304"),
        (12_345.6, "12\u202f346"),
        (1e-5, "1\u00a0\u00d7\u00a010⁻⁵"),
        (3.14e-7, "3.1\u00a0\u00d7\u00a010⁻⁷"),
    ],
)
def test_a_number_reads_as_people_write_it(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_has_a_text_with_a_digit(value: float) -> None:
    assert any(letter.isdigit() for letter in number(value))


@given(st.floats(1e-9, 1e9), st.sampled_from([-1, 1]))
def test_a_bound_is_never_rounded_to_more_than_was_shown(size: float, sign: int) -> None:
    value = sign * size
    upper, lower = (quantity(Figure(value=value, bound=bound)) for bound in ("upper", "lower"))
    slack = 1e-9 * size
    assert read(upper) >= value - slack
    assert read(lower) <= value + slack
    assert read(upper) - read(lower) == pytest.approx(0, abs=0.01 * size + 1.1e-3)
    printed = [float(str(Figure(value=value, bound=bound)).split(",")[0]) for bound in ("lower", "upper")]
    assert printed[0] - slack <= value <= printed[1] + slack


@given(st.integers(0, 100_000).map(lambda part: part / 100_000))
def test_a_share_that_is_a_bound_is_rounded_the_way_it_errs(value: float) -> None:
    told = [share(Figure(value=value, bound=bound)) for bound in ("lower", "upper")]
    shares = [float(text.split("\u00a0")[0]) / 100 for text in told if text[0].isdigit()]
    if len(shares) == 2:
        assert shares[0] - 1e-9 <= value <= shares[1] + 1e-9


def read(text: str) -> float:
    """The number that a reader takes from a text."""
    mantissa, _, power = text.replace("\u202f", "").replace("\u2212", "-").partition("\u00a0\u00d7\u00a010")
    return float(mantissa) * 10.0 ** int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)


@given(st.floats(min_value=0.0011, max_value=999))
def test_a_number_is_shown_within_one_percent_or_half_a_thousandth(value: float) -> None:
    assert float(number(value)) == pytest.approx(value, rel=0.01, abs=5.1e-4)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(value=1049, unit="bytes", bound="upper"), "1.1\u00a0kB"),
        (Figure(value=1950, unit="bytes", bound="lower"), "1.9\u00a0kB"),
        (Figure(value=1950, unit="bytes"), "1.9\u00a0kB"),
    ],
)
def test_bytes_that_are_a_bound_are_rounded_the_way_it_errs(figure: Figure, text: str) -> None:
    assert quantity(figure) == text


def test_a_bound_beside_all_or_none_errs_to_its_own_side() -> None:
    assert share(Figure(value=0.9997, bound="upper")) == "100\u00a0%"
    assert share(Figure(value=0.9997, bound="lower")) == "over 99.9\u00a0%"
    assert share(Figure(value=0.0003, bound="upper")) == "under 0.1\u00a0%"
    assert share(Figure(value=0.0003, bound="lower")) == "0\u00a0%"


def test_units_intervals_and_spans_are_written_out() -> None:
    assert quantity(Figure(value=219_304, unit="bytes")) == "219.3\u00a0kB"
    assert quantity(Figure(value=12, unit="bytes")) == "12\u00a0B"
    assert quantity(Figure(value=4.6, unit="ms")) == "4.60\u00a0ms"
    assert interval(Figure(value=0.5)) == ""
    assert interval(Figure(value=0.5, low=0.4, high=0.6, confidence=0.95)) == "0.400 to 0.600 (95\u00a0%)"
    assert [duration(span) for span in (0.0311, 2.14, 600)] == ["31\u00a0ms", "2.1\u00a0s", "10.0\u00a0min"]
    assert percent(0.8333) == "83.3\u00a0%"
    assert percent(1.0) == "100\u00a0%"


def test_a_share_below_one_is_never_shown_as_all_and_one_above_none_never_as_none() -> None:
    assert percent(0.99999) != percent(1.0)
    assert percent(0.00001) != percent(0.0)


def test_names_and_context_become_words() -> None:
    assert humanise("robust_accuracy") == "Robust accuracy"
    assert figure_name("recall[benign]", "") == "Recall (benign)"
    assert figure_name("server_ms", "ms") == "Server"
    assert plain({"a": [1, True, None], "b": "x"}) == "A: 1, yes, none; B: x"
    assert plain("x" * 1000).endswith("(cut here)")
    assert sentence("it holds") == "It holds."
    assert sentence("") == ""


def test_a_policy_that_is_met_for_certain_is_green_and_says_so() -> None:
    top = headline(passing().verdict)
    assert (top.tone, top.title, top.sentence) == ("good", "Policy met", "All 3 demands are met.")


def test_a_policy_met_within_the_error_is_never_green() -> None:
    story = example()
    top = headline(judged(story, min_robust_accuracy=0.8))
    assert top.tone == "warn"
    assert "both sides of the limit" in top.sentence
    assert [demand.uncertain for demand in top.demands] == [True]


def test_a_missed_demand_is_named_in_the_first_sentence() -> None:
    top = headline(example().verdict)
    assert (top.tone, top.title) == ("bad", "Policy not met")
    assert "fidelity of a stolen copy" in top.sentence


def test_missing_evidence_is_a_demand_not_met() -> None:
    top = headline(judged(example(evidence=()), max_epsilon=1.0))
    assert (top.tone, top.demands[0].status, top.demands[0].value) == ("bad", "no evidence", "missing")


def test_no_policy_is_not_a_policy_that_is_met() -> None:
    top = headline(Verdict(MODEL, ()))
    assert (top.tone, top.title) == ("warn", "No policy was set")


def test_a_promise_without_evidence_says_so_instead_of_showing_a_number() -> None:
    shown = promises(example(evidence=(), verdict=Verdict(MODEL, ())))
    assert [(promise.status, promise.value, promise.anchor) for promise in shown] == [
        ("not measured", "—", "not-covered")
    ] * 4


def test_the_promises_speak_of_the_reported_model_and_not_of_the_one_before_hardening() -> None:
    hard = promises(example())[3]
    assert hard.value == percent(example().current("evasion").figures["robust_accuracy"].value)  # type: ignore[union-attr]
    backwards = tuple(reversed(example().evidence))
    assert promises(example(evidence=backwards))[3] == hard


def test_kinds_that_were_not_measured_are_gaps() -> None:
    gaps = not_covered(example(evidence=(utility(MODEL, 0.9),), verdict=Verdict(MODEL, ())))
    missing = {gap.source for gap in gaps if "Not measured" in gap.sentence}
    assert missing == {kind.heading for name, kind in KINDS.items() if name != "utility"}


def test_every_caveat_is_a_gap_once() -> None:
    story = example()
    sentences = [gap.sentence for gap in not_covered(story)]
    assert {caveat for item in story.evidence for caveat in item.caveats} <= set(sentences)
    assert len(sentences) == len(set(zip(sentences, [gap.source for gap in not_covered(story)], strict=True)))


def test_next_steps_come_from_findings_and_the_most_urgent_is_first() -> None:
    steps = next_steps(example())
    urgencies = [step.urgency for step in steps]
    assert urgencies == sorted(urgencies, key=["now", "soon", "later"].index)
    assert "Fidelity of a stolen copy is 1" in steps[0].reason
    assert sum("no longer holds the limit" in step.action for step in steps) == 2
    assert any("labels checked" in step.action for step in steps)


def test_a_demand_without_evidence_is_asked_for_once() -> None:
    story = example(evidence=())
    steps = next_steps(replace(story, verdict=judged(story, min_robust_accuracy=0.8)))
    about = [step for step in steps if step.action == KINDS["evasion"].next_step]
    assert [step.urgency for step in about] == ["now"]


def test_the_price_stands_beside_the_gain_and_is_absent_without_hardening() -> None:
    weighed = price(example())
    assert weighed is not None
    assert [change.name for change in weighed.changes] == ["Robust accuracy", "Accuracy"]
    assert [change.difference for change in weighed.changes] == ["+0.158", "\u22120.009"]
    assert [row.name for row in weighed.totals] == ["Gain", "Cost"]
    assert price(example(evidence=(utility(MODEL, 0.9),))) is None


def test_evidence_about_another_model_is_not_the_reported_models() -> None:
    story = example(evidence=(evasion("sha256:" + "0" * 64, 0.9, 1.0),))
    assert story.current("evasion") is None
    assert story.other("evasion") is not None
    assert isinstance(story.evidence[0], Evidence)


def test_whose_decisions_stay_right_is_said_where_one_class_was_attacked() -> None:
    story = passing()
    of_all = next(each.label for each in promises(story) if each.anchor == "evasion")
    attacked = tuple(
        replace(item, context={**item.context, "source_class": "fraud"}) if item.kind == "evasion" else item
        for item in story.evidence
    )
    of_one = next(each.label for each in promises(replace(story, evidence=attacked)) if each.anchor == "evasion")
    assert "class" not in of_all
    assert of_one == f"{of_all}, of rows of class fraud"
