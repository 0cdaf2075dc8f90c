"""Encrypted rows, counted: all that can be told of them is when a client has had as many as could tell the model."""

from __future__ import annotations

import threading
from collections import OrderedDict

from holdfast import limits
from holdfast.serving.watch import Alert


class PrivateTally:
    """Counts the encrypted rows of each client. Threads may share it.

    Args:
        enough: so many rows could tell all numbers of the model; see `telling_rows`.
    """

    def __init__(self, *, enough: int) -> None:
        self._enough = enough
        self._asked: OrderedDict[str, int] = OrderedDict()
        self._counting = threading.Lock()

    def observe(self, client: str, *, rows: int) -> Alert | None:
        """Count rows of a client; returns an alert once, when it has had enough."""
        with self._counting:
            before = self._asked.pop(client, 0)
            asked = self._asked[client] = before + rows
            if len(self._asked) > limits.MAX_WATCHED_CLIENTS:
                self._asked.popitem(last=False)
        if not before < self._enough <= asked:
            return None
        reason = (
            f"{asked} encrypted rows were asked; the exact scores of {self._enough} can carry all weights of this "
            "model, and encrypted rows cannot be looked at"
        )
        return Alert(client=client, kind="private rows", reason=reason)
