"""The benches import each other as scripts do: from their own folder."""

from __future__ import annotations

import sys
from pathlib import Path

BENCHES = Path(__file__).parent.parent.parent / "benches"
sys.path.insert(0, str(BENCHES))
