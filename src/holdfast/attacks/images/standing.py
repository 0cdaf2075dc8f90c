"""How far an evaluation has come, picture by picture, kept in a file where it may have to go on."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.images.attack import Found
from holdfast.data import Labels
from holdfast.errors import DataError, WireError
from holdfast.files import read_bytes, write_atomic

FORMAT: Final = "holdfast-evasion-1"
MAX_FILE_BYTES: Final = 8 * 2**30
"""Changed pictures as float32: 10,000 of 224 x 224 x 3 take 6 GB. A file that says it is larger is not read."""
NOBODY: Final = -1

Pictures = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(eq=False, kw_only=True)
class Standing:
    """What is known of n pictures so far.

    Args:
        subject: digest of everything that the evaluation depends on.
        seed: of all its randomness.
        attack: position of the attack at work.
        pending: (n,) whether it still has to try a picture.
        finder: (n,) position of the attack that found a picture, or NOBODY.
        queries: (n,) rows asked.
        changed: (n, channels, height, width) the pictures found; the others are as they were.
        target: (n,) whether a picture is to be attacked at all.
    """

    subject: str
    seed: int
    attack: int
    pending: Flags
    finder: Labels
    queries: Labels
    changed: Pictures = field(repr=False)
    target: Flags

    @classmethod
    def begin(cls, x: Pictures, target: Flags, *, subject: str, seed: int) -> Standing:
        """Nothing tried yet."""
        return cls(
            subject=subject,
            seed=seed,
            attack=0,
            pending=target.copy(),
            finder=np.full(len(x), NOBODY, dtype=np.int64),
            queries=np.zeros(len(x), dtype=np.int64),
            changed=x.copy(),
            target=target,
        )

    def batch(self, size: int) -> Labels:
        """The next pictures for the attack at work; empty where it is done."""
        return np.flatnonzero(self.pending)[:size]

    def enter(self, rows: Labels, found: Found, broken: Flags) -> None:
        """Note what the attack at work did to some pictures; `broken` (m,) are those it found."""
        self.pending[rows] = False
        self.queries[rows] += found.queries.cpu().numpy()
        self.finder[rows[broken]] = self.attack
        self.changed[rows[broken]] = found.x.cpu().numpy()[broken]

    def done(self) -> int:
        """Pictures that need no more, over all attacks so far."""
        return self.attack * int(self.target.sum()) + int((self.target & ~self.pending).sum())

    def next_attack(self) -> None:
        """The attack at work is done; the next one gets what still stands."""
        self.attack += 1
        self.pending = self.target & (self.finder == NOBODY)

    def write(self, path: Path) -> None:
        """Keep it.

        Raises:
            SystemFault: the folder or the disk refuses; the file is left as it was.
        """
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(buffer, format=FORMAT, subject=self.subject, seed=self.seed, attack=self.attack, **arrays)
        write_atomic(path, buffer.getvalue(), private=True)

    @classmethod
    def read(cls, path: Path, fresh: Standing) -> Standing:
        """What was kept, where it is of the same evaluation as `fresh`.

        Raises:
            DataError: it is of another one.
            WireError: it is none.
            SystemFault: it cannot be read.
        """
        data = read_bytes(path, max_bytes=MAX_FILE_BYTES, what="kept evaluation")
        try:
            _check_size(data)
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                form, subject = str(kept["format"]), str(kept["subject"])
                arrays = {name: kept[name] for name in _ARRAYS}
                seed, attack = int(kept["seed"]), int(kept["attack"])
        except (ValueError, KeyError, OSError, EOFError, MemoryError, TypeError, zipfile.BadZipFile) as error:
            raise WireError(f"{path} holds no kept evaluation: {error}") from None
        if form != FORMAT:
            raise WireError(f"expected a kept evaluation in the format {FORMAT} at {path}, got {form!r:.40}")
        if subject != fresh.subject:
            raise DataError(
                f"the evaluation kept at {path} is of another model, other pictures, another threat or other attacks",
                hint="call as it was called then, or take another path",
            )
        for name in _ARRAYS:
            if arrays[name].shape != getattr(fresh, name).shape or arrays[name].dtype != getattr(fresh, name).dtype:
                raise WireError(f"{path} holds no kept evaluation: its {name} are {arrays[name].shape}")
        return cls(subject=subject, seed=seed, attack=attack, target=fresh.target, **arrays)


_ARRAYS: Final = ("pending", "finder", "queries", "changed")


def _check_size(data: bytes) -> None:
    """Refuse an archive that unpacks to more than a file may hold."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > MAX_FILE_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_FILE_BYTES} bytes")
