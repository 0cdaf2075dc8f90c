"""Rooms whose names are loaded when they are first used: nothing before that, and then the right thing."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast
from holdfast.deferred import deferred

ROOMS = ("data", "pipeline")


def names_by_home(room: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What type checkers see, and what is loaded when it runs: names by the module that they are from."""
    source = Path(holdfast.__file__).parent / room / "__init__.py"
    (block,) = [node for node in ast.parse(source.read_text()).body if isinstance(node, ast.If)]
    seen = {
        node.module.removeprefix(f"holdfast.{room}."): [alias.name for alias in node.names]
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
    }
    (made,) = [node for node in ast.walk(ast.Module(block.orelse, [])) if isinstance(node, ast.Call)]
    return seen, {home: list(names) for home, names in ast.literal_eval(made.args[1]).items()}


@pytest.mark.parametrize("room", ROOMS)
def test_type_checkers_see_what_a_room_loads(room: str) -> None:
    seen, loaded = names_by_home(room)
    assert seen == loaded
    assert sorted(name for names in loaded.values() for name in names) == sorted(
        importlib.import_module(f"holdfast.{room}").__all__
    )


@pytest.mark.parametrize("room", ROOMS)
def test_an_unknown_name_is_an_attribute_error(room: str) -> None:
    with pytest.raises(AttributeError, match=rf"holdfast\.{room}.*nonsense"):
        importlib.import_module(f"holdfast.{room}").nonsense  # noqa: B018


def fresh(script: str) -> str:
    """What a new Python prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_function_is_not_hidden_by_the_module_of_its_name() -> None:
    """`load` is from holdfast.data.load, which importing puts into the package under that very name."""
    script = "from holdfast.data import read_table, load; print(callable(load))"
    assert fresh(script) == "True"


def test_only_the_module_that_a_name_is_from_is_loaded() -> None:
    script = "import holdfast.data as room; room.Schema; print('Schema' in vars(room), 'Dataset' in vars(room))"
    assert fresh(script) == "True False"


def test_a_room_may_name_nothing_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="nothing_there"):
        deferred("holdfast.data", {"schema": ("nothing_there",)})("nothing_there")
