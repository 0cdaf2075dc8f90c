"""The card says the same in memory and on disk, or is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.custody import ModelCard
from holdfast.errors import UsageError, WireError

texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda v: st.lists(v, max_size=3), max_leaves=5
)
mappings = st.dictionaries(texts, values, max_size=3)
cards = st.builds(
    ModelCard,
    **dict.fromkeys(
        ("name", "version", "created", "model_kind", "intended_use", "not_for", "licence", "data_digest"), texts
    ),
    **dict.fromkeys(("schema", "training", "privacy"), mappings),
    evidence=st.lists(texts, max_size=3).map(tuple),
)


@given(cards)
def test_a_card_comes_back_as_it_was(card):
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_a_card_cannot_be_changed_from_outside(make_card):
    schema = {"features": []}
    card = make_card(schema=schema)
    schema["more"] = []
    assert dict(card.schema) == {"features": []}
    with pytest.raises(TypeError):
        card.schema["more"] = 1


@pytest.mark.parametrize(
    "changes",
    [{"format": "holdfast-card-2"}, {"more": 1}, {"name": 3}, {"schema": []}, {"evidence": "text"}, {"evidence": [1]}],
)
def test_a_card_with_a_field_too_many_or_of_another_type_is_refused(changes, card):
    with pytest.raises(WireError, match="card"):
        ModelCard.from_json(card.to_json() | changes)


def test_a_card_with_a_field_missing_is_refused(card):
    for name in card.to_json():
        document = {key: value for key, value in card.to_json().items() if key != name}
        with pytest.raises(WireError, match="expected a card"):
            ModelCard.from_json(document)


@pytest.mark.parametrize("document", [None, [], "card", 3])
def test_what_is_not_a_card_is_refused(document):
    with pytest.raises(WireError, match="expected a card in the format holdfast-card-1"):
        ModelCard.from_json(document)


@pytest.mark.parametrize("changes", [{"name": None}, {"training": [1]}, {"evidence": ["a list"]}])
def test_a_card_of_other_types_cannot_be_made(changes, make_card):
    with pytest.raises(UsageError, match="a card's"):
        make_card(**changes)
