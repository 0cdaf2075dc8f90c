"""A command that refuses does so before it loads what it would have worked with: a person waits for every import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LEARNING = ("sklearn", "scipy", "onnxruntime", "torch", "xgboost")
TABLES = ("pandas", "pyarrow")
SERVICE = ("starlette", "uvicorn", "sqlalchemy")
LOADED = """
import sys
from holdfast.cli import main
sys.argv[0] = "holdfast"
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules})
"""


def loaded(*arguments: str, cwd: Path) -> set[str]:
    """The packages that a command has loaded when it ends."""
    command = [sys.executable, "-c", LOADED, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["run", "check", "train", "seal"])
def test_a_config_that_is_absent_is_refused_without_reading_tables(tmp_path: Path, command: str) -> None:
    assert not loaded(command, "absent.toml", cwd=tmp_path) & {"numpy", *TABLES, *LEARNING, *SERVICE}


def test_a_table_without_the_target_is_refused_without_what_learns_from_it(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n3,4\n")
    found = loaded("init", "table.csv", "--target", "y", cwd=tmp_path)
    assert not found & {*LEARNING, *SERVICE}
    assert set(TABLES) <= found


def test_a_bundle_that_is_absent_is_refused_without_what_would_serve_it(tmp_path: Path) -> None:
    found = loaded("verify", "a.holdfast", "--signer", "s.pub", "--key", "r.key", cwd=tmp_path)
    assert not found & {*TABLES, *LEARNING, *SERVICE}
