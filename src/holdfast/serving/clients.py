"""One who may ask, as the store has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import select

from holdfast.errors import AccessError
from holdfast.serving.store import budgets, clients

Restriction = Literal["throttle", "block"]

CLIENTS: Final = select(clients, budgets.c.granted, budgets.c.spent).join(budgets)
"""Every client, with its budget."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One who may ask. Times are seconds since 1970, budgets are rows."""

    name: str
    created: float
    expires: float | None
    revoked: float | None
    restriction: Restriction | None
    query_budget: int
    spent: int

    @property
    def remaining(self) -> int:
        """The rows that the client may still ask."""
        return self.query_budget - self.spent


def client_of(row: Any) -> Client:
    """The client of a row of `CLIENTS`."""
    return Client(
        name=row.name,
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
        restriction=row.restriction,
        query_budget=row.granted,
        spent=row.spent,
    )


def check_not_blocked(client: Client) -> None:
    """Refuse a client that is blocked.

    Raises:
        AccessError: it is.
    """
    if client.restriction == "block":
        raise AccessError(
            f"{client.name!r} is blocked: its queries look like the copying or probing of a model",
            hint="whoever runs the service can look at the alert and lift the block",
        )
