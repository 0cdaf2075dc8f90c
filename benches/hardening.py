"""Everything that is measured of hardening: runs each harden_*.py beside this file, in the order of their names.

Each prints JSON lines {"bench", "case", "ours", "peer", "peer_name", "ratio", "unit"} and can be run by itself, with
options of its own. One thread. The exit code is that of the worst.

    python benches/hardening.py --only pictures
"""

from __future__ import annotations

import sys

from collect import run_all

if __name__ == "__main__":
    sys.exit(run_all("harden_", description=__doc__))
