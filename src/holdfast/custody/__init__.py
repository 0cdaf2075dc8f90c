"""Custody: what makes a model file worth loading. Signed by somebody known, opened by somebody meant, safe to read.

    keys       who signs, who checks, who opens, whom it is for
    card       what the model is for
    manifest   what is in a bundle
    verify     the six steps that a bundle has to pass
    bundle     a model with its card and evidence in a signed folder
    seal       the same as one encrypted file

docs/bundle-format.md has the formats to the byte.
"""

from holdfast.custody.bundle import Bundle, save_bundle, verify_bundle, write_bundle
from holdfast.custody.card import ModelCard
from holdfast.custody.keys import Recipient, RecipientKey, SigningKey, VerifyKey
from holdfast.custody.manifest import PUBLIC_PLAN, SECRET_PLAN, FileEntry, Manifest
from holdfast.custody.seal import open_sealed, open_to, seal
from holdfast.custody.verify import check_files, check_manifest

__all__ = [
    "PUBLIC_PLAN",
    "SECRET_PLAN",
    "Bundle",
    "FileEntry",
    "Manifest",
    "ModelCard",
    "Recipient",
    "RecipientKey",
    "SigningKey",
    "VerifyKey",
    "check_files",
    "check_manifest",
    "open_sealed",
    "open_to",
    "save_bundle",
    "seal",
    "verify_bundle",
    "write_bundle",
]
