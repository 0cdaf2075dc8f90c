"""The privacy statement is complete, true to the ledger, and evidence that a policy can judge."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.data import Dataset
from holdfast.errors import UsageError
from holdfast.evidence import Evidence, canonical_json
from holdfast.policy import Policy, judge
from holdfast.training import Entry, Ledger, NoisySums, PrivacyStatement, SampledSums, advantage_of, private_events
from holdfast.training.account.events import Event
from holdfast.training.account.methods import METHODS

GOLDEN = Path(__file__).parents[1] / "golden" / "privacy-statement"
MODEL = "sha256:" + "cd" * 32
PARTS = {
    "guarantee": "epsilon at most",
    "unit of privacy": "one record",
    "neighbouring relation": "add or remove one",
    "mechanism": "Gaussian noise",
    "noise": "noise multiplier",
    "sampling": "none",
    "composition": "train, harden",
    "tuning": "fixed constants",
    "trust model": "central",
    "floating point": "whole numbers",
}


@pytest.fixture(scope="module")
def ledger(tumour: Dataset) -> Ledger:
    events = private_events(tumour.schema, epsilon=1.0, delta=1e-5)
    ledger = Ledger(epsilon_limit=3.0, delta=1e-5)
    for step, sums, released in (
        ("check", (), False),
        ("train", events, True),
        ("utility", (), True),
        ("harden", events, True),
    ):
        note = "data checks" if step == "check" else ""
        method = "logistic-regression" if sums else ""
        entry = Entry(step=step, data_digest=tumour.digest, released=released, events=sums, note=note, method=method)
        ledger = ledger.add(entry)
    return ledger


@pytest.fixture(scope="module")
def statement(ledger: Ledger) -> PrivacyStatement:
    return ledger.statement_for("train")


def test_every_part_that_nist_asks_for_is_there(statement: PrivacyStatement) -> None:
    for name, words in PARTS.items():
        assert words in statement.parts[name]
        assert f"{name}: {statement.parts[name]}" in statement.to_text()


def test_epsilon_is_that_of_all_entries_and_not_of_one(ledger: Ledger, statement: PrivacyStatement) -> None:
    assert statement.epsilon == ledger.epsilon > statement.own_epsilon
    assert statement.own_epsilon == pytest.approx(1.0, rel=1e-3)
    assert max(event.count for event in statement.events) == 60
    assert statement.ledger_digest == ledger.head


def test_what_has_no_guarantee_is_named(statement: PrivacyStatement) -> None:
    text = statement.to_text()
    assert "'check' used records without noise (data checks) and has no guarantee; what came out must stay" in text
    assert "'utility' used records without noise and has no guarantee; what came out was released" in text
    for words in (
        "several records",
        "held out for tests",
        "exact number",
        "later split",
        "watch",
        "Refusals",
        "ledger",
    ):
        assert any(words in item for item in statement.not_covered)


def test_the_odds_of_a_membership_test_are_said_in_plain_words(ledger: Ledger, statement: PrivacyStatement) -> None:
    events = [event for entry in ledger.entries for event in entry.events]
    assert statement.membership_advantage == advantage_of(events)
    said = re.search(r"at most ([\d.]+) times in 100", statement.parts["in other words"])
    assert said is not None
    assert 50 + 50 * statement.membership_advantage <= float(said[1]) < 50.1 + 50 * statement.membership_advantage


@pytest.mark.parametrize("epsilon", [4.120001, 4.125, 2.0, 0.01, 7.99999999])
def test_words_never_claim_less_than_was_spent(statement: PrivacyStatement, epsilon: float) -> None:
    sums = NoisySums(noise_multiplier=12.34567, count=60, width=31)
    said = replace(statement, epsilon=epsilon, own_epsilon=epsilon, delta=1.23456e-5, events=(sums,))
    title, parts = said.to_evidence(MODEL).title, said.parts
    for text, pattern in (
        (parts["guarantee"], r"epsilon at most (\S+) at"),
        (parts["this step"], r"epsilon at most (\S+) at"),
        (title, r"e\^([^,]+),"),
    ):
        (number,) = re.findall(pattern, text)
        assert epsilon <= float(number) <= epsilon * 1.011
    assert float(title.split()[-1].rstrip(".")) >= said.delta
    assert "noise multiplier 12.34 in" in parts["noise"]


def test_nothing_that_is_stated_can_be_recomputed_from_guessed_records(ledger: Ledger, tumour: Dataset) -> None:
    statement = ledger.statement_for("train")
    text = json.dumps(statement.to_json()) + statement.to_text() + json.dumps(statement.to_evidence(MODEL).to_json())
    assert set(re.findall(r"sha256:[0-9a-f]{64}", text)) == {ledger.head, MODEL}
    for salt in ("0" * 64, "f" * 64, Ledger(epsilon_limit=3.0, delta=1e-5).salt):
        assert replace(ledger, salt=salt).head != ledger.head


def test_the_evidence_survives_json_and_is_judged_by_a_policy(statement: PrivacyStatement) -> None:
    evidence = Evidence.from_json(json.loads(json.dumps(statement.to_evidence(MODEL).to_json())))
    assert evidence.digest == statement.to_evidence(MODEL).digest
    assert evidence.figures["epsilon"].bound == "upper"
    assert evidence.caveats == statement.not_covered
    assert not judge(Policy({"max_epsilon": 1.0}), [evidence], model_digest=MODEL).met
    assert judge(Policy({"max_epsilon": 3.0}), [evidence], model_digest=MODEL).met


def test_a_step_without_a_guarantee_gets_no_statement(ledger: Ledger) -> None:
    for step in ("check", "deploy"):
        with pytest.raises(UsageError, match="no private entry"):
            ledger.statement_for(step)


def used(step: str, method: str, events: tuple[Event, ...]) -> Entry:
    return Entry(step=step, data_digest=MODEL, released=True, events=events, method=method)


SUMS: dict[str, tuple[Event, ...]] = {
    "dp-sgd": (SampledSums(noise_multiplier=4.0, sampling_rate=0.05, count=100, width=1_000),),
    **dict.fromkeys(set(METHODS) - {"dp-sgd"}, (NoisySums(noise_multiplier=60.0, count=60, width=31),)),
}
"""What each method's entry may look like."""


@pytest.mark.parametrize("method", METHODS)
def test_the_statement_of_each_method_reads_as_it_was_agreed(method: str) -> None:
    """Written anew with `python -m tests.training.test_statement` after someone has read the change."""
    assert golden_statement(method) == (GOLDEN / f"{method}.txt").read_text()


def golden_statement(method: str) -> str:
    ledger = Ledger(epsilon_limit=3.0, delta=1e-5, salt="5a" * 32)
    return ledger.add(used("train", method, SUMS[method])).statement_for("train").to_text()


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.sampled_from([*METHODS, ""]), min_size=1, max_size=4).filter(any),
    st.sampled_from([1, 3]),
    st.booleans(),
)
def test_every_statement_has_every_part_and_none_is_empty(methods: list[str], people: int, released: bool) -> None:
    ledger = Ledger(epsilon_limit=10.0, delta=1e-5, records_per_person=people)
    for number, method in enumerate(methods):
        entry = used(f"step {number}", method, SUMS[method] if method else ())
        ledger = ledger.add(replace(entry, released=released or bool(method)))
    last = max(number for number, method in enumerate(methods) if method)
    statement = ledger.statement_for(f"step {last}")
    assert set(PARTS) | {"this step", "in other words", "ledger"} == set(statement.parts)
    assert all(len(text) > 10 for text in (*statement.parts.values(), *statement.not_covered))
    text = statement.to_text()
    for method in filter(None, methods):
        described = METHODS[method]
        for part in (described.neighbours, described.mechanism, described.sampling, described.tuning):
            assert part in text
        assert all(item in statement.not_covered for item in described.not_covered)
    assert json.loads(canonical_json(statement.to_json()))["parts"] == statement.parts
    assert [use.private for use in statement.uses] == list(map(bool, methods))


def test_several_methods_are_each_said_to_be_of_their_steps() -> None:
    ledger = Ledger(epsilon_limit=3.0, delta=1e-5)
    for step, method in (("train", "logistic-regression"), ("tune", "dp-sgd"), ("again", "logistic-regression")):
        ledger = ledger.add(used(step, method, SUMS[method]))
    parts = ledger.statement_for("tune").parts
    assert parts["mechanism"].startswith("[train, again] logistic regression")
    assert "; [tune] in each step the gradient" in parts["mechanism"]
    assert "sampling rate 0.05" in parts["noise"]
    assert "number of records is public" in parts["composition"]
    assert ledger.statement_for("train").parts["noise"] == "noise multiplier 60 in each of 60 sums of 31 numbers"


def test_a_method_must_say_something_on_every_part() -> None:
    for part in ("mechanism", "sampling", "tuning", "arithmetic", "neighbours", "record"):
        with pytest.raises(UsageError, match=part):
            replace(METHODS["dp-sgd"], **{part: ""})


def test_a_private_entry_names_a_method_that_is_described() -> None:
    for method in ("", "sgd", "Logistic-Regression"):
        with pytest.raises(UsageError, match="needs its method"):
            used("train", method, SUMS["dp-sgd"])
    with pytest.raises(UsageError, match="has no method"):
        used("train", "dp-sgd", ())


if __name__ == "__main__":
    for name in METHODS:
        (GOLDEN / f"{name}.txt").write_text(golden_statement(name))
