"""Evidence: read back as it was signed, refused where it is anything else."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError, WireError
from holdfast.evidence import Evidence, Figure, canonical_json, digest_bytes, find

SUBJECT = digest_bytes(b"model")
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=10)


def make(**changes: Any) -> Evidence:
    fields: dict[str, Any] = {
        "kind": "evasion",
        "subject": SUBJECT,
        "subject_kind": "model",
        "title": "Robust accuracy is 0.9",
        "figures": {"robust_accuracy": Figure(value=0.9, low=0.85, high=0.94, confidence=0.95)},
        "samples": {"margin": [0.5, -1.0]},
        "context": {"budget": {"rows": 100}},
        "references": ("MITRE ATLAS AML.T0015",),
        "caveats": ("A stronger attacker may do better.",),
    }
    return Evidence(**{**fields, **changes})


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    low, value, high = sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS)))
    interval: dict[str, Any] = {"low": low, "high": high, "confidence": 0.95} if draw(st.booleans()) else {}
    bound: Any = draw(st.sampled_from(["estimate", "upper", "lower"]))
    return Figure(value=value, unit=draw(TEXTS), bound=bound, **interval)


@given(
    st.dictionaries(TEXTS, figures(), max_size=3),
    st.lists(NUMBERS, max_size=4),
    st.dictionaries(TEXTS, st.one_of(NUMBERS, TEXTS, st.booleans(), st.lists(st.integers(), max_size=3)), max_size=3),
)
def test_evidence_is_read_back_as_it_was_written(
    figures: dict[str, Figure], column: list[float], context: dict[str, Any]
) -> None:
    item = make(figures=figures, samples={"a": column, "b": column[::-1]}, context=context)
    again = Evidence.from_json(json.loads(canonical_json(item.to_json())))
    assert again == item
    assert again.digest == item.digest


CHANGES: dict[str, Any] = {
    "kind": "extraction",
    "subject": digest_bytes(b"another model"),
    "subject_kind": "dataset",
    "title": "Robust accuracy is 1.0",
    "figures": {"robust_accuracy": Figure(value=0.91)},
    "samples": {"margin": [0.5, -1.0000000000000002]},
    "context": {"budget": {"rows": 101}},
    "references": (),
    "caveats": (),
}


@pytest.mark.parametrize("field", CHANGES)
def test_any_change_changes_the_digest(field: str) -> None:
    assert make(**{field: CHANGES[field]}).digest != make().digest


def test_the_canonical_form_does_not_depend_on_the_order_of_names() -> None:
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'.encode()
    assert make(figures={"a": Figure(value=1), "b": Figure(value=2)}).digest == (
        make(figures={"b": Figure(value=2), "a": Figure(value=1)}).digest
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}, {1, 2}, b"bytes", object()])
def test_what_is_not_finite_json_has_no_canonical_form(value: object) -> None:
    with pytest.raises(UsageError, match="finite numbers"):
        canonical_json(value)


def test_what_is_nested_too_deeply_has_no_canonical_form() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(UsageError, match="finite numbers"):
        canonical_json(value)


def test_a_digest_is_sha_256() -> None:
    assert digest_bytes(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class TestFigure:
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_no_number_of_it_may_be_without_end(self, bad: float) -> None:
        for field in ("value", "low", "high", "confidence"):
            with pytest.raises(UsageError, match="finite"):
                Figure(**{"value": 0.5, "low": 0.0, "high": 1.0, field: bad})

    @pytest.mark.parametrize("bad", [True, False, "0.5", 10**400, 1 << 20_000, [0.5], 1j], ids=type)
    def test_every_number_of_it_is_a_number_that_a_float_can_hold(self, bad: Any) -> None:
        for field in ("value", "low", "high", "confidence"):
            with pytest.raises(UsageError, match="finite numbers"):
                Figure(**{"value": 0.5, "low": 0.0, "high": 1.0, field: bad})

    @pytest.mark.parametrize("bad", [0, 1, -0.1, 1.5, 95])
    def test_a_confidence_lies_between_0_and_1(self, bad: float) -> None:
        with pytest.raises(UsageError, match="above 0 and below 1"):
            Figure(value=0.5, low=0.4, high=0.6, confidence=bad)

    def test_an_interval_has_two_ends_and_holds_its_value(self) -> None:
        for field in ("low", "high"):
            with pytest.raises(UsageError, match="both ends"):
                Figure(**{"value": 0.5, field: 0.5})
        for low, high in ((0.6, 0.7), (0.1, 0.4), (0.7, 0.3)):
            with pytest.raises(UsageError, match="must enclose it"):
                Figure(value=0.5, low=low, high=high)

    def test_a_bound_is_one_of_three(self) -> None:
        with pytest.raises(UsageError, match="estimate, upper, lower"):
            Figure(value=0.5, bound="certain")  # type: ignore[arg-type]


DOCUMENTS: dict[str, dict[str, Any]] = {
    "another format": {"format": "holdfast-evidence-2"},
    "no format": {"format": None},
    "a kind that is a number": {"kind": 5},
    "a subject kind that is none": {"subject_kind": "person"},
    "a title that is a list": {"title": []},
    "figures as a list": {"figures": []},
    "a figure as a number": {"figures": {"a": 0.5}},
    "a figure without a value": {"figures": {"a": {"low": 0}}},
    "a figure with an unknown field": {"figures": {"a": {"value": 0.5, "sigma": 1}}},
    "a figure that is a text": {"figures": {"a": {"value": "0.5"}}},
    "a figure with a bound that is none": {"figures": {"a": {"value": 0.5, "bound": "sure"}}},
    "a figure outside its interval": {"figures": {"a": {"value": 0.5, "low": 0.6, "high": 0.7}}},
    "a figure of true": {"figures": {"a": {"value": True}}},
    "a figure that no float can hold": {"figures": {"a": {"value": 10**400}}},
    "samples of texts": {"samples": {"a": ["one"]}},
    "samples of numbers in texts": {"samples": {"a": ["1.5"]}},
    "samples as a text": {"samples": {"a": "123"}},
    "samples of true": {"samples": {"a": [True]}},
    "samples that no float can hold": {"samples": {"a": [10**400]}},
    "samples that are no column": {"samples": {"a": 5}},
    "samples of different lengths": {"samples": {"a": [1], "b": []}},
    "references as a text": {"references": "AML.T0015"},
    "caveats that are numbers": {"caveats": [1]},
    "an unknown field": {"verdict": "safe"},
}


class TestRefused:
    def test_a_subject_that_is_no_digest(self) -> None:
        with pytest.raises(UsageError, match="digest of its subject"):
            make(subject="my model")

    def test_a_subject_that_is_neither_model_nor_data(self) -> None:
        with pytest.raises(UsageError, match="a model or a dataset"):
            make(subject_kind="person")

    def test_columns_of_different_lengths_or_without_end(self) -> None:
        with pytest.raises(UsageError, match="one length"):
            make(samples={"a": [1.0], "b": [1.0, 2.0]})
        with pytest.raises(UsageError, match="'a' of evidence must be finite"):
            make(samples={"a": [math.nan]})
        with pytest.raises(UsageError, match="'a' of evidence must be finite"):
            make(samples={"a": [10**400]})

    @pytest.mark.parametrize("change", DOCUMENTS.values(), ids=list(DOCUMENTS))
    def test_malformed_documents(self, change: dict[str, Any]) -> None:
        with pytest.raises(WireError, match="evidence"):
            Evidence.from_json({**make().to_json(), **change})

    @pytest.mark.parametrize("field", list(make().to_json()))
    def test_documents_that_lack_a_field(self, field: str) -> None:
        document = make().to_json()
        del document[field]
        with pytest.raises(WireError, match="evidence"):
            Evidence.from_json(document)

    @pytest.mark.parametrize("document", [None, [], "evidence", 5])
    def test_what_is_no_document(self, document: object) -> None:
        with pytest.raises(WireError, match="expected evidence"):
            Evidence.from_json(document)


def test_evidence_cannot_be_changed_through_its_mappings_or_their_sources() -> None:
    figures, column = {"a": Figure(value=1)}, [1.0]
    item = make(figures=figures, samples={"s": column})
    digest = item.digest
    figures["b"] = Figure(value=2)
    column[0] = 9.0
    with pytest.raises(TypeError):
        item.figures["c"] = Figure(value=3)  # type: ignore[index]
    assert item.digest == digest == make(figures={"a": Figure(value=1)}, samples={"s": [1.0]}).digest


def test_find_gives_the_last_of_a_kind_about_a_subject() -> None:
    other = digest_bytes(b"other")
    items = [make(title="1"), make(title="2"), make(title="3", subject=other), make(title="4", kind="extraction")]
    assert find(items, "evasion", subject=SUBJECT) is items[1]
    assert find(items, "evasion") is items[2]
    assert find(items, "utility") is None
    assert find([], "evasion") is None
