"""How far an evaluation has come, picture by picture, kept in a file where it may have to go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.images.attack import Found
from holdfast.attacks.kept import read_kept, write_kept
from holdfast.data import Labels
from holdfast.errors import WireError

FORMAT: Final = "holdfast-evasion-1"
_KEPT: Final = ("seed", "attack", "pending", "finder", "queries", "changed")
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
        write_kept(path, self._arrays(), form=FORMAT, subject=self.subject)

    @classmethod
    def read(cls, path: Path, fresh: Standing) -> Standing:
        """What was kept, where it is of the same evaluation as `fresh`.

        Raises:
            DataError: it is of another one.
            WireError: it holds none.
            SystemFault: it cannot be read.
        """
        kept = read_kept(path, fresh._arrays(), form=FORMAT, subject=fresh.subject)
        seed, attack = int(kept.pop("seed")), int(kept.pop("attack"))
        if min(seed, attack, int(kept["queries"].min())) < 0 or int(kept["finder"].min()) < NOBODY:
            raise WireError(f"{path} holds no kept evasion: its seed, attack, queries or finders are below 0")
        return cls(subject=fresh.subject, seed=seed, attack=attack, target=fresh.target, **kept)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All but the subject and the target, which follow from what is attacked."""
        return {name: np.asarray(getattr(self, name)) for name in _KEPT}
