"""What stands between a client and an answer: its budget, how it stands now, and what the watch says of it."""

from __future__ import annotations

from holdfast.serving.access import Access
from holdfast.serving.clients import Client
from holdfast.serving.reactions import Reactions
from holdfast.serving.recorder import Recorder
from holdfast.serving.watch import Alert


class Admission:
    """Lets clients of one service through to an answer, or not."""

    def __init__(self, access: Access, reactions: Reactions, recorder: Recorder) -> None:
        self._access = access
        self._reactions = reactions
        self._recorder = recorder

    def admit(self, client: Client, *, rows: int) -> Client:
        """Charge a client as it stands now, and return it so.

        Raises:
            BudgetError: the budget does not suffice, or the client is throttled.
            AccessError: it is blocked, or its token was revoked.
        """
        admitted = self._access.current(client)
        self._reactions.pace(admitted, rows=rows)
        self._access.charge(admitted, rows=rows)
        return admitted

    def react(self, admitted: Client, alert: Alert | None, *, rows: int) -> None:
        """Do about an alert what the service is to do about it.

        Raises:
            AccessError: the client is now blocked.
            BudgetError: it is now throttled.
        """
        if alert:
            self._recorder.enter(admitted.name, "alert", rows=rows, outcome=alert.kind)
            self._reactions.react(alert)
            self.confirm(admitted, rows=rows)

    def confirm(self, admitted: Client, *, rows: int) -> None:
        """Refuse a client that was restricted or revoked since it was admitted.

        Raises:
            AccessError, BudgetError: it was.
        """
        current = self._access.current(admitted)
        if current.restriction != admitted.restriction:
            self._reactions.pace(current, rows=rows)
