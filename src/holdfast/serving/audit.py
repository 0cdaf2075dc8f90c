"""The log of who asked what, when, and what came of it, which cannot be rewritten unnoticed.

Each entry's hash is SHA-256 over the hash before it and the entry's canonical JSON, and is signed (Ed25519) with a key
that is kept outside the database. So the last signature vouches for every entry before it. Where the log ends is said
by an *anchor*: a small file, kept apart from the database, that holds the number, hash and signature of the newest
entry and is rewritten with each. An entry is on the disk before its request is answered; those that come at the same
time are written together. Inputs, answers and tokens are never in the log.

`verify_audit` finds an entry that was edited, removed, inserted or put elsewhere, and a log that was cut off at its end
or replaced by an older copy of itself. What an attacker can still do unnoticed:

    with the database                 cut off entries after the anchor's: there are none, unless the service was killed
                                      between the two writes, or processes on several machines have anchors of their own
    with the database and the anchor  put both back to a state that they once had together
    with the signing key as well      write any history

Against the last two, note the head (`AuditLog.head`) somewhere else from time to time, and give it to `verify_audit`.
A log that never existed cannot be missed: deleting the database and the anchor together starts a new, empty one.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError as ConstraintError

from holdfast import limits
from holdfast.custody import SigningKey
from holdfast.errors import SystemFault
from holdfast.serving.anchor import Anchor
from holdfast.serving.audit_chain import FORMAT, AuditEntry, AuditHead, chain_hash, check_anchor, last_link
from holdfast.serving.store import Store, audit

_ATTEMPTS: Final = 50


class AuditLog:
    """Appends to the log of a store. Threads may share it; processes may each have one on the same store and anchor.

    Args:
        store: where the entries are kept.
        key: signs them; keep it where someone who can write the database cannot read it.
        anchor: the path of the anchor file; keep it where someone who can write the database cannot write it.

    Raises:
        IntegrityError: the log ends before its anchor, or the anchor is gone or not signed by this key.
        SystemFault: the disk refuses.
    """

    def __init__(self, store: Store, *, key: SigningKey, anchor: str | Path) -> None:
        self._store = store
        self._key = key
        self._anchor = Anchor(Path(anchor))
        with self._store.read() as connection:
            check_anchor(connection, self._anchor, signer=key.public)
            self._head = last_link(connection)
        self._appending = threading.Lock()
        self._pending: deque[_Pending] = deque()

    @property
    def head(self) -> AuditHead:
        """The newest entry that this log has written or seen."""
        number, digest = self._head
        return AuditHead(number, digest.hex())

    def append(self, *, client: str, action: str, model: str, rows: int, outcome: str, latency_us: int) -> None:
        """Write one entry; when this returns, it is in the database and in the anchor.

        Raises:
            SystemFault: the disk or the database refuses. The caller must then not give its answer.
        """
        told = {"client": client[: limits.MAX_NAME_CHARS], "action": action, "model": model, "rows": rows}
        mine = _Pending(told | {"outcome": outcome, "latency_us": latency_us})
        self._pending.append(mine)
        with self._appending:  # whoever comes in writes for all who wait, so that many share one write to the disk
            if not mine.done:
                self._write_pending()
        if mine.failure is not None:
            raise SystemFault(str(mine.failure), hint=mine.failure.hint)

    def close(self) -> None:
        """Make the anchor durable and close it."""
        self._anchor.close()

    def _write_pending(self) -> None:
        batch = [self._pending.popleft() for _ in range(len(self._pending))]
        failure: SystemFault | None = SystemFault("the audit log could not be written")
        try:
            self._write([pending.told for pending in batch])
            failure = None
        except SystemFault as error:
            failure = error
        finally:
            for pending in batch:
                pending.failure, pending.done = failure, True

    def _write(self, tellings: list[dict[str, Any]]) -> None:
        """Write entries and anchor with no other process between them."""
        with self._anchor.alone():
            anchored = self._anchor.read()
            if anchored is not None and anchored[:2] != self._head:
                self._catch_up()
            for _ in range(_ATTEMPTS):
                entries = self._chained(tellings)
                try:
                    with self._store.write(durable=True) as connection:
                        connection.execute(insert(audit), entries)
                except ConstraintError:  # a process with an anchor of its own took the number: go on from its entry
                    self._catch_up()
                    continue
                last = entries[-1]
                self._head = last["number"], last["hash"]
                self._anchor.write(*self._head, last["signature"])
                return
        raise SystemFault("the audit log could not be written: too many processes write it at once")

    def _catch_up(self) -> None:
        """Go on from the entry that another process wrote last."""
        with self._store.read() as connection:
            self._head = last_link(connection)

    def _chained(self, tellings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Entries for the database, each with its hash over the one before and its signature."""
        last, digest = self._head
        entries = []
        for number, told in enumerate(tellings, start=last + 1):
            entry = AuditEntry(number=number, time=_now(), **told)
            digest = chain_hash(digest, entry)
            signature = self._key.sign(digest, purpose=FORMAT)
            entries.append(asdict(entry) | {"hash": digest, "signature": signature})
        return entries


@dataclass(eq=False)
class _Pending:
    """An entry that waits to be written."""

    told: dict[str, Any]
    done: bool = False
    failure: SystemFault | None = None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
