"""The key sets that clients upload for private inference: on the disk for all workers, some in memory.

A key set comes as a manifest, which says what parts it has, and its parts in any order. Each is checked before it is
kept, so nothing is kept that cannot be of use.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from holdfast import limits
from holdfast.errors import InputError, WireError
from holdfast.private_inference import ClientKeys, Evaluator
from holdfast.serving.key_files import KeyFiles


class UnknownKeyError(InputError):
    """The service does not hold this key set, or not all of it; the client is to upload what is missing."""


class KeyRing:
    """Key sets for one model, by client and digest. Threads may share it.

    In memory are those used last, up to `MAX_PREPARED_KEY_BYTES`; others are read back from the disk and checked again.

    Args:
        files: where they are on the disk.
        evaluator: knows which keys its model needs.
    """

    def __init__(self, files: KeyFiles, *, evaluator: Evaluator) -> None:
        self._files = files
        self._evaluator = evaluator
        self._ready: OrderedDict[tuple[str, str], ClientKeys] = OrderedDict()
        self._changing = threading.Lock()

    def begin(self, client: str, digest: str, manifest: bytes) -> tuple[int, ...]:
        """Take the manifest of a key set; returns the parts that are to come.

        Raises:
            WireError: it is no manifest of keys for this model, or not of this digest.
            SystemFault: the disk refuses.
        """
        read = self._evaluator.read_manifest(manifest)
        if read.digest != digest:
            raise WireError(f"expected keys with the digest {digest[:71]!r}, got the manifest of {read.digest}")
        self._files.begin(client, digest, manifest)
        return self.missing(client, digest)

    def missing(self, client: str, digest: str) -> tuple[int, ...]:
        """The parts of a key set that are still to come.

        Raises:
            UnknownKeyError: its manifest is not here.
        """
        read = self._evaluator.read_manifest(self._manifest(client, digest))
        return self._files.missing(client, digest, parts=len(read.parts))

    def put(self, client: str, digest: str, *, index: int, part: bytes) -> None:
        """Take one part of a key set.

        Raises:
            UnknownKeyError: the manifest is not here.
            WireError: it is not the part that the manifest names.
            SystemFault: the disk refuses.
        """
        self._evaluator.check_part(self._evaluator.read_manifest(self._manifest(client, digest)), index, part)
        self._files.put(client, digest, index=index, part=part)

    def get(self, client: str, digest: str) -> ClientKeys:
        """The client's own key set of this digest.

        Raises:
            UnknownKeyError: the client has not uploaded all of it, or too long ago.
        """
        with self._changing:
            keys = self._ready.get((client, digest))
        if keys is None:
            keys = self._read_back(client, digest)
        self._files.touch(client, digest)
        self._remember(client, keys)
        return keys

    def _manifest(self, client: str, digest: str) -> bytes:
        manifest = self._files.manifest(client, digest)
        if manifest is None:
            raise UnknownKeyError(
                f"expected the digest of keys that were uploaded, got {digest[:71]}", hint="upload the keys again"
            )
        return manifest

    def _read_back(self, client: str, digest: str) -> ClientKeys:
        """A key set from the disk; one that was changed there is forgotten."""
        manifest = self._manifest(client, digest)
        try:
            n_parts = len(self._evaluator.read_manifest(manifest).parts)
            parts = self._files.parts(client, digest, parts=n_parts)
            if parts is not None:
                return self._evaluator.load_keys(manifest, parts)
        except WireError:
            self._files.drop(client, digest)
            raise UnknownKeyError(f"the keys {digest} were damaged on the disk", hint="upload them again") from None
        missing = self._files.missing(client, digest, parts=n_parts)
        raise UnknownKeyError(
            f"expected all {n_parts} parts of the keys {digest}, {len(missing)} are not here", hint="upload them"
        )

    def _remember(self, client: str, keys: ClientKeys) -> None:
        with self._changing:
            self._ready[client, keys.digest] = keys
            self._ready.move_to_end((client, keys.digest))
            held = sum(ready.memory_bytes for ready in self._ready.values())
            while held > limits.MAX_PREPARED_KEY_BYTES and self._ready:
                held -= self._ready.popitem(last=False)[1].memory_bytes
