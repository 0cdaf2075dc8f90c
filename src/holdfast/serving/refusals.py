"""Strangers at the door: counted, and told to the audit log in bulk, so that they cannot fill it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from holdfast.errors import SystemFault

_SECONDS_PER_ENTRY: Final = 1.0


class Refusals:
    """Counts refused tokens. Threads may share it.

    The first refusal is entered at once, those of the second after it together when it is over, or with whatever is
    entered before. None is left out, unless the process is killed in that second.

    Args:
        enter: writes a number of refusals into the log.
    """

    def __init__(self, enter: Callable[[int], None]) -> None:
        self._enter = enter
        self._count = 0
        self._timer: threading.Timer | None = None
        self._counting = threading.Lock()

    def add(self) -> None:
        """One more.

        Raises:
            SystemFault: it cannot be entered.
        """
        with self._counting:
            self._count += 1
            if self._timer is not None:
                return
            self._start_timer()
        self.flush()

    def flush(self) -> None:
        """Enter what is waiting.

        Raises:
            SystemFault: it cannot be; it goes on waiting.
        """
        with self._counting:
            count, self._count = self._count, 0
        if count == 0:
            return
        try:
            self._enter(count)
        except SystemFault:
            with self._counting:
                self._count += count
            raise

    def close(self) -> None:
        """Enter what is waiting, for the last time.

        Raises:
            SystemFault: it cannot be.
        """
        with self._counting:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self.flush()

    def _start_timer(self) -> None:
        self._timer = threading.Timer(_SECONDS_PER_ENTRY, self._time_over)
        self._timer.daemon = True
        self._timer.start()

    def _time_over(self) -> None:
        with self._counting:
            self._timer = None
            if self._count == 0:
                return
            self._start_timer()
        try:
            self.flush()
        except SystemFault:
            return  # whoever asks next is told that the log cannot be written; the count waits for the next second
