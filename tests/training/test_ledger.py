"""The ledger adds up every use, stops before the limit, and shows when it was changed."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from holdfast import limits
from holdfast.errors import BudgetError, IntegrityError, UsageError, WireError
from holdfast.training import Entry, Ledger, NoisySums, epsilon_of
from holdfast.training.account.ledger_format import encode

DIGEST = "sha256:" + "ab" * 32
DELTA = 1e-5
SALT = "5a" * 32
LIMITS = {"epsilon_limit": 3.0, "delta": DELTA}


def entry(step: str, noise_multiplier: float | None = None, *, released: bool = True) -> Entry:
    sums = () if noise_multiplier is None else (NoisySums(noise_multiplier=noise_multiplier, count=60, width=31),)
    method = "logistic-regression" if sums else ""
    return Entry(step=step, data_digest=DIGEST, released=released, events=sums, method=method)


@pytest.fixture
def ledger() -> Ledger:
    empty = Ledger(**LIMITS, salt=SALT)
    return empty.add(entry("check", released=False)).add(entry("train", 30.0)).add(entry("harden", 40.0))


def test_all_uses_are_added_up(ledger: Ledger) -> None:
    alone = [epsilon_of(e.events, delta=DELTA) for e in ledger.entries if e.private]
    together = [event for e in ledger.entries for event in e.events]
    assert ledger.epsilon == epsilon_of(together, delta=DELTA)
    assert max(alone) < ledger.epsilon < sum(alone)


def test_running_the_same_step_again_is_a_further_spend(ledger: Ledger) -> None:
    assert ledger.add(ledger.entries[-1]).epsilon > ledger.epsilon


def test_what_passes_the_limit_is_refused_and_nothing_is_entered(ledger: Ledger) -> None:
    with pytest.raises(BudgetError, match="the limit is 3"):
        ledger.add(entry("harden", 5.0))
    assert len(ledger.entries) == 3


def test_a_use_without_noise_costs_nothing_in_house_and_everything_when_released(ledger: Ledger) -> None:
    assert ledger.epsilon_of_released == ledger.epsilon
    with_figures = ledger.add(entry("utility"))
    assert with_figures.epsilon == ledger.epsilon
    assert with_figures.epsilon_of_released == math.inf


def test_a_ledger_survives_its_bytes(ledger: Ledger) -> None:
    assert Ledger.from_bytes(ledger.to_bytes(), **LIMITS) == ledger
    assert Ledger.from_bytes(ledger.to_bytes(), **LIMITS).head == ledger.head
    assert ledger.add(entry("more", 90.0)).head != ledger.head


@pytest.mark.parametrize(
    ("find", "replacement"),
    [
        (b'"noise_multiplier":30.0', b'"noise_multiplier":90.0'),
        (b'"count":60', b'"count":6'),
        (b'"released":false', b'"released":true'),
        (b'"step":"train"', b'"step":"trail"'),
        (b'"noise_multiplier":30.0', b'"noise_multiplier":0.3'),
        (b'"salt":"5a', b'"salt":"5b'),
        (b'"salt":"5a', b'"salt": "5a'),
        (b'{"entries"', b'{"entries":[],"entries"'),
        (b"abab", b"baba"),
    ],
)
def test_a_changed_ledger_is_not_read(ledger: Ledger, find: bytes, replacement: bytes) -> None:
    changed = ledger.to_bytes().replace(find, replacement, 1)
    assert changed != ledger.to_bytes()
    with pytest.raises(IntegrityError):
        Ledger.from_bytes(changed, **LIMITS)


def test_no_entry_can_be_taken_out_or_moved(ledger: Ledger) -> None:
    document = json.loads(ledger.to_bytes())
    first, second, third = document["entries"]
    for entries in ([second, third], [first, third], [first, third, second], [first, first, second, third]):
        changed = json.dumps(document | {"entries": entries}, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(IntegrityError):
            Ledger.from_bytes(changed, **LIMITS)


def test_a_statement_at_a_link_is_on_the_entry_there_and_on_no_other(ledger: Ledger) -> None:
    for link, held in zip(ledger.links[1:], ledger.entries, strict=True):
        if held.private:
            assert ledger.statement_at(link).events == held.events
        else:
            with pytest.raises(UsageError, match="no private entry at this link"):
                ledger.statement_at(link)
    with pytest.raises(UsageError, match="no private entry at this link"):
        ledger.statement_at(ledger.links[0])


def test_a_ledger_cut_at_the_end_has_another_head_than_the_signed_one(ledger: Ledger) -> None:
    shorter = replace(ledger, entries=ledger.entries[:-1])
    signed = ledger.statement_for("train").ledger_digest
    assert signed not in Ledger.from_bytes(shorter.to_bytes(), **LIMITS).links
    assert signed in ledger.add(entry("more", 90.0)).links


def test_the_head_is_salted_so_that_it_tells_nothing_of_guessed_records(ledger: Ledger) -> None:
    again = Ledger(**LIMITS, entries=ledger.entries)
    assert len({again.salt, Ledger(**LIMITS).salt, ledger.salt}) == 3
    assert not set(again.links) & set(ledger.links)


def test_one_file_is_held_against_the_limit_of_whoever_opens_it(ledger: Ledger) -> None:
    data = ledger.to_bytes()
    assert Ledger.from_bytes(data, epsilon_limit=8.0, delta=1e-6).links == ledger.links
    assert Ledger.from_bytes(data, epsilon_limit=8.0, delta=1e-6).epsilon > ledger.epsilon
    with pytest.raises(BudgetError, match=r"the limit is 0\.5"):
        Ledger.from_bytes(data, epsilon_limit=0.5, delta=DELTA)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format":"holdfast-privacy-ledger-1"}',
        b'{"entries":[],"format":"holdfast-privacy-ledger-2","salt":5}',
        b'{"entries":[],"format":"holdfast-privacy-ledger-2","salt":"5a"}',
        b'{"entries":{},"format":"holdfast-privacy-ledger-2","salt":"' + SALT.encode() + b'"}',
        b'{"entries":[1],"format":"holdfast-privacy-ledger-2","salt":"' + SALT.encode() + b'"}',
        encode(SALT, [{}]),
    ],
)
def test_bytes_that_are_no_ledger_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        Ledger.from_bytes(data, **LIMITS)


@pytest.mark.parametrize("field", ["step", "data_digest", "released", "events", "note"])
def test_an_entry_with_a_strange_field_is_refused(ledger: Ledger, field: str) -> None:
    document = ledger.entries[1].to_json()
    for strange in (document | {field: 7}, {k: v for k, v in document.items() if k != field}, document | {"more": 1}):
        with pytest.raises(WireError):
            Entry.from_json(strange)
    with pytest.raises(WireError, match="digest of its records"):
        Entry.from_json(document | {"data_digest": "abc"})


def test_a_salt_that_is_none_is_refused() -> None:
    for salt in ("", "5a", "x" * 64, SALT + "\n"):
        with pytest.raises(UsageError, match="salt"):
            Ledger(**LIMITS, salt=salt)


def test_a_full_ledger_takes_no_more() -> None:
    full = Ledger(**LIMITS, entries=(entry("check"),) * limits.MAX_LEDGER_ENTRIES)
    with pytest.raises(BudgetError, match="it is full"):
        full.add(entry("check"))


def test_not_a_number_is_no_limit() -> None:
    for limit in (0.0, math.nan, math.inf):
        with pytest.raises(UsageError):
            Ledger(epsilon_limit=limit, delta=DELTA)


def test_an_entry_says_which_records_and_what_used_them() -> None:
    for options in ({"step": ""}, {"data_digest": "abc"}, {"note": "x" * 2_000}):
        with pytest.raises(UsageError):
            Entry(**{"step": "train", "data_digest": DIGEST, "released": True} | options)
