"""The commands for keys and sealed bundles."""

from __future__ import annotations

from pathlib import Path

from holdfast.cli.terminal import say
from holdfast.cli.verdict import conclude
from holdfast.custody import Bundle, RecipientKey, VerifyKey, open_to
from holdfast.custody import open_sealed as open_bundle
from holdfast.errors import UsageError
from holdfast.pipeline import keyring
from holdfast.pipeline.config import read_model_config
from holdfast.policy import judge


def make_keys(folder: Path) -> None:
    """Make the four key files."""
    signer, recipient = keyring.make_keys(folder)
    say(f"{folder / keyring.SIGNER_KEY} signs, {folder / keyring.SIGNER_PUBLIC} checks: {signer.id}")
    say(f"{folder / keyring.RECIPIENT_KEY} opens, {folder / keyring.RECIPIENT_PUBLIC} seals: {recipient.id}")
    if keyring.passphrase() is None:
        say(f"the private keys are not encrypted; set {keyring.PASSPHRASE_VARIABLE} before making keys for real use")


def load_bundle(sealed: Path, *, signer: Path, key: Path) -> Bundle:
    """Open a sealed bundle with keys from files."""
    opening = RecipientKey.load(key, passphrase=keyring.passphrase())
    return open_bundle(sealed, key=opening, signer=VerifyKey.load(signer))


def verify_sealed(sealed: Path, *, signer: Path, key: Path, policy: Path | None) -> None:
    """Verify, describe, and judge if there is a policy.

    Raises:
        PolicyError: the evidence does not meet the policy.
    """
    bundle = load_bundle(sealed, signer=signer, key=key)
    say(f"{bundle.name} version {bundle.version}: every file is what {bundle.signer.id} signed")
    say(f"model {bundle.model_digest}")
    if policy is not None:
        verdict = judge(read_model_config(policy).demands, bundle.evidence(), model_digest=bundle.model_digest)
        conclude(verdict)


def open_sealed(sealed: Path, *, signer: Path, key: Path, to: Path) -> None:
    """Verify, then write the bundle as a folder.

    Raises:
        UsageError: there is something at `to` already, which is not overwritten.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        found = "a folder that is not empty" if to.is_dir() else "a file"
        raise UsageError(
            f"expected a new or an empty folder to write to at {to}, found {found}", hint="name another folder: --to"
        )
    opening = RecipientKey.load(key, passphrase=keyring.passphrase())
    bundle = open_to(sealed, to, key=opening, signer=VerifyKey.load(signer))
    say(f"{bundle.name} version {bundle.version} verified and written to {to}")
