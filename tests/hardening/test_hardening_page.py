"""The page of a hardening says against which threat, and sets what it gained beside what it cost."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from tests.every_result import evaded

from holdfast.attacks import FeasibleChange
from holdfast.data import Dataset, Feature, Schema
from holdfast.drawing.evidence_page import evidence_page
from holdfast.evidence import NO_MODEL
from holdfast.hardening.result import HardeningResult, compare

SCHEMA = Schema(
    features=(Feature(name="amount", kind="real", low=0, high=1), Feature(name="age", kind="real", low=0, high=1)),
    target="fraud",
    classes=("no", "yes"),
)


def hardened(before: float, after: float) -> HardeningResult[object]:
    found = [evaded(share=share) for share in (before, after)]
    return compare(object(), method="retraining", before=found[0], after=found[1], details={})


def words(page: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(re.sub(r"<style>.*</style>|<[^>]+>", " ", page, flags=re.DOTALL).replace("\u00a0", " ").split())


def test_threat_gain_and_cost_stand_above_all_else() -> None:
    text = words(hardened(0.3, 0.1).to_html())
    assert "The threat 0.062 of range When every changeable feature may move by 0.0625 of its range" in text
    assert "Right under attack, hardened 90 % before: 70 % at most: a stronger attack may flip more" in text
    assert re.search(r"Gained under attack \+20\.0 points \+1\d\.\d points to \+2\d\.\d points \(95 % interval\)", text)
    assert "Right without an attack, hardened 100 % before: 100 %" in text
    assert "Paid without an attack 0 points" in text
    assert "no sure improvement" not in text


def test_a_gain_that_chance_explains_is_called_none() -> None:
    assert "Gained under attack 0 points no sure improvement" in words(hardened(0.3, 0.3).to_html())
    title = hardened(0.3, 0.3).to_evidence(NO_MODEL).title
    assert title.startswith("Hardening shows no sure improvement: it changed robust accuracy by 0.0 points when every")


def test_records_say_yes_and_no_and_both_curves_are_drawn() -> None:
    page = hardened(0.3, 0.1).to_html()
    assert re.findall(r'data-label="Robust before" class="number">(\w+)<', page)[:2] == ["no", "no"]
    assert not re.search(r'data-label="(Robust|Correct) (before|after)" class="number">[01]<', page)
    assert "after hardening</li>" in page
    assert "before hardening</li>" in page


def test_the_originals_of_both_attacks_are_shown_where_they_are_handed_over() -> None:
    result = hardened(0.3, 0.1)
    y = (np.arange(2_000) % 3 > 0).astype(np.int64)
    found = [replace(one, threat=FeasibleChange(budget=0.0625), cost=None) for one in (result.before, result.after)]
    shown = replace(result, before=found[0], after=found[1])
    data = Dataset(SCHEMA, np.zeros((2_000, 2)), y)
    text = words(shown.to_html(originals=data))
    assert "Flipped before hardening 5 of 600 flipped rows" in text
    assert "Flipped after hardening 5 of 200 flipped rows" in text
    assert "Flipped before hardening" not in words(shown.to_html())


def test_evidence_from_before_it_named_a_budget_is_shown_without_cards() -> None:
    item = hardened(0.3, 0.1).to_evidence(NO_MODEL)
    older = replace(item, figures={name: figure for name, figure in item.figures.items() if name != "budget"})
    page = evidence_page(older)
    assert 'class="promises' not in page
    assert "Security curve" in page
