"""Ownership keys as files that only their owner may read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from holdfast import limits
from holdfast.errors import InputError, UsageError, WireError
from holdfast.evidence import canonical_json
from holdfast.files import read_bytes, write_atomic
from holdfast.hardening.ownership.carriers import form_from_json
from holdfast.hardening.ownership.commitment import unpacked
from holdfast.hardening.ownership.fingerprint import Fingerprint
from holdfast.hardening.ownership.watermark import Watermark

FORMAT: Final = "holdfast-ownership-key-2"


def save_key(key: Watermark | Fingerprint, path: Path | str) -> None:
    """Write a key so that only its owner may read it (mode 0600), whole or not at all; never over another file.

    Raises:
        InputError: there is a file already, which may hold the only proof of an earlier commitment.
        UsageError: it is no key, or its queries take more than a file may hold, so that the key could not be read back.
        SystemFault: the folder or the disk refuses.
    """
    if not isinstance(key, Watermark | Fingerprint):
        raise UsageError(f"expected a watermark or a fingerprint to keep, got {type(key).__name__}")
    if Path(path).exists():
        raise InputError(
            f"expected no file at {path} yet, found one",
            hint="choose another path; a key that was committed to cannot be made again",
        )
    data = canonical_json({"format": FORMAT} | key.to_json())
    if len(data) > limits.MAX_JSON_BYTES:
        raise UsageError(
            f"expected an ownership key of at most {limits.MAX_JSON_BYTES} bytes as a file, got {len(data)}",
            hint="take fewer queries, or smaller pictures",
        )
    write_atomic(Path(path), data, private=True)


def load_key(path: Path | str) -> Watermark | Fingerprint:
    """Read a key back.

    Raises:
        InputError: there is no such file, or it is larger than any key.
        WireError: it is no key of a format that this version knows.
        SystemFault: the operating system refuses to read it.
    """
    data = read_bytes(Path(path), max_bytes=limits.MAX_JSON_BYTES, what="an ownership key")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError(f"expected an ownership key in {path}, got no JSON") from None
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise WireError(f"expected an ownership key in the format {FORMAT} in {path}, got another")
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as error:
        raise WireError(f"the ownership key in {path} is malformed: {error}") from None


def _read(document: Mapping[str, Any]) -> Watermark | Fingerprint:
    match document["kind"]:
        case "watermark":
            return Watermark(
                form=form_from_json(document["form"]),
                count=document["count"],
                secret=bytes.fromhex(document["secret"]),
            )
        case "fingerprint":
            return Fingerprint(
                queries=unpacked(document["queries"]),
                answers=np.array(document["answers"], dtype=np.int64),
                classes=document["classes"],
                salt=bytes.fromhex(document["salt"]),
            )
    raise WireError(f"expected the key of a watermark or a fingerprint, got {document['kind']!r:.80}")
