"""What is known of every row while an evasion goes on, kept in a file if wanted, so that nothing found is lost."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import DataError
from holdfast.evidence import canonical_json
from holdfast.files import read_bytes, write_atomic

FORMAT: Final = "holdfast-table-evasion-1"
NOBODY, EXACT, GRADIENT, SEARCH = range(4)
"""Who changed a row, or showed that nothing can."""

_MAX_BYTES: Final = 2**32
"""Of a kept evasion: more than a million rows of 500 features."""
_ARRAYS: Final = ("done", "X", "distance", "queries", "finder", "searched")
_FAULTS: Final = (ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The rows of one evasion, filled in chunk by chunk.

    Args:
        subject: digest of all that the evasion depends on.
        seed: of its randomness.
        done: (n,) whether a row needs no more.
        X: (n, features) as changed so far.
        distance: (n,) of flips that are known, infinite where there is none.
        queries: (n,) rows asked.
        finder: (n,) who found the flip.
        searched: (n,) whether a search had to be made, so that what is not found may exist.
    """

    subject: str
    seed: int
    done: npt.NDArray[np.bool_] = field(repr=False)
    X: Matrix = field(repr=False)
    distance: Matrix = field(repr=False)
    queries: Labels = field(repr=False)
    finder: Labels = field(repr=False)
    searched: npt.NDArray[np.bool_] = field(repr=False)

    @classmethod
    def begin(cls, data: Dataset, correct: npt.NDArray[np.bool_], *, subject: str, seed: int) -> Standing:
        """Nothing tried yet; rows that the model gets wrong need nothing."""
        n = len(data)
        return cls(
            subject=subject,
            seed=seed,
            done=~correct,
            X=data.X.copy(),
            distance=np.where(correct, np.inf, 0.0),
            queries=np.zeros(n, dtype=np.int64),
            finder=np.full(n, NOBODY, dtype=np.int64),
            searched=np.zeros(n, dtype=bool),
        )

    def write(self, path: Path) -> None:
        """Keep it.

        Raises:
            SystemFault: the folder or the disk refuses; the file is left as it was.
        """
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(buffer, format=np.array(FORMAT), subject=np.array(self.subject), seed=np.array(self.seed), **arrays)
        write_atomic(path, buffer.getvalue(), private=True)

    @classmethod
    def read(cls, path: Path, fresh: Standing) -> Standing:
        """What was kept of the same evasion as `fresh`.

        Raises:
            DataError: the file is none, or of another evasion.
        """
        try:
            with np.load(
                io.BytesIO(read_bytes(path, max_bytes=_MAX_BYTES, what="evasion")), allow_pickle=False
            ) as file:
                if str(file["format"]) != FORMAT:
                    raise ValueError(f"format {file['format']}")
                kept = {name: file[name] for name in _ARRAYS}
                subject, seed = str(file["subject"]), int(file["seed"])
        except _FAULTS as error:
            raise DataError(
                f"expected {path} to keep an evasion, it cannot be read: {error}", hint="remove it to begin anew"
            ) from None
        shapes = all(
            kept[name].shape == getattr(fresh, name).shape and kept[name].dtype == getattr(fresh, name).dtype
            for name in _ARRAYS
        )
        if subject != fresh.subject or not shapes:
            raise DataError(
                f"{path} keeps an evasion of other rows, another model or another threat",
                hint="give another file, or remove it to begin anew",
            )
        return cls(subject=subject, seed=seed, **kept)


def subject_of(data: Dataset, before: Matrix, threat: FeasibleChange, max_queries: int) -> str:
    """Digest of what an evasion depends on; the model is known by its answers to the unchanged rows."""
    hasher = hashlib.sha256(data.digest.encode())
    hasher.update(canonical_json({**threat.to_json(), "max_queries": max_queries}))
    hasher.update(np.ascontiguousarray(before).tobytes())
    return hasher.hexdigest()
