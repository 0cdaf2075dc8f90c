"""Every command and every example in the documents is run, in the order in which a reader meets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BIN = Path(sys.executable).parent
READY_S = 60
RUN_EACH = "import runpy, sys; [runpy.run_path(path, run_name='__main__') for path in sys.argv[1:]]"


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[str]:
    """The lines after a prompt in the console blocks of a document."""
    return [line[2:] for block in blocks(document, "console") for line in block.splitlines() if line.startswith("$ ")]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "COLUMNS": "100"}


def run_commands(lines: list[str], folder: Path) -> None:
    """Run commands as a reader would: one that ends in & goes on beside the rest, and has to be ready first."""
    background: list[subprocess.Popen[str]] = []
    env = environment(folder)
    try:
        for line in lines:
            if line.startswith("cd "):
                folder /= line.removeprefix("cd ")
            elif line.startswith("export "):
                name, value = line.removeprefix("export ").split("=", 1)
                shown = subprocess.run(
                    ["bash", "-c", f"printf %s {value}"], cwd=folder, env=env, capture_output=True, check=True
                )
                env[name] = shown.stdout.decode()
            elif line.endswith("&"):
                background.append(start(line.removesuffix("&"), folder, env))
            else:
                done = subprocess.run(
                    ["bash", "-ec", line], cwd=folder, env=env, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"$ {line}\n{done.stdout}\n{done.stderr}"
    finally:
        for process in background:
            process.terminate()
            process.communicate(timeout=30)


def start(line: str, folder: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start a service and wait for the line that says where it listens."""
    process = subprocess.Popen(
        ["bash", "-ec", f"exec {line}"],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + READY_S
    said = ""
    while time.monotonic() < deadline and process.poll() is None:
        assert process.stdout is not None
        said += process.stdout.readline()
        if "http://" in said:
            return process
    process.kill()
    raise AssertionError(f"$ {line} did not come up:\n{said}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_succeeds(document: Path, tmp_path: Path) -> None:
    lines = commands(document)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for line in lines:
        if line.startswith("make "):
            assert line.split()[1] in targets, f"{document.name} names a target that the Makefile lacks: {line}"
    run_commands([line for line in lines if not line.startswith("make ")], tmp_path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_example_in_a_document_runs(document: Path, tmp_path: Path) -> None:
    """One after the other, so that libraries are loaded once; each has names of its own and can be copied alone."""
    examples = [tmp_path / f"example-{number}.py" for number, _ in enumerate(blocks(document, "python"), start=1)]
    for path, example in zip(examples, blocks(document, "python"), strict=True):
        path.write_text(example)
    command = [sys.executable, "-W", "error", "-c", RUN_EACH, *map(str, examples)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_of_the_command_line_is_documented() -> None:
    from holdfast.cli.app import app

    documented = "\n".join(path.read_text() for path in DOCUMENTS)
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert len(names) > 10
    assert [name for name in names if f"holdfast {name}" not in documented] == []


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
