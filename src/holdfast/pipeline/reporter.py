"""How a run tells what it is doing. The fronts decide how that looks; the pipeline never prints."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Hears of a run, in this order: `begin`, any number of `advance`, then `skip` or `finish`."""

    def begin(self, step: str, *, doing: str) -> None:
        """A step begins."""
        ...

    def advance(self, step: str, *, done: int, total: int) -> None:
        """A step has done so many of its parts."""
        ...

    def skip(self, step: str, *, lines: tuple[str, ...]) -> None:
        """A step was done before, with the same inputs; these were its findings."""
        ...

    def finish(self, step: str, *, lines: tuple[str, ...], seconds: float) -> None:
        """A step is done, with these findings."""
        ...


class SilentReporter:
    """Says nothing."""

    def begin(self, step: str, *, doing: str) -> None:
        """Say nothing."""

    def advance(self, step: str, *, done: int, total: int) -> None:
        """Say nothing."""

    def skip(self, step: str, *, lines: tuple[str, ...]) -> None:
        """Say nothing."""

    def finish(self, step: str, *, lines: tuple[str, ...], seconds: float) -> None:
        """Say nothing."""
