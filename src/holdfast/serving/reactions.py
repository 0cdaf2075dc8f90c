"""What is done about an alert: written down always, and then nothing more, a slower pace, or a closed door."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import func, insert, select

from holdfast.errors import BudgetError
from holdfast.limits import THROTTLED_ROWS_PER_MINUTE
from holdfast.serving.access import Access
from holdfast.serving.clients import Client
from holdfast.serving.store import Store, alerts
from holdfast.serving.watch import Alert, AlertKind

Reaction = Literal["alert", "throttle", "block"]
"""What an alert leads to: only itself, a slow pace for the client, or no more answers until a person lifts it."""

_SECONDS_PER_ROW: Final = 60 / THROTTLED_ROWS_PER_MINUTE


@dataclass(frozen=True, kw_only=True)
class RecordedAlert:
    """An alert as it was written down. `time` is seconds since 1970, `action` what was done about it."""

    number: int
    time: float
    client: str
    kind: AlertKind
    reason: str
    action: Reaction


class Reactions:
    """Reacts to the alerts of one service.

    Args:
        store: where alerts are written down.
        reaction: to an alert of a client whose rows could be seen; counting encrypted rows only ever alerts.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, *, reaction: Reaction, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._access = Access(store, clock=clock)
        self._reaction = reaction
        self._clock = clock
        self._free_at: dict[str, float] = {}
        self._pacing = threading.Lock()

    def react(self, alert: Alert) -> None:
        """Write an alert down and restrict its client as the setting says."""
        action: Reaction = "alert" if alert.kind == "private rows" else self._reaction
        record = {"time": self._clock(), "client": alert.client, "kind": alert.kind, "reason": alert.reason}
        with self._store.write() as connection:
            connection.execute(insert(alerts).values(**record, action=action))
        if action != "alert":
            self._access.restrict(alert.client, action)

    def pace(self, client: Client, *, rows: int) -> None:
        """Let the rows of a throttled client pass at its pace; of any other, all.

        Raises:
            BudgetError: the client is throttled, and these rows are too many for now.
        """
        if client.restriction == "throttle":
            self._pace(client.name, rows)

    def recorded(self) -> tuple[RecordedAlert, ...]:
        """Every alert, oldest first."""
        with self._store.read() as connection:
            rows = connection.execute(select(alerts).order_by(alerts.c.number)).mappings()
            return tuple(RecordedAlert(**row) for row in rows)

    def count(self) -> int:
        """How many alerts there are."""
        with self._store.read() as connection:
            return connection.scalar(select(func.count()).select_from(alerts)) or 0

    def _pace(self, name: str, rows: int) -> None:
        """One row every ten seconds, up to a minute's worth at once (a leaky bucket)."""
        with self._pacing:
            now = self._clock()
            free_at = max(self._free_at.get(name, now), now) + rows * _SECONDS_PER_ROW
            if free_at - now > 60:
                raise BudgetError(
                    f"{name!r} is throttled to {THROTTLED_ROWS_PER_MINUTE} rows a minute", hint="ask fewer rows, later"
                )
            self._free_at[name] = free_at
