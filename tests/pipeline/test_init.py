"""init: a holdfast.toml that a person can read, whatever the table holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.data import Feature, Schema
from holdfast.data.inspect import ExcludedColumn
from holdfast.errors import DataError, UnsupportedError, UsageError
from holdfast.pipeline import Project, SilentReporter, keyring, read_config, write_demo, write_project
from holdfast.pipeline.init import Template, render
from holdfast.pipeline.runner import run

from .conftest import loans


def test_init_reads_the_table_and_says_what_it_left_out(tmp_path: Path) -> None:
    loans().to_csv(tmp_path / "loans.csv", index=False)
    config = tmp_path / "holdfast.toml"
    write_project(tmp_path / "loans.csv", target="repaid", config=config)
    schema = read_config(config).schema
    assert schema.names == ("income", "age", "home")
    kinds = {feature.name: (feature.kind, feature.mutability, feature.nullable) for feature in schema.features}
    assert kinds["income"][0] == "real"
    assert kinds["age"][:2] == ("integer", "fixed")
    assert kinds["home"] == ("category", "free", True)
    assert "# left out: customer_id:" in config.read_text()
    assert {feature.range_source for feature in schema.features} == {"data"}


def test_what_init_writes_runs_once_a_person_has_chosen(tmp_path: Path) -> None:
    loans().to_csv(tmp_path / "loans.csv", index=False)
    config = tmp_path / "holdfast.toml"
    write_project(tmp_path / "loans.csv", target="repaid", config=config)
    config.write_text(config.read_text().replace(', range_source = "data"', ""))
    run(Project.read(config), reporter=SilentReporter(), until="train")
    assert (tmp_path / "out/train/statement.txt").exists()


def test_every_line_that_init_comments_out_can_be_taken_in(tmp_path: Path) -> None:
    """They are about this table: its columns, and the class of which it has the fewest rows."""
    frame = loans().assign(debt=loans()["income"] + 10)
    frame.to_csv(tmp_path / "loans.csv.gz", index=False)
    config = tmp_path / "holdfast.toml"
    write_project(tmp_path / "loans.csv.gz", target="repaid", config=config)
    text = config.read_text()
    examples = ("relations", "source_class", "costs", "max_cost", "model")
    for name in examples:
        assert text.count(f"\n# {name} = ") == 1, name
        text = text.replace(f"\n# {name} = ", f"\n{name} = ")
    config.write_text(text)
    taken = read_config(config)
    assert taken.name == "loans"
    assert [str(relation) for relation in taken.schema.relations] == ["age <= income"]
    assert set(taken.attack.costs) == {"income"}
    assert taken.attack.max_cost is not None
    assert (
        taken.attack.max_cost < taken.attack.costs["income"] * taken.attack.evasion_budget
    )  # or it would limit nobody
    assert taken.attack.source_class == frame["repaid"].value_counts().idxmin()


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    loans().to_csv(tmp_path / "loans.csv", index=False)
    config = tmp_path / "holdfast.toml"
    config.write_text("mine")
    with pytest.raises(UsageError, match="not overwritten"):
        write_project(tmp_path / "loans.csv", target="repaid", config=config)
    assert config.read_text() == "mine"
    assert not (tmp_path / "keys").exists()


def test_init_keeps_the_keys_that_are_there(tmp_path: Path) -> None:
    loans().to_csv(tmp_path / "loans.csv", index=False)
    keyring.make_keys(tmp_path / "keys")
    before = (tmp_path / "keys" / "signer.key").read_bytes()
    write_project(tmp_path / "loans.csv", target="repaid", config=tmp_path / "holdfast.toml")
    assert (tmp_path / "keys" / "signer.key").read_bytes() == before


@pytest.mark.parametrize(
    ("frame", "target", "error", "sentence"),
    [
        (loans().head(0), "repaid", DataError, "rows"),
        (loans(), "repayed", DataError, "repaid"),
        (loans().assign(repaid="yes"), "repaid", DataError, "class"),
        (loans().assign(repaid=loans()["income"]), "repaid", UnsupportedError, "classif"),
        (loans()[["repaid"]], "repaid", DataError, "column"),
    ],
    ids=["empty", "absent target", "one class", "a quantity", "no feature"],
)
def test_a_table_that_cannot_be_learned_from_leaves_nothing_behind(
    tmp_path: Path, frame: pd.DataFrame, target: str, error: type[Exception], sentence: str
) -> None:
    frame.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(error, match=sentence):
        write_project(tmp_path / "table.csv", target=target, config=tmp_path / "holdfast.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    columns=st.lists(names, min_size=2, max_size=5, unique=True),
    classes=st.lists(names, min_size=2, max_size=3, unique=True),
    excluded=names,
    reason=names,
)
def test_no_name_in_a_table_can_write_into_the_file(
    columns: list[str], classes: list[str], excluded: str, reason: str
) -> None:
    features = [Feature(name=name, kind="category", categories=tuple(classes)) for name in columns[1:]]
    schema = Schema(features=tuple(features), target=columns[0], classes=tuple(classes))
    out = (ExcludedColumn(name=excluded, reason=reason),)
    template = Template(
        file=re.sub("[\\x00-\\x1f]", " ", excluded) + ".csv",  # a path of several lines is refused
        schema=schema,
        facts=reason,
        reasons=dict.fromkeys(columns, reason),
        excluded=out,
    )
    text = render(template, Path("holdfast.toml"))
    table = tomllib.loads(text)
    assert set(table) == {"format", "name", "data", "train", "privacy", "attack", "harden", "seal", "serve", "policy"}
    assert table["data"]["target"] == columns[0]
    assert list(table["data"]["features"]) == columns[1:]


def test_the_demo_keeps_what_is_there_and_refuses_a_folder_with_other_things(tmp_path: Path) -> None:
    config = write_demo(tmp_path / "new")
    config.write_text(config.read_text() + "# mine\n")
    assert write_demo(tmp_path / "new").read_text().endswith("# mine\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="no demo"):
        write_demo(tmp_path / "other")
