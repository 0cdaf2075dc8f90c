"""The page and the JSON: safe, self-contained, the same every time, and complete."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.evidence import Evidence, Figure, canonical_json
from holdfast.policy import Finding, Policy, Verdict, judge
from holdfast.report import DatasetFacts, ReportInput, StepTime, render_report, report_json
from holdfast.report.story import as_shown

from .report_example import DATA, MODEL, example, passing

VOID = {"meta", "br", "hr", "img", "input", "link"}
HOSTILE = (
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!-- ${x} &amp; &lt;",
)


class Page(HTMLParser):
    """Every element with its attributes, and whether tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.elements if name in attrs]


def poisoned(text: str) -> ReportInput:
    """A run in which everything that can come from data or a person is the text."""
    item = Evidence(
        kind=text,
        subject=MODEL,
        subject_kind="model",
        title=text,
        figures={text: Figure(value=0.5, low=0.4, high=0.6, confidence=0.95, unit=text), "b": Figure(value=0.1)},
        context={text: text, "findings": [{"severity": text, "sentence": text, "advice": text}], "first_bytes": text},
        references=(text,),
        caveats=(text,),
    )
    privacy = replace(item, kind="privacy-guarantee", figures={"epsilon": Figure(value=1.0)})
    uses = {"uses": [{"step": text, "private": True}]}
    kinds = ("data-checks", "utility", "private-inference", "hardening", "evasion")
    evidence = (item, *(replace(item, kind=kind) for kind in kinds), replace(privacy, context=uses))
    return ReportInput(
        project=text,
        model_name=text,
        model_version=text,
        model_digest=MODEL,
        dataset=DatasetFacts(name=text, digest=DATA, rows=1, features=1, classes=(text, text)),
        evidence=evidence,
        verdict=Verdict(
            MODEL,
            (
                Finding(demand=text, outcome="not met", reason=text, figure=Figure(value=0.5, unit=text), limit=1.0),
                Finding(demand=f"require {text}", outcome="no evidence", reason=text),
            ),
        ),
        privacy_statement=text,
        steps=(StepTime(name=text, seconds=1.0),),
        versions={text: text},
        created=text,
    )


SKELETON = Page(render_report(poisoned("harmless")))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element_and_no_attribute(text: str) -> None:
    page = Page(render_report(poisoned(text)))
    assert [(tag, sorted(attrs)) for tag, attrs in page.elements] == [
        (tag, sorted(attrs)) for tag, attrs in SKELETON.elements
    ]
    assert text in "".join(page.text)


@settings(max_examples=40)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_no_text_whatever_changes_the_structure_of_the_page(text: str) -> None:
    page = Page(render_report(poisoned("x" + text)))
    assert [tag for tag, _ in page.elements if tag in ("script", "img", "iframe", "object", "a")].count("script") == 0
    assert page.open == []
    assert {name for _, attrs in page.elements for name in attrs if name.startswith("on")} == set()


def test_the_page_loads_runs_and_links_nothing_outside_itself() -> None:
    html = render_report(example())
    page = Page(html)
    assert {tag for tag, _ in page.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
    } == set()
    assert page.values("src") == []
    assert all(target.startswith("#") for target in page.values("href"))
    assert "url(" not in html
    assert "@import" not in html
    policies = [attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


@pytest.mark.parametrize("story", [example(), passing(), example(evidence=()), poisoned("a b")])
def test_every_link_has_its_target_and_every_id_is_there_once(story: ReportInput) -> None:
    page = Page(render_report(story))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.values("href")} <= set(ids)
    assert set(page.values("aria-labelledby")) <= set(ids)


@pytest.mark.parametrize("story", [example(), passing(), example(evidence=())])
def test_the_page_is_balanced_html_whose_headings_skip_no_level(story: ReportInput) -> None:
    page = Page(render_report(story))
    assert page.open == []
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))


def test_every_plot_has_words_and_every_other_picture_is_hidden_from_readers() -> None:
    page = Page(render_report(example()))
    pictures = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert len([attrs for attrs in pictures if attrs.get("role") == "img"]) >= 12
    for attrs in pictures:
        assert attrs.get("aria-hidden") == "true" or (
            attrs.get("role") == "img" and len(attrs["aria-label"] or "") > 20
        )


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render_report(example()) == render_report(example())
    assert canonical_json(report_json(example())) == canonical_json(report_json(example()))


def test_the_page_is_small() -> None:
    assert len(render_report(example()).encode()) < 600_000


def test_the_page_comes_in_the_order_in_which_a_reader_asks() -> None:
    html = render_report(example())
    marks = [
        "Policy not met",
        "Asking in private",
        'id="measured"',
        'id="data-checks"',
        'id="privacy-guarantee"',
        'id="membership-inference"',
        'id="evasion"',
        'id="extraction"',
        'id="private-inference"',
        'id="price"',
        'id="not-covered"',
        'id="next-steps"',
        'id="references"',
        'id="reproduce"',
    ]
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


def test_every_caveat_and_every_digest_is_on_the_page() -> None:
    story = example()
    text = "".join(Page(render_report(story)).text)
    for item in story.evidence:
        assert as_shown(item).digest in text
        assert all(caveat in text for caveat in item.caveats)
    assert story.model_digest in text
    assert story.privacy_statement in text


def test_evidence_of_an_unknown_kind_is_shown_with_its_figures_and_caveats() -> None:
    unknown = Evidence(
        kind="watermark",
        subject=MODEL,
        subject_kind="model",
        title="The owner's mark is found",
        figures={"mark_strength": Figure(value=0.75, low=0.7, high=0.8, confidence=0.9)},
        context={"curve": "not a curve", "nested": {"a": [1, None, True]}},
        caveats=("Fine-tuning may remove it.",),
    )
    text = "".join(Page(render_report(example(evidence=(unknown,)))).text)
    for expected in ("Watermark", "The owner's mark is found.", "Mark strength", "0.750", "0.700 to 0.800 (90\u00a0%)"):
        assert expected in text
    assert "Fine-tuning may remove it." in text


@pytest.mark.parametrize("kind", [item.kind for item in passing().evidence])
@pytest.mark.parametrize("context", [{}, dict.fromkeys(("curve", "uses", "findings", "first_bytes"), 3)])
def test_evidence_without_the_numbers_that_its_plot_wants_is_still_shown(kind: str, context: dict[str, int]) -> None:
    bare = Evidence(kind=kind, subject=MODEL, subject_kind="model", title="bare claim", figures={}, context=context)
    assert "Bare claim." in "".join(Page(render_report(example(evidence=(bare,)))).text)


def test_single_people_are_not_pointed_at() -> None:
    html, document = render_report(example()), report_json(example())
    assert "riskiest" not in html.lower()
    assert "riskiest" not in json.dumps(document)
    assert all("samples" not in item for item in document["evidence"])


def test_the_json_says_what_the_page_says() -> None:
    story = example()
    document = json.loads(canonical_json(report_json(story)))
    assert document["format"] == "holdfast-report-1"
    assert document["model"] == {"name": "tumour", "version": "1", "digest": MODEL}
    assert document["verdict"]["met"] is story.verdict.met is False
    assert [item["digest"] for item in document["evidence"]] == [as_shown(item).digest for item in story.evidence]
    assert [finding["outcome"] for finding in document["verdict"]["findings"]].count("not met") == 1
    assert document["next_steps"][0]["urgency"] == "now"
    assert document["dataset"]["classes"] == ["benign", "malignant"]


def test_a_verdict_on_another_model_is_refused() -> None:
    story = example()
    with pytest.raises(UsageError, match="the verdict about"):
        example(verdict=judge(Policy(limits={}), story.evidence, model_digest=DATA))


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="0 seconds or more"):
        StepTime(name="train", seconds=seconds)


def test_evidence_that_is_not_json_is_refused_in_one_sentence() -> None:
    bad = Evidence(kind="utility", subject=MODEL, subject_kind="model", title="t", figures={}, context={"x": {1, 2}})
    with pytest.raises(UsageError, match="expected a JSON value"):
        render_report(example(evidence=(bad,)))
