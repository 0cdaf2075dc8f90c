"""The commands of the service: clients, serve, ask, audit."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from holdfast.cli.bundles import load_bundle
from holdfast.cli.terminal import say
from holdfast.custody import SigningKey, VerifyKey
from holdfast.data import read_table
from holdfast.errors import CredentialError, InputError
from holdfast.http import Client, create_app, serve
from holdfast.pipeline import keyring, read_config
from holdfast.serving import Access, AuditLog, Service, Store
from holdfast.serving import verify_audit as verify_log

TOKEN_VARIABLE: Final = "HOLDFAST_TOKEN"


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
        audit = AuditLog(opened, key=_audit_key(store), anchor=_anchor(store))
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
        classes = client.schema.classes
    frame = pd.DataFrame(answers, columns=[f"p({name})" for name in classes])
    frame.insert(0, "label", [classes[position] for position in answers.argmax(axis=1)])
    frame.to_csv(sys.stdout, index=False)


def verify_audit(store: Path) -> None:
    """Verify the log.

    Raises:
        IntegrityError: an entry was edited, removed or added by another hand.
    """
    with Store(_present(store)) as opened:
        head = verify_log(opened, signer=VerifyKey.load(_audit_public(store)), anchor=_anchor(store))
    say(f"{head.number} entries, none edited, removed or added; the newest is {head.hash}")
    say("note this hash elsewhere: it is what tells if the whole log is replaced")


def _present(store: Path) -> Path:
    if not store.exists():
        raise InputError(f"expected the service's database at {store}, found no file there")
    return store


def _audit_key(store: Path) -> SigningKey:
    """The key that signs the audit log of a store; made when the store is first served."""
    path = store.with_name(f"{store.name}.audit.key")
    if not path.exists():
        key = SigningKey.generate()
        key.save(path, passphrase=keyring.passphrase())
        key.public.save(_audit_public(store))
    return SigningKey.load(path, passphrase=keyring.passphrase())


def _audit_public(store: Path) -> Path:
    return store.with_name(f"{store.name}.audit.pub")


def _anchor(store: Path) -> Path:
    return store.with_name(f"{store.name}.anchor")
