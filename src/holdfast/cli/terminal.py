"""How the command line speaks.

* What a command is asked for goes to stdout; errors and hints go to stderr.
* On a terminal, progress moves; in a pipe or a log, each step is one plain line.
* An error is one sentence after `error:`, and where there is a next thing to do, one after `hint:`.
* The exit code tells who has to act; see `EXIT_CODES`. An error that is none of ours is a defect of Holdfast: it has
  an exit code of its own, so that nobody takes it for a policy that is not met, and its traceback is shown.
* Text from outside, such as the name of a class, cannot speak to the terminal: its control characters are taken out.
"""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holdfast.errors import (
    AccessError,
    HoldfastError,
    InputError,
    IntegrityError,
    PolicyError,
    SystemFault,
    UnsupportedError,
    UsageError,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SAFE: Final = 0
SECONDS_BETWEEN_LINES: Final = 10.0
EXIT_CODES: Final = (
    (PolicyError, 1),  # done, and the evidence does not meet the policy
    (UsageError, 2),  # the command or holdfast.toml has to be mended
    (InputError, 2),
    (UnsupportedError, 2),
    (IntegrityError, 3),  # tampered with, or from somebody else: do not use it
    (AccessError, 4),  # no valid token, or a budget is spent
    (SystemFault, 5),  # disk, port, network
)
DEFECT: Final = 70
INTERRUPTED: Final = 130

# Control characters, line ends of any kind, the marks that turn the direction of writing, and halves of characters.
_SPEAKS_TO_THE_TERMINAL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def exit_code(error: HoldfastError) -> int:
    """The stable exit code of an error."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def complain(error: HoldfastError) -> None:
    """Say on stderr what is wrong and what to do."""
    sys.stderr.write(f"error: {clean(str(error))}\n")
    if error.hint:
        sys.stderr.write(f"hint: {clean(error.hint)}\n")


def confess(error: Exception) -> None:
    """Say on stderr that Holdfast itself failed, and where."""
    sys.stderr.write(f"error: this is a defect in Holdfast: {clean(f'{type(error).__name__}: {error}')}\n")
    for line in "".join(traceback.format_exception(error)).splitlines():
        sys.stderr.write(f"{clean(line)}\n")


def say(text: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(clean(text) + "\n")
    sys.stdout.flush()


def clean(text: str) -> str:
    """A line of text in which a question mark stands for whatever a terminal would obey instead of showing."""
    return _SPEAKS_TO_THE_TERMINAL.sub("?", text)


class PlainReporter:
    """A run as plain lines, for pipes and logs."""

    def __init__(self) -> None:
        self._told = 0.0

    def begin(self, step: str, *, doing: str) -> None:
        """One line that the step has begun."""
        self._told = time.monotonic()
        say(f"{step}: {doing}")

    def advance(self, step: str, *, done: int, total: int) -> None:
        """A line now and then, so that a log shows a long step at work."""
        if time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            say(f"{step}: {done} of {total}")

    def skip(self, step: str, *, lines: tuple[str, ...]) -> None:
        """The findings of the earlier run."""
        say(f"{step}: unchanged since the last run")
        self._findings(step, lines)

    def finish(self, step: str, *, lines: tuple[str, ...], seconds: float) -> None:
        """The findings, and the time that the step took."""
        self._findings(step, lines)
        say(f"{step}: done in {seconds:.1f} s")

    def _findings(self, step: str, lines: tuple[str, ...]) -> None:
        for line in lines:
            say(f"{step}: {line}")


class TerminalReporter:
    """A run on a terminal: one moving line for the step at work, its findings when it is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, step: str, *, doing: str) -> None:
        """Show the step as being at work."""
        self._task = self._progress.add_task(f"{step}: {doing}", total=None)

    def advance(self, step: str, *, done: int, total: int) -> None:
        """Move the bar of the step at work."""
        del step
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    def skip(self, step: str, *, lines: tuple[str, ...]) -> None:
        """Show the findings of the earlier run."""
        self._show(f"[dim]=[/dim] [bold]{step}[/bold] [dim]unchanged[/dim]", lines)

    def finish(self, step: str, *, lines: tuple[str, ...], seconds: float) -> None:
        """Show the findings, and the time that the step took."""
        self._show(f"[green]✓[/green] [bold]{step}[/bold] [dim]{seconds:.1f} s[/dim]", lines)

    def _show(self, title: str, lines: tuple[str, ...]) -> None:
        from rich.markup import escape

        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._progress.console.print(title, highlight=False)
        for line in lines:
            self._progress.console.print(f"    {escape(clean(line))}", highlight=False)


@contextmanager
def reporter() -> Iterator[PlainReporter | TerminalReporter]:
    """The reporter that suits stdout."""
    if not sys.stdout.isatty():
        yield PlainReporter()
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        yield TerminalReporter(progress)
