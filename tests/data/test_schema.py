"""The schema: it is read back as it was written, and refuses what no row could satisfy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import limits
from holdfast.data import Feature, Relation, Schema, tumour_schema
from holdfast.errors import ConfigError

from .data_strategies import NAMES, schemas

AGE = {"name": "age", "kind": "integer", "range": [0, 120]}
COLOUR = {"name": "colour", "kind": "category", "categories": ["red", "blue"]}
DOCUMENT = {"features": [AGE, COLOUR], "target": "y", "classes": ["no", "yes"], "relations": []}


@given(schemas())
def test_a_schema_is_read_back_as_it_was_written(schema: Schema) -> None:
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_a_schema_with_relations_is_read_back_as_it_was_written() -> None:
    assert Schema.from_json(tumour_schema().to_json()) == tumour_schema()


@given(NAMES, st.sampled_from(["<=", ">=", "=="]), NAMES)
def test_a_relation_is_read_back_or_was_never_made(left: str, operator: str, right: str) -> None:
    try:
        relation = Relation(left, operator, right)
    except ConfigError:
        assert any(f" {mark} " in f" {name} " for mark in ("<=", ">=", "==") for name in (left, right))
        return
    assert Relation.parse(str(relation)) == relation


def test_a_relation_with_two_operators_is_refused_because_it_reads_two_ways() -> None:
    with pytest.raises(ConfigError, match="one operator"):
        Relation("a <= b", "<=", "c")
    with pytest.raises(ConfigError, match="one operator"):
        Relation.parse("a <= b <= c")
    with pytest.raises(ConfigError, match="needs one of"):
        Relation("a", "<", "b")


@pytest.mark.parametrize("text", ["", "a<=b", "a < b", "<= b", "a <=", 5, None, ["a <= b"]])
def test_a_text_that_is_no_relation_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match="a relation reads"):
        Relation.parse(text)


def test_a_missing_value_breaks_no_relation() -> None:
    left, right = np.array([1.0, 3.0, np.nan, 1.0]), np.array([2.0, 2.0, 0.0, np.nan])
    assert Relation("a", "<=", "b").holds(left, right).tolist() == [True, False, True, True]


WRONG_FEATURES: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "1 to 200 characters"),
    "long name": ({"name": "x" * 201}, "1 to 200 characters"),
    "kind": ({"kind": "float"}, "kind to be one of real, integer, category"),
    "mutability": ({"mutability": "up"}, "mutability to be one of"),
    "range source": ({"range_source": "guess"}, "range_source to be one of"),
    "range upside down": ({"range": [1, 0]}, "the smaller first"),
    "empty range": ({"range": [1, 1]}, "the smaller first"),
    "no range": ({"range": None}, "range = "),
    "three numbers": ({"range": [0, 1, 2]}, "range = "),
    "texts for numbers": ({"range": ["0", "1"]}, "range = "),
    "truths for numbers": ({"range": [False, True]}, "range = "),
    "NaN": ({"range": [0, float("nan")]}, "range of two numbers"),
    "infinity": ({"range": [0, float("inf")]}, "range of two numbers"),
    "a whole number beyond floats": ({"kind": "real", "range": [0, 10**400]}, "range of two numbers"),
    "a width beyond floats": ({"kind": "real", "range": [-1.7e308, 1.7e308]}, "range of two numbers"),
    "whole numbers that floats skip": ({"kind": "integer", "range": [0, 2**53 + 2]}, "range of two numbers"),
    "a width below floats": ({"kind": "real", "range": [0, 5e-324]}, "too narrow"),
    "categories of a number": ({"categories": ["a"]}, "names categories"),
    "unknown field": ({"colour": "red"}, "colour"),
    "nullable as text": ({"nullable": "yes"}, "nullable to be true or false"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_FEATURES.values(), ids=list(WRONG_FEATURES))
def test_a_wrong_number_is_refused_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Feature.from_json({**AGE, **change})
    assert "\n" not in str(caught.value)


WRONG_CATEGORIES: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"categories": []}, "1 to 1000 categories"),
    "too many": ({"categories": [str(i) for i in range(limits.MAX_CATEGORIES + 1)]}, "1 to 1000 categories"),
    "twice": ({"categories": ["a", "a"]}, "twice"),
    "long": ({"categories": ["x" * 201]}, "201 characters"),
    "empty": ({"categories": [""]}, "0 characters"),
    "numbers": ({"categories": [1, 2]}, "list of strings"),
    "text": ({"categories": "red"}, "list of strings"),
    "range": ({"range": [0, 1]}, "leave the range out"),
    "increase": ({"mutability": "increase"}, "cannot increase"),
}


@pytest.mark.parametrize(("change", "message"), WRONG_CATEGORIES.values(), ids=list(WRONG_CATEGORIES))
def test_a_wrong_category_is_refused_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Feature.from_json({**COLOUR, **change})


WRONG_SCHEMAS: dict[str, tuple[Any, str]] = {
    "a list": ([], "a table of names and values"),
    "a text": ("schema", "a table of names and values"),
    "no features": ({**DOCUMENT, "features": []}, "1 to 10000 features"),
    "a feature that is a text": ({**DOCUMENT, "features": ["age"]}, "a table of names and values"),
    "a feature without a name": ({**DOCUMENT, "features": [{"kind": "real"}]}, "a feature needs a name"),
    "a feature without a kind": ({**DOCUMENT, "features": [{"name": "a"}]}, "needs a kind"),
    "a feature twice": ({**DOCUMENT, "features": [AGE, AGE]}, "a column twice"),
    "the target as a feature": ({**DOCUMENT, "target": "age"}, "a column twice"),
    "no target": ({k: v for k, v in DOCUMENT.items() if k != "target"}, "needs target"),
    "an empty target": ({**DOCUMENT, "target": ""}, "0 characters"),
    "one class": ({**DOCUMENT, "classes": ["no"]}, "2 to 1000 different classes"),
    "a class twice": ({**DOCUMENT, "classes": ["no", "no"]}, "2 to 1000 different classes"),
    "an endless class": ({**DOCUMENT, "classes": ["no", "y" * 201]}, "201 characters"),
    "classes as text": ({**DOCUMENT, "classes": "no"}, "as lists"),
    "relations as a number": ({**DOCUMENT, "relations": 5}, "as lists"),
    "a relation to nothing": ({**DOCUMENT, "relations": ["age <= height"]}, "'height' is none"),
    "a relation to a category": ({**DOCUMENT, "relations": ["age <= colour"]}, "'colour' is none"),
    "an unknown part": ({**DOCUMENT, "target_column": "y"}, "target_column"),
}


@pytest.mark.parametrize(("document", "message"), WRONG_SCHEMAS.values(), ids=list(WRONG_SCHEMAS))
def test_a_wrong_schema_is_refused_in_one_sentence(document: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Schema.from_json(document)
    assert "\n" not in str(caught.value)


def test_ranges_that_were_read_from_records_are_named() -> None:
    schema = Schema.from_json({**DOCUMENT, "features": [{**AGE, "range_source": "data"}, COLOUR]})
    assert schema.ranges_from_data == ("age",)
    schema = Schema.from_json({**DOCUMENT, "features": [AGE, {**COLOUR, "range_source": "data"}]})
    assert schema.ranges_from_data == (COLOUR["name"],)
    assert Schema.from_json(DOCUMENT).ranges_from_data == ()
