"""The privacy statement is complete, true to the ledger, and evidence that a policy can judge."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from holdfast.data import Dataset
from holdfast.errors import UsageError
from holdfast.evidence import Evidence
from holdfast.policy import Policy, judge
from holdfast.training import Entry, Ledger, PrivacyStatement, advantage_of, private_events

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
        ledger = ledger.add(Entry(step=step, data_digest=tumour.digest, released=released, events=sums, note=note))
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
    assert statement.steps == 60
    assert statement.ledger_digest == ledger.head


def test_what_has_no_guarantee_is_named(statement: PrivacyStatement) -> None:
    text = statement.to_text()
    assert "'check' used records without noise (data checks) and has no guarantee; what came out must stay" in text
    assert "'utility' used records without noise and has no guarantee; what came out was released" in text
    for words in ("several rows", "held out for tests", "exact number", "later split", "watch", "Refusals", "ledger"):
        assert any(words in item for item in statement.not_covered)


def test_the_odds_of_a_membership_test_are_said_in_plain_words(ledger: Ledger, statement: PrivacyStatement) -> None:
    events = [event for entry in ledger.entries for event in entry.events]
    assert statement.membership_advantage == advantage_of(events)
    said = re.search(r"at most ([\d.]+) times in 100", statement.parts["in other words"])
    assert said is not None
    assert 50 + 50 * statement.membership_advantage <= float(said[1]) < 50.1 + 50 * statement.membership_advantage


@pytest.mark.parametrize("epsilon", [4.120001, 4.125, 2.0, 0.01, 7.99999999])
def test_words_never_claim_less_than_was_spent(statement: PrivacyStatement, epsilon: float) -> None:
    said = replace(statement, epsilon=epsilon, own_epsilon=epsilon, delta=1.23456e-5, noise_multiplier=12.34567)
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
