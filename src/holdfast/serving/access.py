"""Who may ask, and how much: bearer tokens and query budgets.

A token is 256 bits from the operating system, shown once and stored as its SHA-256. No salt and no slow hash: those
slow down guessing of passwords that people choose, and nobody guesses 256 random bits. Looking a token up by an index
on its hash may take a time that depends on the hash; that tells an attacker nothing from which a token with a given
hash could be found. The comparison that decides is made in constant time all the same.

A budget has two ends: rows and, if given, a time. Rows are charged before they are answered, one by one, whether they
came in the clear or encrypted; what was charged stays charged if the request then fails.

Whoever was authenticated may be blocked or revoked before the rest of the request arrives. So what counts is how the
client stands when it is charged, read in the same transaction, and once more (`current`) when its answer is ready.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError as ConstraintError

from holdfast import limits
from holdfast.errors import BudgetError, CredentialError, UsageError
from holdfast.serving.clients import CLIENTS, Client, Restriction, check_not_blocked, client_of
from holdfast.serving.store import Store, budgets, clients

_TOKEN_BYTES: Final = 32
_TOKEN_PREFIX: Final = "hf_"


class Access:
    """The clients of one store. Threads and processes may share it: no interleaving overspends a budget.

    Args:
        store: where they are kept.
        clock: seconds since 1970.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def add_client(self, name: str, *, query_budget: int, expires: datetime | None = None) -> str:
        """Admit a client and return its token, which is not kept and cannot be shown again.

        Raises:
            UsageError: the name is taken or unprintable, the budget not positive, or the time past or without a zone.
        """
        if not 1 <= len(name) <= limits.MAX_NAME_CHARS or not name.isprintable():
            raise UsageError(f"a client's name must be 1 to {limits.MAX_NAME_CHARS} printable characters, got {name!r}")
        _check_budget(query_budget)
        token = _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        record = {
            "name": name,
            "token_sha256": _digest(token),
            "created": self._clock(),
            "expires": self._future(expires),
        }
        try:
            with self._store.write() as connection:
                connection.execute(insert(clients).values(record))
                connection.execute(insert(budgets).values(client=name, granted=query_budget, spent=0))
        except ConstraintError:
            raise UsageError(
                f"there is a client {name!r} already",
                hint="choose another name; a revoked name stays taken",
            ) from None
        return token

    def grant(self, name: str, *, rows: int) -> None:
        """Add rows to a client's budget.

        Raises:
            UsageError: no such client, or rows is not positive.
        """
        _check_budget(rows)
        self._change(update(budgets).where(budgets.c.client == name).values(granted=budgets.c.granted + rows), name)

    def revoke(self, name: str) -> None:
        """End a client's access; its next request is refused.

        Raises:
            UsageError: no such client.
        """
        self._change(update(clients).where(clients.c.name == name).values(revoked=self._clock()), name)

    def restrict(self, name: str, restriction: Restriction | None) -> None:
        """Throttle or block a client, or lift that.

        Raises:
            UsageError: no such client.
        """
        self._change(update(clients).where(clients.c.name == name).values(restriction=restriction), name)

    def clients(self) -> tuple[Client, ...]:
        """Every client ever admitted, by name."""
        with self._store.read() as connection:
            return tuple(client_of(row) for row in connection.execute(CLIENTS.order_by(clients.c.name)))

    def authenticate(self, token: str) -> Client:
        """The client that a token belongs to.

        Raises:
            CredentialError: no client has this token, or it was revoked.
            BudgetError: the client's time is over.
        """
        digest = _digest(token[: limits.MAX_TOKEN_CHARS + 1])
        with self._store.read() as connection:
            row = connection.execute(CLIENTS.where(clients.c.token_sha256 == digest)).one_or_none()
        if row is None or not hmac.compare_digest(row.token_sha256, digest):
            raise CredentialError("expected the token of a client, got one that belongs to none", hint=_ASK)
        client = client_of(row)
        self._check_valid(client)
        return client

    def current(self, client: Client) -> Client:
        """The client as it stands now, if it may still have answers.

        Raises:
            CredentialError: its token was revoked.
            BudgetError: its time is over.
            AccessError: it is blocked.
        """
        with self._store.read() as connection:
            return self._standing(connection, client)

    def expect(self, client: Client) -> None:
        """Refuse a client that was just authenticated and cannot get an answer, whatever it asks.

        Raises:
            BudgetError: its budget is spent.
            AccessError: it is blocked.
        """
        check_not_blocked(client)
        if client.remaining <= 0:
            raise BudgetError(f"rows were asked, 0 are left in the budget of {client.name!r}", hint=_ASK)

    def charge(self, client: Client, *, rows: int) -> None:
        """Take rows from a client's budget: all of them, or, if it does not suffice or the client may not ask, none.

        Raises:
            CredentialError: its token was revoked.
            BudgetError: fewer rows are left, or its time is over.
            AccessError: it is blocked.
            UsageError: rows is not positive.
        """
        _check_budget(rows)
        spend = (
            update(budgets)
            .where(budgets.c.client == client.name, budgets.c.spent + rows <= budgets.c.granted)
            .values(spent=budgets.c.spent + rows)
        )
        with self._store.write() as connection:
            self._standing(connection, client)
            if connection.execute(spend).rowcount == 1:
                return
            left = connection.scalar(select(budgets.c.granted - budgets.c.spent).where(budgets.c.client == client.name))
        raise BudgetError(f"{rows} rows were asked, {left or 0} are left in the budget of {client.name!r}", hint=_ASK)

    def _standing(self, connection: Connection, client: Client) -> Client:
        """The client as this transaction sees it; locked until its end, on a database that locks rows."""
        row = connection.execute(CLIENTS.where(clients.c.name == client.name).with_for_update()).one_or_none()
        if row is None:
            raise CredentialError(f"there is no client {client.name!r} any more", hint=_ASK)
        current = client_of(row)
        self._check_valid(current)
        check_not_blocked(current)
        return current

    def _check_valid(self, client: Client) -> None:
        if client.revoked is not None:
            raise CredentialError(f"the token of {client.name!r} was revoked on {_day(client.revoked)}", hint=_ASK)
        if client.expires is not None and self._clock() >= client.expires:
            raise BudgetError(f"the access of {client.name!r} ended on {_day(client.expires)}", hint=_ASK)

    def _change(self, statement: Any, name: str) -> None:
        with self._store.write() as connection:
            if connection.execute(statement).rowcount != 1:
                raise UsageError(f"there is no client {name!r}")

    def _future(self, expires: datetime | None) -> float | None:
        if expires is None:
            return None
        if expires.tzinfo is None:
            raise UsageError(f"expires needs a time zone, got {expires.isoformat()}", hint="use datetime.UTC")
        if expires.timestamp() <= self._clock():
            raise UsageError(f"expires must lie ahead, got {expires.isoformat()}")
        return expires.timestamp()


_ASK: Final = "ask whoever runs the service"


def _check_budget(rows: int) -> None:
    if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= limits.MAX_QUERY_BUDGET:
        raise UsageError(f"expected 1 to {limits.MAX_QUERY_BUDGET} rows, got {rows!r}")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
