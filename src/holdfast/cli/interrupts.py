"""Ctrl-C, also at the moments at which Python would lose it."""

from __future__ import annotations

import os
import signal
import sys
import time
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Final

_SECONDS_BEFORE_THE_NEXT: Final = 0.01
"""By then Python has left the place where it cannot raise."""


def keep_interrupts() -> None:
    """From now on an interrupt that Python drops comes again.

    What is raised in the callback of a weak reference or in a finalizer is shown and forgotten, a KeyboardInterrupt as
    well; and every import ends in such a callback (`importlib._bootstrap._get_module_lock`). Of a hundred interrupts
    while libraries are loaded, one or two would do nothing.
    """
    if not isinstance(sys.unraisablehook, _Again):
        sys.unraisablehook = _Again(sys.unraisablehook)


@dataclass(frozen=True)
class _Again:
    """What Python calls with what it cannot raise; all but interrupts goes to where it went before."""

    others: Callable[[sys.UnraisableHookArgs], object]

    def __call__(self, lost: sys.UnraisableHookArgs) -> None:
        """Send a lost interrupt once more."""
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            self.others(lost)
            return
        start_new_thread(_interrupt_later, ())  # starting a `Thread` waits, and loses what comes meanwhile
        with suppress(KeyboardInterrupt, ValueError):  # another one, which still comes; or not in the main thread
            _raise_at_the_next()


def _raise_at_the_next() -> None:
    """Let the interrupt that comes again raise by itself.

    The program's handler was asked already. One that serves once would have put the default action in its place, which
    ends the process without a word; one that counts would take it for a second.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is not None and not isinstance(handler, _RaiseOnce):  # None: not set in Python, and nothing to set again
        signal.signal(signal.SIGINT, _RaiseOnce(handler))


@dataclass(frozen=True)
class _RaiseOnce:
    """A handler that gives way to the one before it and raises."""

    before: Callable[[int, FrameType | None], object] | int

    def __call__(self, number: int, _: FrameType | None) -> None:
        """See the class."""
        signal.signal(number, self.before)
        raise KeyboardInterrupt


def _interrupt_later() -> None:
    time.sleep(_SECONDS_BEFORE_THE_NEXT)
    os.kill(os.getpid(), signal.SIGINT)
