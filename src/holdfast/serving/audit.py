"""The log of who asked what, when, and what came of it, which cannot be rewritten unnoticed.

Each entry's hash is SHA-256 over the hash before it and the entry's canonical JSON, and is signed (Ed25519) with a key
that is kept outside the database. So the last signature vouches for every entry before it. Where the log ends is said
by an *anchor*: a small file, kept apart from the database, that holds the number, hash and signature of the newest
entry and is rewritten with each. An entry is on the disk before its request is answered; those that come at the same
time are written together. Inputs, answers and tokens are never in the log.

`verify_audit` finds an entry that was edited, removed, inserted or put elsewhere, and a log that was cut off at its end
or replaced by an older copy of itself. What an attacker can still do unnoticed:

    with the database                 cut off entries after the anchor's: there are none, unless the service was killed
                                      between the two writes or another process wrote its anchor a moment too late
    with the database and the anchor  put both back to a state that they once had together
    with the signing key as well      write any history

Against the last two, note the head (`AuditLog.head`) somewhere else from time to time, and give it to `verify_audit`.
A log that never existed cannot be missed: deleting the database and the anchor together starts a new, empty one.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError as ConstraintError

from holdfast import limits
from holdfast.custody import SigningKey, VerifyKey
from holdfast.errors import IntegrityError, SystemFault
from holdfast.evidence import canonical_json
from holdfast.serving.anchor import Anchor
from holdfast.serving.store import Store, audit

FORMAT: Final = "holdfast-audit-1"

_GENESIS: Final = hashlib.sha256(FORMAT.encode()).digest()
_ATTEMPTS: Final = 50


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One entry. `client` is "" where nobody was recognised, `outcome` is "ok" or the name of an error."""

    number: int
    time: str
    client: str
    action: str
    model: str
    rows: int
    outcome: str
    latency_us: int


@dataclass(frozen=True)
class AuditHead:
    """The end of a log: the number and hash of its newest entry. 0 entries have the hash that all logs start from."""

    number: int
    hash: str


class AuditLog:
    """Appends to the log of a store. Threads may share it; processes may each have one on the same store.

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
            _check_anchor(connection, self._anchor, signer=key.public)
            self._head = _last(connection)
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
        for _ in range(_ATTEMPTS):
            entries = self._chained(tellings)
            try:
                with self._store.write(durable=True) as connection:
                    connection.execute(insert(audit), entries)
            except ConstraintError:  # another process took the number: go on from its entry
                with self._store.read() as connection:
                    self._head = _last(connection)
                continue
            last = entries[-1]
            self._head = last["number"], last["hash"]
            self._anchor.write(*self._head, last["signature"])
            return
        raise SystemFault("the audit log could not be written: too many processes write it at once")

    def _chained(self, tellings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Entries for the database, each with its hash over the one before and its signature."""
        last, digest = self._head
        entries = []
        for number, told in enumerate(tellings, start=last + 1):
            entry = AuditEntry(number=number, time=_now(), **told)
            digest = _hash(digest, entry)
            signature = self._key.sign(digest, purpose=FORMAT)
            entries.append(asdict(entry) | {"hash": digest, "signature": signature})
        return entries


@dataclass(eq=False)
class _Pending:
    """An entry that waits to be written."""

    told: dict[str, Any]
    done: bool = False
    failure: SystemFault | None = None


def read_audit(store: Store, *, newest: int = 100) -> tuple[AuditEntry, ...]:
    """The newest entries, oldest first."""
    with store.read() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.number.desc()).limit(newest)).all()
    return tuple(_entry(row) for row in reversed(rows))


def verify_audit(store: Store, *, signer: VerifyKey, anchor: str | Path, noted: AuditHead | None = None) -> AuditHead:
    """Check the whole log against its signatures and its anchor; the module's docstring says what that shows.

    Args:
        store: where the entries are kept.
        signer: the public half of the key that signs them.
        anchor: the path of the anchor file.
        noted: a head that was noted elsewhere, which the log must contain.

    Raises:
        IntegrityError: naming the first entry that is wrong.
    """
    with store.read() as connection:
        _check_anchor(connection, Anchor(Path(anchor)), signer=signer)
        number, digest, signature, noted_hash = 0, _GENESIS, b"", _GENESIS.hex()
        for row in connection.execute(select(audit).order_by(audit.c.number).execution_options(yield_per=1_000)):
            entry = _entry(row)
            if entry.number != number + 1:
                raise IntegrityError(f"the audit log has entry {entry.number} after entry {number}: some were removed")
            digest = _hash(digest, entry)
            if digest != row.hash:
                raise IntegrityError(f"entry {entry.number} of the audit log, or one before it, was changed")
            number, signature = entry.number, row.signature
            if noted and number == noted.number:
                noted_hash = digest.hex()
    if number:
        _check_signature(digest, signature, signer=signer, what=f"entry {number} of the audit log")
    if noted and (number < noted.number or noted_hash != noted.hash):
        raise IntegrityError(
            f"the audit log does not contain the entry {noted.number} that was noted: it was rewritten"
        )
    return AuditHead(number, digest.hex())


def _check_anchor(connection: Connection, anchor: Anchor, *, signer: VerifyKey) -> None:
    """The anchored entry is in the log, so the log was not cut off before it."""
    anchored = anchor.read()
    last, _ = _last(connection)
    if anchored is None:
        if last:
            raise IntegrityError(f"the audit log has {last} entries and no anchor: the anchor was removed")
        return
    number, digest, signature = anchored
    _check_signature(digest, signature, signer=signer, what="the anchor of the audit log")
    found = connection.scalar(select(audit.c.hash).where(audit.c.number == number))
    if found is None:
        raise IntegrityError(f"the audit log ends at entry {last}, its anchor at {number}: entries were removed")
    if found != digest:
        raise IntegrityError(f"entry {number} of the audit log is not the one in its anchor: the log was rewritten")


def _check_signature(digest: bytes, signature: bytes, *, signer: VerifyKey, what: str) -> None:
    try:
        signer.verify(signature, digest, purpose=FORMAT)
    except IntegrityError:
        raise IntegrityError(f"{what} is not signed by {signer.id}: it was forged, or signed by another key") from None


def _hash(previous: bytes, entry: AuditEntry) -> bytes:
    return hashlib.sha256(previous + canonical_json(asdict(entry))).digest()


def _last(connection: Connection) -> tuple[int, bytes]:
    row = connection.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)).first()
    return (row.number, row.hash) if row else (0, _GENESIS)


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(**{name: getattr(row, name) for name in AuditEntry.__dataclass_fields__})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
