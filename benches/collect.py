"""Runs the bench scripts beside this file whose names begin alike, as one; for `attacks.py` and `hardening.py`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path


def run_all(prefix: str, *, description: str | None) -> int:
    """Run each script whose name begins so, in the order of their names, on one thread.

    Returns:
        The worst of their exit codes; 0 if all of them came to an end.
    """
    scripts = {path.stem.removeprefix(prefix): path for path in sorted(Path(__file__).parent.glob(f"{prefix}*.py"))}
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", nargs="+", choices=list(scripts), default=list(scripts))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    codes = [
        subprocess.run([sys.executable, str(scripts[name])], env=environment, check=False).returncode
        for name in parser.parse_args().only
    ]
    return max(map(abs, codes), default=0)
