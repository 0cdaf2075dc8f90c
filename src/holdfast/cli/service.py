"""The commands of whoever runs the service: clients, serve, audit."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette

from holdfast.cli.bundles import load_bundle
from holdfast.cli.terminal import say
from holdfast.custody import SigningKey, VerifyKey
from holdfast.errors import InputError, IntegrityError, UsageError
from holdfast.http import create_app, serve, serve_workers
from holdfast.pipeline import keyring, read_model_config
from holdfast.serving import Access, AuditHead, AuditLog, Service, Store, read_audit
from holdfast.serving import verify_audit as verify_log

_HASH: Final = re.compile("[0-9a-f]{64}")
_NUMBER_DIGITS: Final = 18


def add_client(name: str, *, budget: int, store: Path) -> None:
    """Make a client and show its token, once, alone on stdout.

    Raises:
        UsageError: a folder is where the database should be.
    """
    if store.is_dir():
        raise UsageError(
            f"expected a file for the service's database at {store}, found a folder", hint="name it: --store"
        )
    with Store(store) as opened:
        token = Access(opened).add_client(name, query_budget=budget)
    say(token)
    sys.stderr.write(f"{name} may ask for {budget} rows; this token is not shown again\n")


def revoke_client(name: str, *, store: Path) -> None:
    """Take a client's token away."""
    with Store(_present(store)) as opened:
        Access(opened).revoke(name)
    say(f"{name} has no access any more")


def serve_sealed(sealed: Path, *, signer: Path, key: Path, config: Path, store: Path, workers: int) -> None:
    """Serve until stopped.

    Raises:
        PolicyError: the bundle's evidence does not meet the policy.
    """
    settings = read_model_config(config).serve
    make = partial(_app, sealed, signer=signer, key=key, config=config, store=store)
    with make() as app:
        say(f"{app.state.described} verified and meets the policy")
        if workers == 1:
            serve(app, host=settings.host, port=settings.port, listening=_say_where)
    if workers > 1:
        serve_workers(make, workers=workers, host=settings.host, port=settings.port, listening=_say_where)
    say("stopped; every request in progress was answered")


def _say_where(url: str) -> None:
    say(f"serving on {url}; stop with Ctrl-C")


@contextmanager
def _app(sealed: Path, *, signer: Path, key: Path, config: Path, store: Path) -> Iterator[Starlette]:
    """The app of a sealed bundle, with its store, log and keys open until the end of a `with` block."""
    settings = read_model_config(config)
    bundle = load_bundle(sealed, signer=signer, key=key)
    with Store(store) as opened:
        audit = AuditLog(opened, key=_audit_key(opened, store), anchor=_anchor(store))
        service = Service(
            bundle,
            policy=settings.demands,
            store=opened,
            audit=audit,
            reaction=settings.serve.unusual_use,
            keys=store.with_name(f"{store.name}.keys"),
        )
        app = create_app(service)
        app.state.described = f"{bundle.name} version {bundle.version}"
        try:
            yield app
        finally:
            try:
                service.close()
            finally:
                audit.close()


def verify_audit(store: Path, *, signer: Path | None, noted: str | None) -> None:
    """Verify the log, and say how far that goes: who can write the folder can replace log, anchor and key together.

    Raises:
        IntegrityError: the log does not fit its signatures, its anchor, or the entry noted.
        InputError: there is no database, or no key, at its place.
        UsageError: the noted entry is not NUMBER:HASH.
    """
    head = _noted(noted) if noted is not None else None
    present = _present(store)
    if signer is None and not _audit_public(store).is_file():
        raise InputError(
            f"expected the key that checks this audit log at {_audit_public(store)}, found no file there",
            hint="holdfast serve makes it, and the log, when it first serves; --signer names one that was moved away",
        )
    key = VerifyKey.load(signer or _audit_public(store))
    with Store(present) as opened:
        newest = verify_log(opened, signer=key, anchor=_anchor(store), noted=head)
    whose = f"the key {signer}" if signer else "the key beside the database"
    say(f"{newest.number} entries, each chained to the one before, the newest signed with {whose}")
    if head:
        say(f"entry {head.number} is the one noted: it and those before it are as they were then")
    elif signer is None:
        say("whoever can write this folder can replace log and key together; --signer and --noted would show it")
    say(f"note this elsewhere: {newest.number}:{newest.hash}")


def _present(store: Path) -> Path:
    if not store.is_file() or not store.stat().st_size:
        found = "a folder" if store.is_dir() else "an empty file" if store.exists() else "no file there"
        raise InputError(
            f"expected the service's database at {store}, found {found}",
            hint="holdfast client makes it with the first client; name it with --store",
        )
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
