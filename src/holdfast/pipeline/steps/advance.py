"""How a step tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Advance(Protocol):
    """Called with the parts done and the parts in all; may be called often."""

    def __call__(self, done: int, total: int) -> None:
        """Hear how far the step is."""
        ...
