"""The command line through its front door, in this process or in one of its own; and the demo, carried out once."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from tests.conftest import MadeOnce

from holdfast.cli import main

HOLDFAST = Path(sys.executable).with_name("holdfast")


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def one_error(self) -> str:
        """The error, which has to be one sentence on stderr, followed by at most one hint."""
        lines = self.err.strip().splitlines()
        assert lines, "nothing on stderr"
        assert lines[0].startswith("error: "), self.err
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), self.err
        return self.err


def holdfast(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Said:
    """Run a command in this process, in which it finds its libraries loaded."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["holdfast", *map(str, arguments)])
        patch.chdir(cwd or Path.cwd())
        for name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            main()
    return Said(int(end.value.code or 0), out.getvalue(), err.getvalue())


def spawned(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Said:
    """Run a command as a person does, in a process of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")} | environment
    done = subprocess.run(
        [HOLDFAST, *map(str, arguments)], cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Demo:
    """The folder of a demo, and what carrying it out said."""

    folder: Path
    said: Said

    @property
    def sealed(self) -> Path:
        return self.folder / "out/seal/tumours-1.holdfast"

    @property
    def keys(self) -> tuple[str | Path, ...]:
        return ("--signer", self.folder / "keys/signer.pub", "--key", self.folder / "keys/recipient.key")


@pytest.fixture(scope="session")
def demo(made_once: MadeOnce) -> Demo:
    """The demo, carried out once. Tests must not change it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        said = spawned("demo", folder / "tumours")
        (folder / "said.json").write_text(json.dumps(asdict(said)))

    folder = made_once("demo", make)
    return Demo(folder / "tumours", Said(**json.loads((folder / "said.json").read_text())))


@pytest.fixture
def copied(demo: Demo, tmp_path: Path) -> Callable[[], Demo]:
    """A copy of the carried-out demo, to be changed."""

    def copy() -> Demo:
        folder = tmp_path / "copy"
        shutil.copytree(demo.folder, folder)
        return Demo(folder, demo.said)

    return copy
