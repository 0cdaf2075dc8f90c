"""Every command, given what it cannot use: one sentence, a stable exit code, and not a byte written or changed.

One table: a command line in which `X` stands for what is bad, how that file is called, and the exit codes for one
that is missing, a folder in its place, an empty file, and one of bytes that mean nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast.cli.app import app
from holdfast.pipeline import keyring

from .conftest import holdfast

KEYS = "--signer keys/signer.pub --key keys/recipient.key"
COMMANDS = {
    "init X --target y": ("csv", 2, 2, 2, 2),
    "init X --target y --config other.toml": ("parquet", 2, 2, 2, 2),
    "init good.csv --target y --key file:X": ("key", 2, 5, 4, 4),
    "run X": ("toml", 2, 2, 2, 2),
    "check X": ("toml", 2, 2, 2, 2),
    "check X ": ("npz", 2, 2, 2, 2),
    "check good.toml --against X": ("json", 2, 2, 2, 2),
    "check good.toml --against X ": ("csv", 2, 2, 2, 2),
    "train X": ("toml", 2, 2, 2, 2),
    "attack X --gate": ("toml", 2, 2, 2, 2),
    "harden X": ("toml", 2, 2, 2, 2),
    "seal X": ("toml", 2, 2, 2, 2),
    f"verify X {KEYS}": ("holdfast", 2, 2, 3, 3),
    "verify good.csv --signer X --key keys/recipient.key": ("pub", 2, 2, 2, 2),
    "verify good.csv --signer keys/signer.pub --key X": ("key", 2, 2, 2, 2),
    f"open X {KEYS} --to opened": ("holdfast", 2, 2, 3, 3),
    f"serve X {KEYS} --config good.toml": ("holdfast", 2, 2, 3, 3),
    f"serve good.csv {KEYS} --config X": ("toml", 2, 2, 2, 2),
    "ask X": ("csv", 2, 5, 2, 2),
    "plan X --data numbers.csv": ("onnx", 2, 2, 2, 2),
    "plan X --data numbers.csv ": ("json", 2, 2, 2, 2),
    "plan good.csv --data X": ("csv", 2, 2, 2, 2),
    "plan good.csv --data numbers.csv --seal X": ("toml", 2, 2, 2, 2),
    "audit --store X": ("db", 2, 2, 2, 2),
    "client ward --revoke --store X": ("db", 2, 2, 2, 2),
    "protect encrypt X --key file:data.key --to new.parquet": ("csv", 2, 2, 2, 2),
    "protect encrypt good.csv --key file:X --to new.parquet": ("key", 2, 5, 4, 4),
    "protect decrypt X --key file:data.key --to new.parquet": ("parquet", 2, 2, 2, 3),
    "protect rotate X --key file:data.key --to-key file:data.key": ("parquet", 2, 5, 2, 2),
}
OTHERS = {
    "a column that is not there": ("init good.csv --target z", 2),
    "a column to leave out that is not there": ("plan good.csv --data good.csv --target z", 2),
    "an identifier that is not there": (
        "protect encrypt good.csv --key file:data.key --to new.parquet --pseudonymise z",
        2,
    ),
    "a folder to erase": ("protect erase folder", 2),
    "a key over another": ("protect new-key data.key", 2),
    "keys over others": ("keys keys", 2),
    "keys in a file": ("keys good.csv", 2),
    "a store that is a folder": ("client ward --store folder", 2),
    "no budget": ("client ward --budget 0", 2),
    "a plan in a file": ("plan good.csv --data numbers.csv --out good.csv", 2),
    "a log in a folder": ("attack good.toml --sarif folder", 2),
    "results in a folder": ("attack good.toml --json folder", 2),
    "pages in a file": ("attack good.toml --html good.csv", 2),
    "a gate without a demand": ("attack good.toml --gate", 2),
    "no service": ("ask good.csv --url http://127.0.0.1:9", 5),
    "an option that there is not": ("run --fast", 2),
}
GOOD = """format = 1
name = "t"
[data]
file = "good.csv"
target = "y"
classes = ["p", "q"]
[data.features]
a = { kind = "real", range = [0, 10] }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good things and bad ones, by their names."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "good.csv").write_text("a,y\n" + "".join(f"{i % 7},{'pq'[i % 2]}\n" for i in range(60)))
    (folder / "numbers.csv").write_text("a\n1\n2\n")
    (folder / "good.toml").write_text(GOOD)
    (folder / "folder").mkdir()
    for ending in {ending for ending, *_ in COMMANDS.values()}:
        (folder / f"empty.{ending}").touch()
        (folder / f"binary.{ending}").write_bytes(bytes(range(256)) * 8)
    keyring.make_keys(folder / "keys")
    assert holdfast("protect", "new-key", "data.key", cwd=folder).code == 0
    return folder


def refused(command: str, folder: Path) -> int:
    """The exit code of a command that says one sentence and leaves everything as it was."""
    before = {path: path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}
    said = holdfast(*command.split(), cwd=folder, HOLDFAST_TOKEN="t")
    assert {path: path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))} == before
    sentence = said.one_error() if "Usage:" not in said.err else said.err
    assert "Traceback" not in sentence
    assert "line 1 column 1" not in sentence
    return said.code


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_cannot_use_is_one_sentence_and_changes_nothing(command: str, folder: Path) -> None:
    ending, *codes = COMMANDS[command]
    bad = (f"none.{ending}", "folder", f"empty.{ending}", f"binary.{ending}")
    assert [refused(command.replace("X", name), folder) for name in bad] == codes


@pytest.mark.parametrize(("command", "code"), OTHERS.values(), ids=OTHERS)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(command: str, code: int, folder: Path) -> None:
    assert refused(command, folder) == code


def test_every_command_is_in_the_table() -> None:
    named = {re.sub(r"^protect ", "", command).split()[0] for command in (*COMMANDS, *(c for c, _ in OTHERS.values()))}
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    commands = {
        command.name or command.callback.__name__
        for group in groups
        if group is not None
        for command in group.registered_commands
        if command.callback is not None
    }
    assert {name.replace("_", "-") for name in commands} - {"demo"} == named
