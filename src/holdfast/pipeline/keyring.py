"""The keys of a project: a pair to sign with and a pair to seal to, made once and never overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from holdfast.custody import Recipient, RecipientKey, SigningKey, VerifyKey
from holdfast.errors import UsageError

PASSPHRASE_VARIABLE: Final = "HOLDFAST_PASSPHRASE"
SIGNER_KEY: Final = "signer.key"
SIGNER_PUBLIC: Final = "signer.pub"
RECIPIENT_KEY: Final = "recipient.key"
RECIPIENT_PUBLIC: Final = "recipient.pub"
FILES: Final = (SIGNER_KEY, SIGNER_PUBLIC, RECIPIENT_KEY, RECIPIENT_PUBLIC)


def passphrase() -> str | None:
    """The passphrase of private key files, from the environment; None where there is none."""
    return os.environ.get(PASSPHRASE_VARIABLE) or None


def make_keys(folder: Path) -> tuple[VerifyKey, Recipient]:
    """Make the four key files of a project in a folder.

    Raises:
        UsageError: one of them is there already, or a file where the folder should be.
        SystemFault: the disk refuses.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"expected a folder for keys at {folder}, found a file", hint="name another: holdfast keys FOLDER"
        )
    if present := [name for name in FILES if (folder / name).exists()]:
        raise UsageError(
            f"{folder / present[0]} is there already, and a key is never overwritten",
            hint="name another folder: holdfast keys FOLDER",
        )
    signing, opening = SigningKey.generate(), RecipientKey.generate()
    signing.save(folder / SIGNER_KEY, passphrase=passphrase())
    opening.save(folder / RECIPIENT_KEY, passphrase=passphrase())
    signing.public.save(folder / SIGNER_PUBLIC)
    opening.public.save(folder / RECIPIENT_PUBLIC)
    return signing.public, opening.public
