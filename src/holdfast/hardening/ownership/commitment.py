"""Commitments to secrets, and arrays as JSON that is the same everywhere."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Any

import numpy as np

from holdfast.arguments import check_kind
from holdfast.errors import IntegrityError, WireError
from holdfast.evidence import canonical_json, digest_bytes
from holdfast.hardening.ownership.suspect import Queries


def commitment_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a secret's canonical JSON. It hides the rest because 32 bytes of it are random."""
    return digest_bytes(canonical_json(document))


def check_commitment(published: str, own: str) -> None:
    """Refuse a claim with other inputs than those committed to.

    Raises:
        UsageError: what was published is no text.
        IntegrityError: the two differ.
    """
    check_kind("commitment", published, str, example='"sha256:…", what was published')
    if not hmac.compare_digest(published.encode(), own.encode()):
        raise IntegrityError(
            f"expected the secret that {published[:80]!r} commits to, got one whose commitment is {own!r}",
            hint="take the key file that was made when the commitment was published",
        )


def packed(queries: Queries) -> dict[str, Any]:
    """Rows or pictures as JSON."""
    kind = "<f8" if queries.dtype.kind == "f" else "|u1"
    data = base64.b64encode(np.ascontiguousarray(queries, dtype=kind).tobytes()).decode()
    return {"dtype": kind, "shape": list(queries.shape), "data": data}


def unpacked(document: Mapping[str, Any]) -> Queries:
    """The inverse of `packed`.

    Raises:
        WireError: the document is no array of rows or pictures.
    """
    try:
        if document["dtype"] not in ("<f8", "|u1"):
            raise WireError(f"expected queries as <f8 or |u1, got {document['dtype']!r:.80}")
        flat = np.frombuffer(base64.b64decode(document["data"], validate=True), dtype=document["dtype"])
        return flat.reshape(document["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"the queries of an ownership key are malformed: {error}") from None
