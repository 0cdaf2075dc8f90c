"""The page of an evasion says at once how much stays right, how sure that is, and what each distance means."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from tests.attacks.test_result_formats import result

from holdfast.drawing import evasion_words
from holdfast.drawing.evidence_page import evidence_page
from holdfast.drawing.words import percent
from holdfast.evidence import Evidence, Figure

DIGEST = "sha256:" + "ab" * 32


def exact() -> Evidence:
    return result().to_evidence(DIGEST)


def searched(**context: Any) -> Evidence:
    """The same, as a search would have it: an upper bound, and questions asked."""
    item = exact()
    share = replace(item.figures["robust_accuracy"], bound="upper")
    figures = {**item.figures, "robust_accuracy": share, "queries_per_row": Figure(value=12, unit="queries")}
    samples = {**item.samples, "queries": [12] * len(item.samples["row"])}
    limit = item.figures["budget"].value
    samples["distance"] = [min(value, limit) for value in item.samples["distance"]]
    context = {**item.context, "distance_censored_at": limit, "method": "random search", **context}
    return replace(item, figures=figures, samples=samples, context=context)


def words(page: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(re.sub(r"<style>.*</style>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def test_an_exact_result_says_so_and_names_no_questions() -> None:
    text = words(evidence_page(exact()))
    share = percent(exact().figures["robust_accuracy"].value).replace("\u00a0", " ")
    assert f"Right, and right under attack {share}" in text
    assert "Exact exact (linear program) no change within the threat was missed" in text
    assert "without a question" in text
    assert "The curve is exact" in text
    assert "at most:" not in text
    assert "Queries" not in text


def test_a_search_says_that_it_bounds_from_one_side() -> None:
    text = words(evidence_page(searched()))
    assert text.count("at most: a stronger attack may flip more") == 1
    assert text.count("at least: a stronger attack may flip more") == 1
    assert "Search random search changes may have been missed 12 questions per record" in text
    assert "The true curve lies on this one or below it" in text
    assert "Queries per row 12" in text
    assert "unreliable, for" not in text
    assert "may be unreliable, for a reason given below" in words(evidence_page(searched(unreliable=["noise"])))


@pytest.mark.parametrize(
    ("record", "of_exact", "of_search"),
    [
        ({"correct": False, "evaded": False, "distance": 0.0}, "wrong already", "wrong already"),
        ({"correct": True, "evaded": True, "distance": 0.05}, "0.050", "0.050"),
        ({"correct": True, "evaded": True, "distance": 0.1}, "0.100", "0.100"),
        ({"correct": True, "evaded": False, "distance": 0.2}, "0.200", "none found"),
        ({"correct": True, "evaded": False, "distance": 0.4}, "0.400 or more", "none found"),
    ],
)
def test_each_distance_is_a_number_or_says_why_not(record: dict[str, Any], of_exact: str, of_search: str) -> None:
    assert evasion_words.distance_cell(exact(), record) == of_exact
    assert evasion_words.distance_cell(searched(), record) == of_search


def test_other_evidence_and_older_evasions_are_shown_as_they_are() -> None:
    older = replace(exact(), context={})
    other = replace(exact(), kind="extraction")
    for item in (older, other):
        assert not evasion_words.is_evasion(item)
        page = evidence_page(item)
        assert "Queries per row" in page
        assert 'class="promises"' not in page
