"""Strangers at the door: counted, and told to the audit log in bulk, so that they cannot fill it."""

from __future__ import annotations

import threading
import time
from typing import Final

_SECONDS_PER_ENTRY: Final = 1.0


class Refusals:
    """Counts refused tokens. Threads may share it."""

    def __init__(self) -> None:
        self._count = 0
        self._next = 0.0
        self._counting = threading.Lock()

    def due(self) -> int:
        """One more refusal; returns how many are to be entered now, or 0 where that can wait."""
        with self._counting:
            self._count += 1
            now = time.monotonic()
            if now < self._next:
                return 0
            count, self._count, self._next = self._count, 0, now + _SECONDS_PER_ENTRY
            return count
