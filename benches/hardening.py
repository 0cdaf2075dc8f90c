"""Everything that is measured of hardening: runs each harden_*.py beside this file, in the order of their names.

Each prints JSON lines {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"} and can be run by itself, with
options of its own. One thread. The exit code is that of the worst.

    python benches/hardening.py --only pictures
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the scripts; 0 if all of them came to an end."""
    scripts = {path.stem.removeprefix("harden_"): path for path in sorted(Path(__file__).parent.glob("harden_*.py"))}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=list(scripts), default=list(scripts))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    codes = [
        subprocess.run([sys.executable, str(scripts[name])], env=environment, check=False).returncode
        for name in parser.parse_args().only
    ]
    return max(map(abs, codes), default=0)


if __name__ == "__main__":
    sys.exit(main())
