"""Installing from source where something is missing: one sentence that says what."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def test_without_a_compiler_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    cmake = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if cmake is None:
        pytest.skip("cmake is not installed; pip brings its own when it builds")
    (tmp_path / "tools").mkdir()
    for tool in ("ninja", "make"):
        if (found := shutil.which(tool)) is not None:
            (tmp_path / "tools" / tool).symlink_to(found)
    environment = {"PATH": str(tmp_path / "tools"), "CXX": str(tmp_path / "no-compiler")}
    command = [cmake, "-S", str(REPOSITORY), "-B", str(tmp_path / "build")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    told = " ".join(done.stderr.split())
    assert "Holdfast needs a C++20 compiler to build its kernels: install g++ 12 or clang 15 or newer" in told
    assert told.count("CMake Error") == 1
