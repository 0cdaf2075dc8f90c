"""holdfast.toml: what it may say, and the one sentence for what it may not."""

from __future__ import annotations

import contextlib
import copy
import datetime
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from holdfast.errors import ConfigError, UsageError
from holdfast.pipeline import Config, Project, read_config
from holdfast.pipeline.config import parse_config
from holdfast.pipeline.sections import Section
from holdfast.pipeline.state import digest_json

from .conftest import CONFIG, PLAIN

BAD = [
    ("format = 1", "format = 2", "format"),
    ('name = "loans"', 'name = "../loans"', "name"),
    ('name = "loans"', "", "expected name to be a name of a-z.*, found nothing"),
    (
        "test_fraction = 0.25",
        "test_fraction = 1.5",
        r"expected \[data\] test_fraction to be a number above 0 and below 1, got 1.5",
    ),
    ("test_fraction = 0.25", 'test_fraction = "a"', r"\[data\] test_fraction .* got \"a\""),
    ('classes = ["no", "yes"]', 'classes = ["no"]', "2 to 1000 different classes"),
    ("range = [0, 100]", "range = [100, 0]", "'income' needs a range"),
    ("range = [0, 100]", "range = [0, 100, 200]", "'income' needs range"),
    ("range = [0, 100]", "range = [0, inf]", "'income' needs a range"),
    ('kind = "real"', 'kind = "float"', "'income' needs kind to be one of real, integer, category, got 'float'"),
    ('mutability = "fixed"', 'mutability = "never"', "'age' needs mutability"),
    ("nullable = true", "nullabel = true", "'home' has nullabel"),
    ("epsilon = 2.0", "epsilon = 0", r"expected \[train\] epsilon to be a number above 0 and up to 10, got 0"),
    ("epsilon = 2.0", "epsilon = nan", r"\[train\] epsilon .* got nan"),
    ("shadow_models = 8", "shadow_models = 1", r"\[attack\] shadow_models to be a whole number from 8"),
    ("shadow_models = 8", "shadow_models = 8\ncosts = { incme = 1.0 }\nmax_cost = 1.0", "costs name 'incme'"),
    ("shadow_models = 8", "shadow_models = 8\ncosts = { income = 1.0 }", "mean something together only"),
    ("shadow_models = 8", "shadow_models = 8\nmax_cost = 1.0", "mean something together only"),
    (
        "shadow_models = 8",
        "shadow_models = 8\ncosts = { income = 0.0 }\nmax_cost = 1.0",
        r"\[attack\] costs.income to be a number above 0 .* got 0.0",
    ),
    (
        "shadow_models = 8",
        "shadow_models = 8\ncosts = { income = 1.0 }\nmax_cost = inf",
        r"\[attack\] max_cost to be a number above 0, got inf",
    ),
    ("shadow_models = 8", "shadows = 8", r"\[attack\] has no key \"shadows\", it has evasion_budget, "),
    ("min_accuracy = 0.5", "min_acuracy = 0.5", "does not know 'min_acuracy'"),
    ("min_accuracy = 0.5", "max_epsilon = 8.0", "demands a privacy guarantee, and .* gives none"),
    ("min_accuracy = 0.5", 'require = ["privacy-guarantee"]', "demands a privacy guarantee, and .* gives none"),
    ("min_accuracy = 0.5", 'min_accuracy = "high"', "min_accuracy must be a number"),
    ("min_accuracy = 0.5", 'require = "data-checks"', "require must be a list"),
    ("min_accuracy = 0.5", 'require = ["service-watch"]', "require names 'service-watch'"),
    ("min_accuracy = 0.5", "min_accuracy = inf", "min_accuracy must be a finite number"),
    ("min_accuracy = 0.5", f"min_accuracy = 1{'0' * 400}", "more than 64 bits"),
    ("min_accuracy = 0.5", f"min_accuracy = 1{'0' * 5000}", "is not TOML"),
    ("min_accuracy = 0.5", f"min_accuracy = 0x{'f' * 10_000}", "more than 64 bits"),
    ("test_fraction = 0.25", f"test_fraction = 0x{'f' * 10_000}", "more than 64 bits"),
    ("range = [0, 100]", f"range = [0, 0x{'f' * 10_000}]", "more than 64 bits"),
    ("min_accuracy = 0.5", f"min_accuracy = {'[' * 100_000}", "nested too deeply"),
    ("min_accuracy = 0.5", f"min_accuracy = {'{a=' * 100_000}", "nested too deeply"),
    ("min_accuracy = 0.5", "x" + ".x" * 5_000 + " = 1", "more than 20 deep"),
    ("[harden]", "[train.params" + ".x" * 100 + "]\n[harden]", "more than 20 deep"),
    ("[policy]", "[polcy]", 'a holdfast.toml has no key "polcy", it has format, '),
    ("[harden]", "[harden]\nmethod = 3", "is not TOML"),
    ("[harden]\n", "[[harden]]\n", r"expected \[harden\] to be a table, got \["),
    (
        'file = "loans.csv"',
        "file = 7",
        r"expected \[data\] file to be the path of a file, as a text of one line, got 7",
    ),
    ('file = "loans.csv"', 'file = "loans\\u0000.csv"', "as a text of one line"),
    ('file = "loans.csv"', f'file = "{"x" * 300}"', "as a text of one line"),
    (
        "test_fraction = 0.25",
        "test_fraction = 0.25\nseed = -1",
        r"expected \[data\] seed to be a whole number, 0 or more",
    ),
    ('classes = ["no", "yes"]', "classes = [0, 1]", r"\[data\] classes.0 to be a list of texts, got 0"),
    ("[policy]", "[policy", "is not TOML"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), BAD, ids=[f"{new or 'no ' + old}"[:40] for old, new, _ in BAD])
def test_a_wrong_entry_is_named_in_one_sentence(
    write: Callable[..., Project], old: str, new: str, sentence: str
) -> None:
    path = write().path
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=sentence) as refused:
        read_config(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "near"),
    [
        ("shadow_models = 8", "shadows = 8", "shadow_models"),
        ("[harden]", "[hardn]", "harden"),
        ("[policy]", "[x]", ""),
        ('kind = "real"', 'kind = "Real"', "real"),
        ("nullable = true", "nullabel = true", "nullable"),
        ("shadow_models = 8", 'shadow_models = 8\nsource_class = "Yes"', "yes"),
        ("shadow_models = 8", "shadow_models = 8\ncosts = { incme = 1.0 }\nmax_cost = 1.0", "income"),
        ("[data.features]", 'relations = ["incom <= age"]\n[data.features]', "income"),
    ],
)
def test_the_nearest_valid_name_is_named(write: Callable[..., Project], old: str, new: str, near: str) -> None:
    path = write().path
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError) as refused:
        read_config(path)
    assert refused.value.hint == (f"did you mean {near}?" if near else "")


@pytest.mark.parametrize(
    ("old", "new", "place", "hint"),
    [
        ('name = "loans"', "name = bank  # ours", "line 3, column 8", 'a text stands in double quotes: name = "bank"'),
        ("[harden]", "[harden", "line", "mend this line: [harden"),
        ("test_fraction = 0.25", "test_fraction = ", "line", "mend this line: test_fraction ="),
        ("[policy]", "[policy]\nrequire = [", "end of document", "look for a bracket or a quote that is not closed"),
    ],
)
def test_what_is_no_toml_is_shown_with_what_is_due(
    write: Callable[..., Project], old: str, new: str, place: str, hint: str
) -> None:
    path = write().path
    text = path.read_text()
    path.write_text(text.replace(old, new, 1) if "policy" not in old else text[: text.index(old)] + new)
    with pytest.raises(ConfigError, match=place) as refused:
        read_config(path)
    assert refused.value.hint == hint


def test_a_table_in_place_of_a_config_leads_to_init(tmp_path: Path) -> None:
    path = tmp_path / "bank.csv"
    path.write_text("a,y\n1,p\n")
    with pytest.raises(ConfigError, match="is not TOML") as refused:
        read_config(path)
    assert "holdfast init" in refused.value.hint


def test_every_key_says_what_it_takes() -> None:
    """So that no wording of the library that checks them is ever shown."""
    sections = [field.annotation for field in Config.model_fields.values()]
    of_sections = [kind for kind in sections if isinstance(kind, type) and issubclass(kind, Section)]
    assert len(of_sections) == 7
    for section in of_sections:
        assert all(field.description for field in section.model_fields.values()), section


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found no file") as refused:
        read_config(tmp_path / "holdfast.toml")
    assert "holdfast init" in refused.value.hint


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 8"):
        read_config(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_bytes(b"#" * (8 * 2**20 + 1))
    with pytest.raises(ConfigError, match="at most"):
        read_config(path)


def test_settings_that_are_left_out_have_the_documented_values(write: Callable[..., Project]) -> None:
    config = write().config
    assert config.serve.port == 8460
    assert config.serve.unusual_use == "block"
    assert config.attack.evasion_budget == 0.05


GOOD = tomllib.loads(CONFIG.format(method=PLAIN, limit=8.0, harden="adversarial", policy="min_accuracy = 0.5"))


def places(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where a table has a value, tables included."""
    found = []
    for name, value in table.items():
        found.append((*above, name))
        found += places(value, (*above, name)) if isinstance(value, dict) else []
    return found


NAMES = st.text(max_size=8) | st.sampled_from(["kind", "range", "require", "params", "__class__", "model_config"])
VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["real", "category", "private", "a <= b", "income <= age", "\0", "../x", "x" * 10_000])
    | st.just(datetime.date(2020, 1, 2))
    | st.just(datetime.time(1, 2)),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(NAMES, parts, max_size=4),
    max_leaves=10,
)


def parsed(table: dict[str, Any]) -> Config | None:
    try:
        return parse_config(table, path=Path("holdfast.toml"))
    except ConfigError:
        return None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(places(GOOD)), VALUES, st.none() | NAMES), min_size=1, max_size=4))
@example([(("data", "target"), "\ud800", None)])
@example([(("policy", "min_accuracy"), 10**400, None)])
@example([(("train", "epsilon"), 1 << 20_000, None)])
@example([(("data", "features", "income"), {"name": "x", "kind": "real", "range": [0, 1]}, None)])
def test_whatever_a_table_holds_it_is_a_config_or_a_config_error(
    changes: list[tuple[tuple[str, ...], Any, str | None]],
) -> None:
    table = copy.deepcopy(GOOD)
    for (*above, name), value, other in changes:
        at: Any = table
        for part in above:
            at = at.get(part, {}) if isinstance(at, dict) else {}
        if isinstance(at, dict):
            at[other if other is not None else name] = value
    config = parsed(table)
    if config is not None:
        assert config.schema.names
        assert config.demands.to_table()
        with contextlib.suppress(UsageError):  # of a date, or of a number without end, among the training's parameters
            digest_json(config.model_dump())


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_bytes_a_file_holds_it_is_one_config_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        read_config(path)
