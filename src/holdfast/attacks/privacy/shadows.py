"""Shadow models as an attacker sees them: how sure each is of each record, and which records it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.data import Labels, Matrix
from holdfast.errors import DataError, UsageError

Flags = npt.NDArray[np.bool_]

MIN_SHADOWS: Final = 4
"""Two on either side of each record, so that every mean has an error."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shadows:
    """What shadow models say of a pool of records. Every attack on membership runs on the same ones.

    Args:
        logits: (shadows, records) log-odds of the record's own class, finite.
        inside: (shadows, records) whether the shadow was trained on the record.
    """

    logits: Matrix = field(repr=False)
    inside: Flags = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what no attack can be run on."""
        if self.logits.ndim != 2 or self.logits.shape != self.inside.shape or self.inside.dtype != np.bool_:
            raise UsageError(
                "expected logits and flags of one shape (shadows, records), "
                f"got {self.logits.shape} and {self.inside.shape} of {self.inside.dtype}"
            )
        if not np.isfinite(self.logits).all():
            raise DataError("expected finite logits of the shadow models, got some that are not")
        counts = self.inside.sum(axis=0)
        if not ((counts > 0) & (counts < len(self.inside))).all():
            raise DataError("expected every record inside of one shadow model at least and outside of another")

    def __len__(self) -> int:
        return len(self.logits)

    def without(self, shadow: int) -> Shadows:
        """All but one, to attack that one with the help of the others."""
        return Shadows(logits=np.delete(self.logits, shadow, axis=0), inside=np.delete(self.inside, shadow, axis=0))

    def mean(self, values: Matrix, chosen: Flags) -> Matrix:
        """(records,) the mean of values (shadows, records) over the chosen shadows of each record."""
        return np.asarray(np.where(chosen, values, 0.0).sum(axis=0) / chosen.sum(axis=0))


def shadow_split(y: Labels, n_shadows: int, *, share: float, rng: np.random.Generator) -> Flags:
    """(shadows, records) which records each shadow is trained on, for records with these labels.

    Every record is in the same number of shadows: `share` of them, so that shadows are about as large as the target's
    training set, but never less than a quarter or more than three quarters, nor fewer than two on either side, so that
    what is estimated on either rests on enough.
    Every shadow has a record of every class, without which it could not be trained: a few records of each class, drawn
    at random, share the shadows out among them. Those of a class with two or three records are in more shadows for it.

    Raises:
        DataError: a class with one record, which cannot be both in every shadow and outside of some.
        UsageError: fewer than 4 shadows.
    """
    if n_shadows < MIN_SHADOWS:
        raise UsageError(f"membership inference needs at least {MIN_SHADOWS} shadow models, got {n_shadows}")
    count = min(max(round(min(max(share, 0.25), 0.75) * n_shadows), 2), n_shadows - 2)
    inside = rng.random((n_shadows, len(y))).argsort(axis=0) < count
    for label in np.unique(y):
        records = rng.permutation(np.flatnonzero(y == label))
        if len(records) < 2:
            raise DataError("expected 2 or more records of each class to tell members by, got 1 of a class")
        each = max(count, -(-n_shadows // len(records)))
        few = records[: -(-n_shadows // each)]
        turn = rng.permutation(n_shadows)[:, None] - each * np.arange(len(few))
        inside[:, few] = turn % n_shadows < each
    return inside
