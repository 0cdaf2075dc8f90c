"""Reading the audit log, and checking that nobody rewrote it; what that shows is told in `audit`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from holdfast.custody import VerifyKey
from holdfast.errors import IntegrityError
from holdfast.serving.anchor import Anchor
from holdfast.serving.audit_chain import (
    GENESIS,
    AuditEntry,
    AuditHead,
    chain_hash,
    check_anchor,
    check_signature,
    entry_of,
)
from holdfast.serving.store import Store, audit


def read_audit(store: Store, *, newest: int = 100) -> tuple[AuditEntry, ...]:
    """The newest entries, oldest first."""
    with store.read() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.number.desc()).limit(newest)).all()
    return tuple(entry_of(row) for row in reversed(rows))


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
        check_anchor(connection, Anchor(Path(anchor)), signer=signer)
        number, digest, signature, noted_hash = 0, GENESIS, b"", GENESIS.hex()
        for row in connection.execute(select(audit).order_by(audit.c.number).execution_options(yield_per=1_000)):
            entry = entry_of(row)
            if entry.number != number + 1:
                raise IntegrityError(f"the audit log has entry {entry.number} after entry {number}: some were removed")
            digest = chain_hash(digest, entry)
            if digest != row.hash:
                raise IntegrityError(f"entry {entry.number} of the audit log, or one before it, was changed")
            number, signature = entry.number, row.signature
            if noted and number == noted.number:
                noted_hash = digest.hex()
    if number:
        check_signature(digest, signature, signer=signer, what=f"entry {number} of the audit log")
    if noted and (number < noted.number or noted_hash != noted.hash):
        raise IntegrityError(
            f"the audit log does not contain the entry {noted.number} that was noted: it was rewritten"
        )
    return AuditHead(number, digest.hex())
