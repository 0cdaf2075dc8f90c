"""The commands of the service: clients, serve, ask, audit."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from holdfast.cli.bundles import load_bundle
from holdfast.cli.terminal import clean, say
from holdfast.custody import SigningKey, VerifyKey
from holdfast.data import read_table
from holdfast.errors import CredentialError, InputError, IntegrityError, UsageError
from holdfast.http import Client, create_app, serve
from holdfast.pipeline import keyring, read_config
from holdfast.serving import Access, AuditHead, AuditLog, Service, Store, read_audit
from holdfast.serving import verify_audit as verify_log

TOKEN_VARIABLE: Final = "HOLDFAST_TOKEN"

_HASH: Final = re.compile("[0-9a-f]{64}")
_NUMBER_DIGITS: Final = 18


def add_client(name: str, *, budget: int, store: Path) -> None:
    """Make a client and show its token, once, alone on stdout."""
    with Store(store) as opened:
        token = Access(opened).add_client(name, query_budget=budget)
    say(token)
    sys.stderr.write(f"{name} may ask for {budget} rows; this token is not shown again\n")


def revoke_client(name: str, *, store: Path) -> None:
    """Take a client's token away."""
    with Store(_present(store)) as opened:
        Access(opened).revoke(name)
    say(f"{name} has no access any more")


def serve_sealed(sealed: Path, *, signer: Path, key: Path, config: Path, store: Path) -> None:
    """Serve until stopped.

    Raises:
        PolicyError: the bundle's evidence does not meet the policy.
    """
    settings = read_config(config)
    bundle = load_bundle(sealed, signer=signer, key=key)
    with Store(store) as opened:
        audit = AuditLog(opened, key=_audit_key(opened, store), anchor=_anchor(store))
        service = Service(
            bundle, policy=settings.demands, store=opened, audit=audit, reaction=settings.serve.unusual_use
        )
        say(f"{bundle.name} version {bundle.version} verified and meets the policy")
        try:
            serve(
                create_app(service),
                host=settings.serve.host,
                port=settings.serve.port,
                listening=lambda url: say(f"serving on {url}; stop with Ctrl-C"),
            )
        finally:
            try:
                service.close()
            finally:
                audit.close()
    say("stopped; every request in progress was answered")


def ask_service(table: Path, *, url: str, private: bool) -> None:
    """Write the answers as CSV: the most probable class of each row, and the probability of each class.

    Raises:
        CredentialError: there is no token in the environment.
    """
    import pandas as pd

    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise CredentialError(
            f"expected a token in {TOKEN_VARIABLE}, it is not set",
            hint="whoever runs the service makes one with: holdfast client NAME",
        )
    rows = read_table(table)
    with Client(url, token) as client:
        answers = client.predict_proba(rows, private=private)
        classes = [clean(name) for name in client.schema.classes]  # they come from the service
    frame = pd.DataFrame(answers, columns=[f"p({name})" for name in classes])
    frame.insert(0, "label", [classes[position] for position in answers.argmax(axis=1)])
    frame.to_csv(sys.stdout, index=False)


def verify_audit(store: Path, *, signer: Path | None, noted: str | None) -> None:
    """Verify the log, and say how far that goes: who can write the folder can replace log, anchor and key together.

    Raises:
        IntegrityError: the log does not fit its signatures, its anchor, or the entry noted.
        UsageError: the noted entry is not NUMBER:HASH.
    """
    head = _noted(noted) if noted is not None else None
    key = VerifyKey.load(signer or _audit_public(store))
    with Store(_present(store)) as opened:
        newest = verify_log(opened, signer=key, anchor=_anchor(store), noted=head)
    whose = f"the key {signer}" if signer else "the key beside the database"
    say(f"{newest.number} entries, each chained to the one before, the newest signed with {whose}")
    if head:
        say(f"entry {head.number} is the one noted: it and those before it are as they were then")
    elif signer is None:
        say("whoever can write this folder can replace log and key together; --signer and --noted would show it")
    say(f"note this elsewhere: {newest.number}:{newest.hash}")


def _present(store: Path) -> Path:
    if not store.exists():
        raise InputError(f"expected the service's database at {store}, found no file there")
    return store


def _noted(text: str) -> AuditHead:
    number, _, digest = text.partition(":")
    if not (number.isdecimal() and len(number) <= _NUMBER_DIGITS and int(number) and _HASH.fullmatch(digest)):
        raise UsageError(
            f"expected an entry as NUMBER:HASH, got {text[:100]!r}", hint="holdfast audit prints it in its last line"
        )
    return AuditHead(int(number), digest)


def _audit_key(opened: Store, store: Path) -> SigningKey:
    """The key that signs the audit log of a store; made when the store is first served, and never again.

    Raises:
        IntegrityError: there is a log, or an anchor, and the key is gone.
    """
    path = store.with_name(f"{store.name}.audit.key")
    if not path.exists():
        if _anchor(store).exists() or read_audit(opened, newest=1):
            raise IntegrityError(
                f"expected the key that signs this audit log at {path}, it is gone",
                hint="bring it back, or move the database and its anchor away and begin a new log",
            )
        key = SigningKey.generate()
        key.save(path, passphrase=keyring.passphrase())
        key.public.save(_audit_public(store))
    return SigningKey.load(path, passphrase=keyring.passphrase())


def _audit_public(store: Path) -> Path:
    return store.with_name(f"{store.name}.audit.pub")


def _anchor(store: Path) -> Path:
    return store.with_name(f"{store.name}.anchor")
