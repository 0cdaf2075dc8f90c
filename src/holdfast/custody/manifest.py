"""The manifest: what a bundle is called, and every file in it with its size and digest. A value; no disk."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from holdfast.custody._formats import MAX_BYTES
from holdfast.custody._json import parse_canonical
from holdfast.errors import WireError
from holdfast.evidence import canonical_json, digest_bytes
from holdfast.limits import (
    MAX_BUNDLE_BYTES,
    MAX_BUNDLE_FILES,
    MAX_MANIFEST_BYTES,
    MAX_NAME_CHARS,
)

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.json"
MODEL: Final = "model.onnx"
PUBLIC_PLAN: Final = "private/plan.json"
SECRET_PLAN: Final = "private/secret.safetensors"
CARD: Final = "card.json"

FORMAT: Final = "holdfast-bundle-1"

_FILE_NAME: Final = re.compile(r"(?:[a-z0-9][a-z0-9_-]*/){0,2}[a-z0-9][a-z0-9._-]*\.([a-z]+)")
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True)
class FileEntry:
    """What the manifest says of one file: its size in bytes and its digest (`sha256:…`)."""

    size: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle is called and what exactly is in it.

    Args:
        name: letters, digits, `.`, `_`, `-`; so is `version`.
        created: UTC, as `2025-01-31T12:00:00Z`.
        files: every file but the manifest and its signature. A name is lower-case ASCII, at most two folders deep, and
            ends in one of the five endings; the folders' names have no dot. So no name leaves the bundle, no two are
            one file on any disk, and none is read as another.

    Raises:
        WireError: anything else.
    """

    name: str
    version: str
    created: str
    files: Mapping[str, FileEntry]

    def __post_init__(self) -> None:
        """Freeze the files and refuse what a bundle cannot be."""
        _check_label(self.name, what="name")
        _check_label(self.version, what="version")
        _check_time(self.created)
        if not len(self.files) <= MAX_BUNDLE_FILES - 2:
            raise WireError(f"expected at most {MAX_BUNDLE_FILES - 2} files in a bundle, got {len(self.files)}")
        for name, entry in self.files.items():
            _check_entry(name, entry)
        if CARD not in self.files:
            raise WireError(f"expected {CARD} in the bundle, it has none")
        if not (MODEL in self.files or {PUBLIC_PLAN, SECRET_PLAN} <= self.files.keys()):
            raise WireError(f"expected {MODEL} in the bundle, or both halves of a private plan, it has neither")
        if sum(entry.size for entry in self.files.values()) > MAX_BUNDLE_BYTES:
            raise WireError(f"expected a bundle of at most {MAX_BUNDLE_BYTES} bytes, got a larger one")
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @classmethod
    def of(cls, files: Mapping[str, bytes], *, name: str, version: str, created: str) -> Manifest:
        """The manifest of these files."""
        entries = {file: FileEntry(len(data), digest_bytes(data)) for file, data in files.items()}
        return cls(name=name, version=version, created=created, files=entries)

    @property
    def model_digest(self) -> str:
        """The digest of model.onnx: what evidence about the model has as its subject.

        Without model.onnx, that of the public half of the plan, which holds a commitment to the secret half.
        """
        return self.files[MODEL if MODEL in self.files else PUBLIC_PLAN].digest

    def to_bytes(self) -> bytes:
        """manifest.json; `from_bytes` is its inverse."""
        files = {name: {"size": entry.size, "digest": entry.digest} for name, entry in self.files.items()}
        return canonical_json(
            {"format": FORMAT, "name": self.name, "version": self.version, "created": self.created, "files": files}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest back.

        Raises:
            WireError: it is not a manifest of the format that this version knows, in canonical JSON.
        """
        if len(data) > MAX_MANIFEST_BYTES:
            raise WireError(f"expected a manifest of at most {MAX_MANIFEST_BYTES} bytes, got {len(data)}")
        match parse_canonical(data, what="the manifest"):
            case {"format": str(found)} if found != FORMAT:
                raise WireError(f"expected a bundle in the format {FORMAT}, got {found!r:.100}")
            case {"format": _, "name": name, "version": version, "created": created, "files": dict(files), **rest}:
                if not rest:
                    entries = {file: _entry(file, value) for file, value in files.items()}
                    return cls(name=name, version=version, created=created, files=entries)
        raise WireError("expected a manifest with format, name, version, created and files, got another shape")


def _check_label(text: object, *, what: str) -> None:
    """Check a model's name or version: it ends up in file names, in addresses and on terminals.

    Raises:
        WireError: it is not of letters, digits, `.`, `_` and `-`, or too long.
    """
    if not isinstance(text, str) or len(text) > MAX_NAME_CHARS or not _LABEL.fullmatch(text):
        raise WireError(
            f"expected a {what} of at most {MAX_NAME_CHARS} letters, digits, '.', '_' and '-', got {text!r:.100}"
        )


def _entry(name: str, value: Any) -> FileEntry:
    match value:
        case {"size": int(size), "digest": str(digest), **rest} if not rest:
            return FileEntry(size, digest)
    raise WireError(f"expected a size and a digest for the file {name!r:.100}, got another shape")


def _check_entry(name: str, entry: FileEntry) -> None:
    found = _FILE_NAME.fullmatch(name)
    if found is None or len(name) > MAX_NAME_CHARS or name in (MANIFEST, SIGNATURE):
        raise WireError(
            f"expected the plain name of a file in a bundle (like evidence/01-utility.json), got {name!r:.100}"
        )
    if found[1] not in MAX_BYTES:
        raise WireError(f"expected a file that ends in .{', .'.join(MAX_BYTES)}, got {name!r}")
    if isinstance(entry.size, bool) or not 0 <= entry.size <= MAX_BYTES[found[1]]:
        raise WireError(f"expected {name} to have at most {MAX_BYTES[found[1]]} bytes, got {entry.size}")
    if not _DIGEST.fullmatch(entry.digest):
        raise WireError(f"expected a SHA-256 digest for {name}, got {entry.digest!r:.100}")


def _check_time(text: object) -> None:
    if isinstance(text, str) and _TIME.fullmatch(text):
        with contextlib.suppress(ValueError):
            datetime.fromisoformat(text)
            return
    raise WireError(f"expected a time in UTC like 2025-01-31T12:00:00Z, got {text!r:.100}")
