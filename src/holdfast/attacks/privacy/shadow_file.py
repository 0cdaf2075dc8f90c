"""Shadow models' answers kept in a file while they are made, so that an interrupted training goes on where it was."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from holdfast import limits
from holdfast.attacks.kept import read_arrays, write_kept
from holdfast.attacks.privacy.shadows import Flags
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import DataError, WireError
from holdfast.evidence import digest_bytes

FORMAT: Final = "holdfast-shadows-2"
_EVERY_S: Final = 10.0
"""Seconds between two writes, so that fast shadows do not wait for the disk."""


def split_digest(pool: Dataset, inside: Flags, seeds: Labels) -> str:
    """What a file of shadows must be of: these records, each in these shadows, with these seeds."""
    hasher = hashlib.sha256(pool.digest.encode())
    hasher.update(np.packbits(inside).tobytes())
    hasher.update(np.ascontiguousarray(seeds, dtype="<i8").tobytes())
    return digest_bytes(hasher.digest())


@dataclass
class ShadowFile:
    """The answers of the shadows done so far, on disk where a path is given; only their owner may read them.

    The file knows records, split and seeds, but not the trainer: with another one, take another path.

    Args:
        path: of the file, or None to keep nothing.
        split: what the answers are of, see `split_digest`.
    """

    path: Path | None
    split: str
    _written: float = field(default_factory=time.monotonic)

    def read(self, logits: Matrix) -> int:
        """Fill in the answers that are kept, and say how many shadows they are of.

        Raises:
            DataError: the file is of other records or another split.
            WireError: it is no file of shadows.
            SystemFault: it cannot be read.
        """
        if self.path is None or not self.path.exists():
            return 0
        split, kept = read_arrays(
            self.path, ["logits"], form=FORMAT, what="shadow models", max_bytes=limits.MAX_SHADOW_FILE_BYTES
        )
        rows = kept["logits"]
        if rows.dtype != np.float64 or rows.ndim != 2:
            raise WireError(f"{self.path} holds no kept shadow models: its logits are {rows.dtype} of {rows.shape}")
        if split != self.split or rows.shape[1] != logits.shape[1] or len(rows) > len(logits):
            raise DataError(
                f"the shadow models kept at {self.path} are of other records or were drawn otherwise",
                hint="take the same data, number of shadows and seed again, or another path",
            )
        logits[: len(rows)] = rows
        return len(rows)

    def write(self, logits: Matrix) -> None:
        """Keep the answers of all shadows done (shadows done, records).

        Raises:
            SystemFault: the folder or the disk refuses; the file is left as it was.
        """
        if self.path is None:
            return
        write_kept(self.path, {"logits": logits}, form=FORMAT, subject=self.split)
        self._written = time.monotonic()

    def write_sometimes(self, logits: Matrix) -> None:
        """As `write`, where the last time was a while ago."""
        if time.monotonic() - self._written > _EVERY_S:
            self.write(logits)
