"""The manifest of a data set: a short digest of every row, from which later changes are told row by row.

Each row's digest is BLAKE2b with 16 bytes, keyed with a salt of 32 random bytes that the manifest holds. Row digests
are gathered in blocks, each with a SHA-256, and the blocks in one root.

What the salt does: nobody can prepare a table of digests before having the manifest, and two manifests of the same
rows have nothing in common. What it does not do: whoever has the manifest can hash a guessed row and see whether it is
there. A manifest of confidential records is therefore confidential itself.

What the digests do not do: a manifest that lies beside the data can be rewritten with it. Keep its `root` elsewhere, as
signed evidence does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from holdfast import limits
from holdfast.data.dataset import Dataset
from holdfast.data.images import Images
from holdfast.errors import DataError, IntegrityError, UsageError, WireError
from holdfast.evidence import canonical_json, digest_bytes

FORMAT: Final = "holdfast-manifest-1"
ROW_BYTES: Final = 16
_SALT_BYTES: Final = 32


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The digests of a data set. Make one with `build_manifest`.

    Args:
        schema_digest: SHA-256 of the schema.
        salt: 32 random bytes, the key of the row digests.
        block_rows: rows of a block; the last may have fewer.
        row_digests: 16 bytes for each row, one after the other.
    """

    schema_digest: str
    salt: bytes
    block_rows: int
    row_digests: bytes

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        if len(self.salt) != _SALT_BYTES or len(self.row_digests) % ROW_BYTES or not self.row_digests:
            raise UsageError(f"a manifest needs a salt of {_SALT_BYTES} bytes and {ROW_BYTES} bytes for each row")
        if self.block_rows < 1:
            raise UsageError(f"a manifest needs blocks of at least one row, got {self.block_rows}")

    def __len__(self) -> int:
        return len(self.row_digests) // ROW_BYTES

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """SHA-256 over the row digests of each block."""
        step = self.block_rows * ROW_BYTES
        return tuple(
            digest_bytes(self.row_digests[start : start + step]) for start in range(0, len(self.row_digests), step)
        )

    @cached_property
    def root(self) -> str:
        """SHA-256 over the header and the digests of all blocks: it stands for the whole manifest."""
        return digest_bytes(canonical_json({**self._header(), "blocks": list(self.blocks)}))

    def _header(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "schema_digest": self.schema_digest,
            "salt": self.salt.hex(),
            "rows": len(self),
            "block_rows": self.block_rows,
        }

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON, about 22 bytes a row; `from_json` is its inverse."""
        rows = base64.b64encode(self.row_digests).decode()
        return {**self._header(), "blocks": list(self.blocks), "root": self.root, "row_digests": rows}

    @classmethod
    def from_json(cls, document: object) -> Manifest:
        """Read a manifest back.

        Raises:
            WireError: not a manifest of a format that this version knows.
            IntegrityError: its row digests, blocks and root contradict each other: it is damaged or was altered.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            got = document.get("format") if isinstance(document, dict) else type(document).__name__
            raise WireError(f"expected a manifest in the format {FORMAT}, got {str(got)[:80]!r}")
        manifest = _parse(document)
        written, computed = document["blocks"], list(manifest.blocks)
        if document["rows"] != len(manifest) or len(written) != len(computed):
            raise IntegrityError(f"the manifest speaks of {document['rows']} rows and has digests of {len(manifest)}")
        if damaged := [i for i, pair in enumerate(zip(written, computed, strict=True)) if pair[0] != pair[1]]:
            first = damaged[0] * manifest.block_rows
            raise IntegrityError(f"the manifest is damaged or was altered: the block from row {first} does not add up")
        if document["root"] != manifest.root:
            raise IntegrityError("the manifest is damaged or was altered: its root does not add up")
        return manifest


def build_manifest(data: Dataset | Images, *, block_rows: int = 1024) -> Manifest:
    """The manifest of a table or of pictures, with a fresh salt: two manifests of the same rows differ.

    Raises:
        DataError: there is no row.
    """
    if not len(data):
        raise DataError("expected rows to make a manifest of, got none")
    salt = secrets.token_bytes(_SALT_BYTES)
    return Manifest(
        schema_digest=schema_digest(data),
        salt=salt,
        block_rows=block_rows,
        row_digests=digest_rows(data, salt=salt),
    )


def digest_rows(data: Dataset | Images, *, salt: bytes) -> bytes:
    """16 bytes for each row, keyed with the salt: over its values as 8-byte floats, or its pixels, and its label."""
    values = np.ascontiguousarray(data.X, dtype="<f8") if isinstance(data, Dataset) else data.pixels
    X = values.reshape(len(data), -1).view(np.uint8)
    y = np.ascontiguousarray(data.y, dtype="<i8").view(np.uint8).reshape(len(data), -1)
    rows = np.hstack([X, y])
    return b"".join(hashlib.blake2b(row.data, digest_size=ROW_BYTES, key=salt).digest() for row in rows)


def schema_digest(data: Dataset | Images) -> str:
    """SHA-256 of the schema of a table, or of the size and the classes of pictures."""
    if isinstance(data, Dataset):
        return digest_bytes(canonical_json(data.schema.to_json()))
    return digest_bytes(canonical_json({"picture": list(data.pixels.shape[1:]), "classes": list(data.classes)}))


def _parse(document: Mapping[str, Any]) -> Manifest:
    known = {"format", "schema_digest", "salt", "rows", "block_rows", "blocks", "root", "row_digests"}
    if set(document) != known:
        odd = ", ".join(sorted(map(str, set(document) ^ known))[:5])
        raise WireError(f"a manifest has {', '.join(sorted(known))}; this one differs in {odd}")
    texts = [document[name] for name in ("schema_digest", "salt", "root", "row_digests")]
    counts = [document[name] for name in ("rows", "block_rows")]
    blocks = document["blocks"]
    if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in counts):
        raise WireError("a manifest needs its digests as strings and its counts as whole numbers")
    if not isinstance(blocks, list) or not 1 <= counts[0] <= limits.MAX_ROWS:
        raise WireError(f"a manifest needs a list of blocks and 1 to {limits.MAX_ROWS} rows")
    try:
        return Manifest(
            schema_digest=document["schema_digest"],
            salt=bytes.fromhex(document["salt"]),
            block_rows=document["block_rows"],
            row_digests=base64.b64decode(document["row_digests"], validate=True),
        )
    except (ValueError, binascii.Error, UsageError) as error:
        raise WireError(f"the manifest is malformed: {error}") from None
