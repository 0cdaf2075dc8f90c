"""The entries of the audit log, and the chain that they make: each hash covers the one before, and is signed."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from holdfast.custody import VerifyKey
from holdfast.errors import IntegrityError
from holdfast.evidence import canonical_json
from holdfast.serving.anchor import Anchor
from holdfast.serving.store import audit

FORMAT: Final = "holdfast-audit-1"
GENESIS: Final = hashlib.sha256(FORMAT.encode()).digest()
"""The hash before the first entry."""


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


def check_anchor(connection: Connection, anchor: Anchor, *, signer: VerifyKey) -> None:
    """The anchored entry is in the log, so the log was not cut off before it.

    Raises:
        IntegrityError: it is not, or the anchor is gone or not signed by this key.
    """
    anchored = anchor.read()
    last, _ = last_link(connection)
    if anchored is None:
        if last:
            raise IntegrityError(f"the audit log has {last} entries and no anchor: the anchor was removed")
        return
    number, digest, signature = anchored
    check_signature(digest, signature, signer=signer, what="the anchor of the audit log")
    found = connection.scalar(select(audit.c.hash).where(audit.c.number == number))
    if found is None:
        raise IntegrityError(f"the audit log ends at entry {last}, its anchor at {number}: entries were removed")
    if found != digest:
        raise IntegrityError(f"entry {number} of the audit log is not the one in its anchor: the log was rewritten")


def check_signature(digest: bytes, signature: bytes, *, signer: VerifyKey, what: str) -> None:
    """Refuse a hash that the log's key has not signed.

    Raises:
        IntegrityError: it has not.
    """
    try:
        signer.verify(signature, digest, purpose=FORMAT)
    except IntegrityError:
        raise IntegrityError(f"{what} is not signed by {signer.id}: it was forged, or signed by another key") from None


def chain_hash(previous: bytes, entry: AuditEntry) -> bytes:
    """The hash of an entry after the one with the hash `previous`."""
    return hashlib.sha256(previous + canonical_json(asdict(entry))).digest()


def last_link(connection: Connection) -> tuple[int, bytes]:
    """The newest entry's number and hash."""
    row = connection.execute(select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)).first()
    return (row.number, row.hash) if row else (0, GENESIS)


def entry_of(row: Any) -> AuditEntry:
    """The entry of a row of the table."""
    return AuditEntry(**{name: getattr(row, name) for name in AuditEntry.__dataclass_fields__})
