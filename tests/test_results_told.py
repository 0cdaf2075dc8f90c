"""Every result of every room gives itself in one way: short in print, and whole as JSON, page and SARIF."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest
from tests.every_result import every_result

import holdfast
from holdfast.drawing.evidence_page import WHETHER, evidence_page
from holdfast.evidence import NO_MODEL, Evidence, Figure
from holdfast.sarif import sarif_log
from holdfast.telling import Printed, Telling, summary

SARIF = Path(__file__).parent / "vectors" / "sarif-2.1.0.schema.json"
NAMES = tuple(every_result())


def evidence_of(result: Printed) -> Evidence:
    return result._printed()


def test_no_type_of_result_is_forgotten_here() -> None:
    """Whatever turns itself into evidence prints itself, and is among the examples."""
    rooms = ("attacks", "data", "detection", "hardening", "serving", "training")
    folders = [f"{Path(holdfast.__file__).parent}/{room}" for room in rooms]
    found = set()
    for folder, room in zip(folders, rooms, strict=True):
        for file in Path(folder).rglob("*.py"):
            if "def to_evidence" in file.read_text():
                dotted = ".".join(file.relative_to(folder).with_suffix("").parts)
                module = import_module(f"holdfast.{room}.{dotted}")
                found |= {
                    name
                    for name, value in vars(module).items()
                    if isinstance(value, type) and "to_evidence" in vars(value)
                }
    # What was drawn from a model is only evidence together with photographs that it is compared with.
    assert found - {"InversionResult", "Telling"} == set(NAMES)
    assert all(isinstance(result, Printed) for result in every_result().values())


@pytest.mark.parametrize("name", NAMES)
def test_a_result_prints_itself_short_and_says_which_way_it_errs(name: str) -> None:
    result = every_result()[name]
    evidence, lines = evidence_of(result), str(result).splitlines()
    assert 1 <= len(lines) <= 10
    assert all(len(line) <= 250 for line in lines)
    assert lines[0] == evidence.title
    assert repr(result) == f"<{name}: {evidence.title}>"
    for figure_name, figure in list(evidence.figures.items())[:6]:
        (line,) = (line for line in lines if re.match(rf"  {re.escape(figure_name)}  +", line))
        assert line.endswith(str(figure))
        assert (f", {figure.bound} bound" in line) == (figure.bound != "estimate")


@pytest.mark.parametrize("name", NAMES)
def test_print_tells_nothing_of_single_records(name: str) -> None:
    text, evidence = str(every_result()[name]) + repr(every_result()[name]), evidence_of(every_result()[name])
    assert "array(" not in text
    assert "[" not in text
    names = {*list(evidence.figures)[:6], "threat", "method", "attack", "and"}
    assert {line.split()[0] for line in str(every_result()[name]).splitlines()[1:]} <= names


@pytest.mark.parametrize("name", ["EvasionResult", "HardeningResult", "Certificate"])
def test_what_withstands_is_printed_with_its_threat(name: str) -> None:
    evidence, text = evidence_of(every_result()[name]), str(every_result()[name])
    assert re.search(r"\n  threat  +(budget|norm) ", text)
    assert evidence.figures["budget"].value > 0
    assert re.search(rf"{evidence.figures['budget'].value:.4g}", text)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_the_title_and_says_yes_and_no_where_it_is_asked(name: str) -> None:
    evidence = evidence_of(every_result()[name])
    page = evidence_page(evidence)
    assert len(page) < 200_000
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    whether = {column for column, values in evidence.samples.items() if set(values) <= {0.0, 1.0}}
    assert whether <= WHETHER, "a column of yes and no that the page would show as 1 and 0"
    if whether:
        assert re.search(r'data-label="[^"]*" class="number">(yes|no)<', page)


def test_all_of_them_are_one_valid_sarif_log_and_json_that_can_be_read_back() -> None:
    told = [result for result in every_result().values() if isinstance(result, Telling)]
    evidence = [evidence_of(result) for result in told]
    log = json.loads(json.dumps(sarif_log(evidence)))
    jsonschema.validate(log, json.loads(SARIF.read_text()))
    assert [entry["message"]["text"].rstrip(".") for entry in log["runs"][0]["results"]] == [
        item.title.rstrip(".") for item in evidence
    ]
    for result, item in zip(told, evidence, strict=True):
        assert Evidence.from_json(json.loads(json.dumps(result.to_json()))) == item
        assert result.to_sarif()["runs"][0]["results"][0]["ruleId"] == item.kind


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(value=0.5), "0.5"),
        (Figure(value=12, unit="queries"), "12 queries"),
        (Figure(value=0.51234, low=0.4, high=0.6, confidence=0.95), "0.5123 (95% interval 0.4 to 0.6)"),
        (Figure(value=2.0, low=1.0, high=3.0, unit="ms", bound="upper"), "2 ms (interval 1 to 3), upper bound"),
        (Figure(value=1e-9, bound="lower"), "1e-09, lower bound"),
    ],
)
def test_a_figure_prints_as_one_line(figure: Figure, text: str) -> None:
    assert str(figure) == text


def test_evidence_prints_no_more_than_ten_lines_whatever_it_holds() -> None:
    item = Evidence(
        kind="evasion",
        subject=NO_MODEL,
        subject_kind="model",
        title="t",
        figures={f"figure_{place}": Figure(value=place) for place in range(40)},
        samples={"secret": list(range(1000))},
        context={"threat": {"budget": 0.123456789, "names": "x" * 500}, "method": "m", "attack": "a", "secret": "s"},
        caveats=("one", "two"),
    )
    lines = summary(item).splitlines()
    assert len(lines) <= 11
    assert lines[-1] == "  and 34 more figures, 2 caveats"
    assert "secret" not in summary(item)
    assert "budget 0.123457" in summary(item)
    assert max(map(len, lines)) < 120
    assert repr(item) == "<Evidence evasion: t>"
