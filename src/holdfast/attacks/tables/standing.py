"""What is known of every row while an evasion goes on, kept in a file if wanted, so that nothing found is lost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.kept import read_kept, write_kept
from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Dataset, Labels, Matrix
from holdfast.errors import WireError
from holdfast.evidence import canonical_json

FORMAT: Final = "holdfast-table-evasion-1"
NOBODY, EXACT, GRADIENT, SEARCH = range(4)
"""Who changed a row, or showed that nothing can."""

_KEPT: Final = ("seed", "done", "X", "distance", "queries", "finder", "searched")


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
        write_kept(path, self._arrays(), form=FORMAT, subject=self.subject)

    @classmethod
    def read(cls, path: Path, fresh: Standing) -> Standing:
        """What was kept of the same evasion as `fresh`.

        Raises:
            DataError: the file is of another evasion.
            WireError: it holds none.
            SystemFault: it cannot be read.
        """
        kept = read_kept(path, fresh._arrays(), form=FORMAT, subject=fresh.subject)
        seed = int(kept.pop("seed"))
        if seed < 0 or not (kept["distance"] >= 0).all() or kept["queries"].min(initial=0) < 0:
            raise WireError(f"{path} holds no kept evasion: its seed, distances or queries are below 0")
        return cls(subject=fresh.subject, seed=seed, **kept)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All but the subject."""
        return {name: np.asarray(getattr(self, name)) for name in _KEPT}


def subject_of(data: Dataset, before: Matrix, threat: FeasibleChange, max_queries: int) -> str:
    """Digest of what an evasion depends on; the model is known by its answers to the unchanged rows."""
    hasher = hashlib.sha256(data.digest.encode())
    hasher.update(canonical_json({**threat.to_json(), "max_queries": max_queries}))
    hasher.update(np.ascontiguousarray(before).tobytes())
    return hasher.hexdigest()
