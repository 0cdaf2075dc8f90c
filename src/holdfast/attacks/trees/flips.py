"""The smallest change of each row that flips what an ensemble of trees says, and how many rows a radius flips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from holdfast.arguments import check_kind
from holdfast.attacks.security_curve import TOLERANCE
from holdfast.attacks.trees.attack import TIME_LIMIT_S, Flip, TreeAttack
from holdfast.attacks.trees.reach import Flags, Reach, is_radius
from holdfast.data import Labels, Matrix
from holdfast.errors import DataError, UsageError
from holdfast.models.trees import Ensemble

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Flips:
    """The smallest known flipping change of each row.

    Args:
        X: (rows, features) the changed rows; the row itself where no flip is known.
        distance: (rows,) of the changes, in units of the reach; infinite where no flip is known.
        at_least: (rows,) no flip is nearer than this: as large as `distance` where that is exact, infinite where there
            is none within the radius asked for.
    """

    X: Matrix
    distance: Matrix
    at_least: Matrix

    @property
    def undecided(self) -> Flags:
        """(rows,) whether there may be a nearer flip than the one known."""
        return np.asarray(self.at_least < self.distance - TOLERANCE)


@dataclass(frozen=True, eq=False)
class RobustError:
    """Which rows are wrong, or can be made wrong within a radius.

    Args:
        X: (rows, features) the changed rows; the row itself where no flip is known.
        wrong: (rows,) whether the ensemble says another class than the true one without any change.
        flipped: (rows,) whether a right decision was flipped.
        undecided: (rows,) whether neither a flip was found nor that there is none was proved.
    """

    X: Matrix
    wrong: Flags
    flipped: Flags
    undecided: Flags

    @property
    def found(self) -> float:
        """The share of rows that are wrong or were flipped: the robust error is at least this."""
        return float((self.wrong | self.flipped).mean())

    @property
    def at_most(self) -> float:
        """The share of rows that are not proved right within the radius: the robust error is at most this."""
        return float((self.wrong | self.flipped | self.undecided).mean())


def smallest_flips(
    ensemble: Ensemble,
    X: Matrix,
    y: Labels,
    *,
    reach: Reach,
    within: float = np.inf,
    time_limit_s: float = TIME_LIMIT_S,
    progress: Progress | None = None,
) -> Flips:
    """Find the smallest change of each row after which the ensemble no longer says `y`.

    A fast search finds a change, and a mixed-integer program proves that none is nearer, or finds it. Exact means: up
    to a part in a million of what the trees can add, by which scores have to change lest rounding undo it.

    Args:
        ensemble: see `holdfast.models.trees.read_trees`.
        X: (rows, features); NaN is a missing value, and stays one.
        y: (rows,) classes by position; a row that the ensemble gives to another class has distance 0.
        reach: what each feature may do.
        within: look for flips up to this distance only.
        time_limit_s: for the solver, for one row and one wrong class; 0 for the fast search alone.
        progress: called with (rows done, rows).

    Raises:
        DataError: the rows do not fit the ensemble.
        UsageError: see `TreeAttack`, or `within` is below 0.
        UnsupportedError: see `TreeAttack`.
    """
    attack = TreeAttack(ensemble, reach, time_limit_s=time_limit_s)
    return flips_by(attack.nearest, attack, X, y, within=within, progress=progress)


def flips_by(
    nearest: Callable[..., Flip],
    attack: TreeAttack,
    X: Matrix,
    y: Labels,
    *,
    within: float,
    progress: Progress | None = None,
) -> Flips:
    """As `smallest_flips`, by any search for the nearest flip of one row that is called as `attack.nearest` is."""
    wrong = _wrong(attack, X, y, radius=within)
    found = _each(nearest, X, y, ~wrong, within=within, progress=progress)
    flips = Flips(
        np.array([row if flip.x is None else flip.x for row, flip in zip(X, found, strict=True)]).reshape(X.shape),
        np.array([flip.distance for flip in found]),
        np.array([flip.at_least for flip in found]),
    )
    kept = wrong | np.isinf(flips.distance)
    undone = ~kept
    undone[undone] = attack.labels(flips.X[undone]) == y[undone]
    flips.X[undone], flips.distance[undone] = X[undone], np.inf
    return flips


def robust_error(
    ensemble: Ensemble,
    X: Matrix,
    y: Labels,
    *,
    reach: Reach,
    radius: float,
    time_limit_s: float = TIME_LIMIT_S,
    progress: Progress | None = None,
) -> RobustError:
    """Decide for each row whether a change within a radius makes the ensemble say another class than `y`.

    Args:
        ensemble: see `holdfast.models.trees.read_trees`.
        X: (rows, features); NaN is a missing value, and stays one.
        y: (rows,) the true classes by position.
        reach: what each feature may do.
        radius: of the changes, in units of the reach.
        time_limit_s: for the solver, for one row and one wrong class; 0 for the fast search and the bound of single
            trees alone.
        progress: called with (rows done, rows).

    Raises:
        DataError: the rows do not fit the ensemble.
        UsageError: see `TreeAttack`, or the radius is below 0.
        UnsupportedError: see `TreeAttack`.
    """
    attack = TreeAttack(ensemble, reach, time_limit_s=time_limit_s)
    wrong = _wrong(attack, X, y, radius=radius)
    found = _each(attack.any, X, y, ~wrong, within=radius, progress=progress)
    changed = np.array([row if flip.x is None else flip.x for row, flip in zip(X, found, strict=True)]).reshape(X.shape)
    flipped = ~wrong & (attack.labels(changed) != y)
    proved = np.array([np.isinf(flip.at_least) for flip in found], dtype=bool)
    return RobustError(np.where(flipped[:, None], changed, X), wrong, flipped, ~wrong & ~flipped & ~proved)


def _wrong(attack: TreeAttack, X: Matrix, y: Labels, *, radius: float) -> Flags:
    """Check the rows, and say which the ensemble does not give to `y`."""
    if not is_radius(radius):
        raise UsageError(f"expected a radius of 0 or more, got {radius!r}")
    for name, array in (("X", X), ("y", y)):
        check_kind(name, array, np.ndarray, example=f"np.array({name})")
    if X.dtype.kind not in "biuf" or y.dtype.kind not in "iu":
        raise DataError(f"expected rows of numbers and whole classes, got arrays of {X.dtype} and {y.dtype}")
    if y.shape != (len(X),) or (len(y) and not (y.min() >= 0 and y.max() < len(attack.ensemble.classes))):
        raise DataError(
            f"expected one class for each row, from 0 to {len(attack.ensemble.classes) - 1}, got {len(y)} for {len(X)}"
        )
    return np.asarray(attack.labels(X) != y)


def _each(
    search: Callable[..., Flip], X: Matrix, y: Labels, chosen: Flags, *, within: float, progress: Progress | None
) -> list[Flip]:
    """Search from the chosen rows; the others are flipped as they are."""
    found = []
    for row, (x, own, searched) in enumerate(zip(X, y, chosen, strict=True), start=1):
        found.append(search(x, int(own), within=within) if searched else Flip(None, 0.0, 0.0))
        if progress is not None:
            progress(row, len(X))
    return found
