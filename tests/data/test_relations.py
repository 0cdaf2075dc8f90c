"""Relations with sums and quotients: read back as written, old files as they were, and true up to six digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import Feature, Relation, Schema, check_features
from holdfast.data.relation_text import OPERATORS, Quotient, Sum
from holdfast.errors import ConfigError, DataError

from .data_strategies import NAMES

AWKWARD = st.sampled_from(
    ["a + b", "net - gross", "a / b", "10", "-2.5e3", "2 * a", "3*b", "`", "a`b", "+ a", "a -", "1.", "x"]
)
ANY_NAME = NAMES | AWKWARD
NUMBERS = st.floats(-1e12, 1e12).filter(lambda x: x != 0) | st.integers(-9, 9).filter(bool).map(float)
SUMS = st.builds(
    lambda terms, constant: Sum(tuple((weight, name) for name, weight in terms.items()), constant),
    st.dictionaries(ANY_NAME, NUMBERS | st.just(1.0), max_size=4),
    NUMBERS | st.just(0.0),
).filter(lambda side: not (len(side.terms) == 1 and side.terms[0][0] == 1 and side.constant == 0))
QUOTIENTS = st.builds(Quotient, st.just("top"), ANY_NAME.filter(lambda name: name != "top"))


@given(ANY_NAME | SUMS | QUOTIENTS, st.sampled_from(OPERATORS), ANY_NAME | SUMS | QUOTIENTS)
def test_any_relation_is_read_back_as_it_was_written_or_was_never_made(
    left: object, operator: str, right: object
) -> None:
    try:
        relation = Relation(left, operator, right)  # type: ignore[arg-type]
    except ConfigError:
        return
    assert Relation.parse(str(relation)) == relation
    features = tuple(Feature(name=name, kind="real", low=1, high=2) for name in relation.names)
    if Relation.parse(relation.text, relation.names) != relation:
        assert not relation.plain  # only arithmetic may read in two ways beside such names
        with pytest.raises(ConfigError, match="reads as"):
            Schema(features=features, target="the target", classes=("n", "y"), relations=(relation,))
        return
    whole = Schema(features=features, target="the target", classes=("n", "y"), relations=(relation,))
    assert Schema.from_json(whole.to_json()) == whole


@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("total == net + tax", Relation("total", "==", Sum(((1.0, "net"), (1.0, "tax"))))),
        ("2*a - b <= 10", Relation(Sum(((2.0, "a"), (-1.0, "b"))), "<=", Sum((), 10.0))),
        ("2 * loan amount <= 1e3", Relation(Sum(((2.0, "loan amount"),)), "<=", Sum((), 1000.0))),
        ("ratio == a / b", Relation("ratio", "==", Quotient("a", "b"))),
        ("a / b <= 3", Relation(Quotient("a", "b"), "<=", Sum((), 3.0))),
        ("`a / b` <= c", Relation("a / b", "<=", "c")),
        ("a <= b - 3 + 1", Relation("a", "<=", Sum(((1.0, "b"),), -2.0))),
        ("`x``y` >= 0", Relation("x`y", ">=", Sum(()))),
    ],
)
def test_relations_are_read_as_a_person_reads_them(text: str, relation: Relation) -> None:
    assert Relation.parse(text) == relation


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a / b / c <= 1", "stands alone"),
        ("a + b / c <= 1", "stands alone"),
        ("a +  + b <= 1", "each side"),
        ("a` <= b", "each side"),
        ("a + `b` c <= 1", "backquote"),
        ("1 <= 2", "one feature at least"),
        ("a / b == c + d", "one feature or one number"),
        ("a / b == c / d", "one feature or one number"),
        ("a / a <= 2", "two features"),
        ("a + a <= 2", "each feature once"),
        ("0 * a <= 2", "not 0"),
        ("1e999 * a <= 2", "finite"),
        ("a + b <= c <= d", "one operator"),
        ("a + b < c", "a relation reads"),
        ("__import__('os') + a", "a relation reads"),
    ],
)
def test_what_is_no_relation_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Relation.parse(text)


def schema(*relations: str, names: tuple[str, ...] = ("a", "b", "c"), low: float = 1.0) -> dict[str, object]:
    features = [{"name": name, "kind": "real", "range": [low, 9]} for name in names]
    return {"features": features, "target": "y", "classes": ["no", "yes"], "relations": list(relations)}


@pytest.mark.parametrize("name", ["a + b", "net - gross", "10", "2 * c", "it`s", "a / c"])
def test_old_files_with_names_that_look_like_arithmetic_read_and_write_as_they_did(name: str) -> None:
    document = schema(f"{name} <= c", f"c >= {name}", names=(name, "a", "b", "c"))
    read = Schema.from_json(document)
    assert read.relations == (Relation(name, "<=", "c"), Relation("c", ">=", name))
    assert read.to_json()["relations"] == document["relations"]


def test_a_text_that_reads_in_two_ways_is_refused() -> None:
    features = tuple(Feature(name=name, kind="real", low=0, high=1) for name in ("a", "b", "a + b", "c"))
    total = Relation("c", "==", Sum(((1.0, "a"), (1.0, "b"))))
    with pytest.raises(ConfigError, match="reads as 'c == `a \\+ b`'"):
        Schema(features=features, target="y", classes=("n", "y"), relations=(total,))


def test_a_denominator_that_may_be_0_is_refused() -> None:
    with pytest.raises(ConfigError, match="divides by 'b', whose range begins at 0"):
        Schema.from_json(schema("a / b <= 3", low=0.0))


@pytest.mark.parametrize("text", ["a == b + height", "height / a <= 3"])
def test_a_relation_of_an_unknown_feature_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="'height' is none"):
        Schema.from_json(schema(text))


@pytest.mark.parametrize(
    ("text", "row", "kept"),
    [
        ("c == a + b", (1.5, 2.25, 3.75), True),
        ("c == a + b", (1.5, 2.25, 3.7501), False),
        ("c == a + b", (1.0, 1.0, np.nan), True),
        ("c == a / b", (1.0, 3.0, 0.333333), True),
        ("c == a / b", (1.0, 3.0, 0.3333), False),
        ("a / b <= 3", (9.0, 3.0, 0.0), True),
        ("a / b <= 3", (9.1, 3.0, 0.0), False),
        ("2*a - b >= 0.5 * c + 1", (2.0, 1.0, 4.0), True),
        ("2*a - b >= 0.5 * c + 1", (2.0, 1.1, 4.0), False),
        ("a + b <= 0.3", (0.1, 0.2, 0.0), True),
    ],
)
def test_arithmetic_holds_up_to_six_digits(text: str, row: tuple[float, ...], kept: bool) -> None:
    values = dict(zip("abc", np.array(row)[:, None], strict=True))
    assert Relation.parse(text).kept(values.__getitem__).tolist() == [kept]


def test_data_that_breaks_an_arithmetic_relation_is_named() -> None:
    read = Schema.from_json(schema("c == a + b"))
    with pytest.raises(DataError, match="row 1 breaks the relation 'c == a \\+ b'"):
        check_features(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.5]]), read)
