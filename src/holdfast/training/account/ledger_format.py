"""The ledger's bytes: canonical JSON, and a salted chain of SHA-256 over its entries."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from holdfast.errors import IntegrityError, WireError
from holdfast.evidence import canonical_json, digest_bytes

FORMAT: Final = "holdfast-privacy-ledger-2"
SALT: Final = re.compile("[0-9a-f]{64}")


def chain(salt: str, entries: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The digest of the header, then of each entry with the link before it."""
    links = [digest_bytes(canonical_json(_header(salt)))]
    for entry in entries:
        links.append(digest_bytes(canonical_json({"previous": links[-1], "entry": entry})))
    return tuple(links)


def encode(salt: str, entries: Sequence[dict[str, Any]]) -> bytes:
    """A ledger as JSON, one byte string for each ledger; `decode` reads it."""
    linked = zip(entries, chain(salt, entries)[1:], strict=True)
    return canonical_json({**_header(salt), "entries": [{"entry": entry, "digest": link} for entry, link in linked]})


def decode(data: bytes) -> tuple[str, list[Any]]:
    """The salt and the entries of a ledger whose chain holds.

    What an entry is, and that the bytes are the one canonical form of what was read, is for the caller to check.

    Raises:
        WireError: not a ledger of a format that this version knows.
        IntegrityError: a ledger that was changed since it was written.
    """
    document = _parse(data)
    entries = [item["entry"] for item in document["entries"]]
    links = chain(document["salt"], entries)[1:]
    for number, (item, link) in enumerate(zip(document["entries"], links, strict=True), start=1):
        if item["digest"] != link:
            raise IntegrityError(
                f"entry {number} of the privacy ledger, or one before it, was changed since it was written",
                hint="restore the file from a copy whose last digest is the one in a signed privacy statement",
            )
    return document["salt"], entries


def _header(salt: str) -> dict[str, Any]:
    return {"format": FORMAT, "salt": salt}


def _parse(data: bytes) -> dict[str, Any]:
    """The JSON of a ledger, its outer shape checked."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"expected a privacy ledger as JSON, got bytes that are none: {error}") from None
    fields = {"format", "salt", "entries"}
    if not isinstance(document, dict) or document.get("format") != FORMAT or set(document) != fields:
        raise WireError(f"expected a privacy ledger in the format {FORMAT}, got {str(document)[:100]!r}")
    if not isinstance(document["salt"], str) or not SALT.fullmatch(document["salt"]):
        raise WireError("a privacy ledger needs a salt of 32 bytes in hexadecimal")
    entries = document["entries"]
    if not isinstance(entries, list) or not all(isinstance(i, dict) and set(i) == {"entry", "digest"} for i in entries):
        raise WireError("a privacy ledger needs its entries as a list, each with its digest")
    return document
