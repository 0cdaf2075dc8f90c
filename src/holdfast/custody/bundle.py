"""A bundle: a model with its card and its evidence in one folder, signed, and read only as what was signed.

    NAME/
      model.onnx                the model, if it may be asked in the clear
      card.json                 what it is for (card.py)
      evidence/NN-kind.json     what was measured
      private/…                 the halves of a private plan; without model.onnx, they are the model
      manifest.json             every file with its size and digest (manifest.py)
      signature.json            who vouches for the manifest

`verify.py` has the checks; here is the disk around them. A file is read once, its bytes are checked, and those bytes
are what the `Bundle` holds: changing the folder afterwards, or while it is read, changes nothing that was verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from holdfast.custody._folder import check_folder, check_only, read_member, write_folder
from holdfast.custody._json import parse_json
from holdfast.custody.card import ModelCard
from holdfast.custody.keys import SigningKey, VerifyKey
from holdfast.custody.manifest import CARD, MANIFEST, MODEL, SIGNATURE, Manifest
from holdfast.custody.verify import check_contents, check_files, check_manifest, sign_manifest
from holdfast.errors import IntegrityError, UnsupportedError, UsageError, WireError
from holdfast.evidence import Evidence, canonical_json, digest_bytes
from holdfast.files import system_fault
from holdfast.limits import MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A verified bundle, in memory. Made by `write_bundle`, `verify_bundle` and `open_sealed` only.

    Args:
        manifest: what is in it.
        signature: the bytes of signature.json.
        signer: the key that the signature was checked with.
        files: the bytes of every file by name, but for the manifest and its signature.
    """

    manifest: Manifest
    signature: bytes = field(repr=False)
    signer: VerifyKey
    files: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        """Freeze the files."""
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.manifest.version

    @property
    def digest(self) -> str:
        """The digest of the manifest: two bundles with one digest are the same in every byte that is signed."""
        return digest_bytes(self.manifest.to_bytes())

    @property
    def model_digest(self) -> str:
        """The digest of the model alone: the subject of evidence about it."""
        return self.manifest.model_digest

    @property
    def private_only(self) -> bool:
        """Whether the model is here as a private plan alone, and cannot be asked in the clear."""
        return MODEL not in self.files

    @property
    def model_bytes(self) -> bytes:
        """The model, as ONNX.

        Raises:
            UnsupportedError: the bundle is `private_only`.
        """
        if self.private_only:
            raise UnsupportedError(f"{self.name} {self.version} has no {MODEL}: it is a private plan alone")
        return self.files[MODEL]

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return ModelCard.from_json(parse_json(self.files[CARD], what="the card"))

    def evidence(self) -> tuple[Evidence, ...]:
        """The evidence in the order of its files' names.

        Raises:
            WireError: a file in evidence/ is JSON and not evidence.
        """
        names = sorted(name for name in self.files if name.startswith("evidence/"))
        return tuple(Evidence.from_json(parse_json(self.files[name], what=name)) for name in names)

    def all_files(self) -> dict[str, bytes]:
        """Every file by name, the manifest and its signature too."""
        return {**self.files, MANIFEST: self.manifest.to_bytes(), SIGNATURE: self.signature}


def write_bundle(folder: str | Path, *, card: ModelCard, files: Mapping[str, bytes], signing_key: SigningKey) -> Bundle:
    """Sign these files with their card and write them as one bundle, whole or not at all.

    A bundle that is at `folder` already is replaced. Only the owner of the folder may enter it (mode 0700).

    Args:
        folder: where.
        card: the model's card; the bundle takes its name, version and time from it.
        files: bytes by name; model.onnx or both halves of a private plan have to be there, card.json must not.
        signing_key: who vouches for it.

    Raises:
        InputError: a file has a name, a size or a content that a bundle may not have.
        UsageError: at `folder` is something that is not a bundle, or `files` has a card of its own.
        SystemFault: the disk refuses; what was at `folder` is left as it was.
    """
    if CARD in files:
        raise UsageError(f"expected files without {CARD}, which is written from the card, got one")
    files = {**files, CARD: canonical_json(card.to_json())}
    manifest = Manifest.of(files, name=card.name, version=card.version, created=card.created)
    check_contents(manifest, files)
    signature = sign_manifest(manifest, signing_key=signing_key)
    bundle = Bundle(manifest=manifest, signature=signature, signer=signing_key.public, files=files)
    save_bundle(bundle, folder)
    return bundle


def verify_bundle(folder: str | Path, *, signer: VerifyKey) -> Bundle:
    """Read a bundle and refuse it unless it is, to the bit, what `signer` signed (six steps, see `verify`).

    Raises:
        IntegrityError: anything was changed, added, removed or linked, or another key signed it.
        InputError: there is no folder at this path.
        SystemFault: the operating system refuses to read it.
    """
    folder = Path(folder)
    check_folder(folder)
    manifest_bytes = read_member(folder, MANIFEST, max_bytes=MAX_MANIFEST_BYTES)
    signature = read_member(folder, SIGNATURE, max_bytes=MAX_SIGNATURE_BYTES)
    manifest = check_manifest(manifest_bytes, signature, signer=signer)
    check_only(folder, {*manifest.files, MANIFEST, SIGNATURE})
    files = {name: read_member(folder, name, max_bytes=entry.size) for name, entry in manifest.files.items()}
    check_files(manifest, files)
    return Bundle(manifest=manifest, signature=signature, signer=signer, files=files)


def save_bundle(bundle: Bundle, folder: str | Path) -> None:
    """Write a bundle as a folder, whole or not at all; a bundle that is there already is replaced.

    Raises:
        UsageError: at `folder` is something that is not a bundle.
        SystemFault: the disk refuses; what was at `folder` is left as it was.
    """
    folder = Path(folder)
    try:
        reason = _why_not_replace(folder)
    except OSError as error:
        raise system_fault(error, f"read {folder}") from None
    if reason:
        raise UsageError(f"expected a bundle or nothing at {folder}, but {reason}", hint="choose another folder")
    write_folder(folder, bundle.all_files())


def _why_not_replace(folder: Path) -> str:
    """Empty for nothing, an empty folder, and a bundle with no other file in it."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return "it is a link or a file"
    if not folder.exists() or not any(folder.iterdir()):
        return ""
    try:
        manifest = Manifest.from_bytes(read_member(folder, MANIFEST, max_bytes=MAX_MANIFEST_BYTES))
        check_only(folder, {*manifest.files, MANIFEST, SIGNATURE})
    except (WireError, IntegrityError) as error:
        return str(error)
    return ""
