"""What a hint tells to install is what pyproject.toml has as the extra, and is the same in every document."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from holdfast import extras

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("command", "extra"), [(extras.INSTALL_TORCH, "torch"), (extras.INSTALL_BOOST, "boost")])
def test_a_hint_names_the_packages_of_the_extra(command: str, extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert command == " ".join(["pip install", *(f'"{item}"' for item in project["optional-dependencies"][extra])])


def test_nobody_is_told_to_fetch_holdfast_from_where_it_is_not() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    assert [path for path in files if "holdfast[" in path.read_text()] == []


def test_a_document_names_packages_as_pyproject_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {item for items in project["optional-dependencies"].values() for item in items}
    for path in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md"):
        for command in re.findall(r"`pip install ([^`]+)`", path.read_text()):
            assert set(re.findall(r'"([^"]+)"', command)) <= known, path
