"""Rows that could be real: boxes of values, shrunk by the relations of a schema, and rows moved into them.

A box is two matrices (rows, features), the lowest and the highest value of each feature of each row; a missing value
has NaN for both and constrains nothing. Relations between two features are settled here, exactly and always; sums and
quotients by propagation.py, which may run into a dead end and then says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.tables.propagation import complete, network, propagate
from holdfast.data import Labels, Matrix, Schema
from holdfast.data.relation import TOLERANCE
from holdfast.errors import ConfigError, UnsupportedError

_LEFT_OPEN: Final = TOLERANCE * (1 - 1e-6)
"""What relations leave open in rows that are made; the rest is for rounding, of which a part in 1e9 of it is enough."""


@dataclass(frozen=True)
class Box:
    """Lowest and highest values, (rows, features) each."""

    low: Matrix
    high: Matrix

    def take(self, rows: Labels | slice) -> Box:
        """The boxes of some rows."""
        return Box(self.low[rows], self.high[rows])


def ordered_pairs(schema: Schema) -> list[tuple[int, int]]:
    """The relations between two features as pairs (smaller, larger); an equality is two of them."""
    pairs = []
    for relation in schema.relations:
        if not (isinstance(relation.left, str) and isinstance(relation.right, str)):
            continue
        left, right = schema.index(relation.left), schema.index(relation.right)
        if relation.operator in ("<=", "=="):
            pairs.append((left, right))
        if relation.operator in (">=", "=="):
            pairs.append((right, left))
    return pairs


def keeps(X: Matrix, schema: Schema) -> npt.NDArray[np.bool_]:
    """(rows,) whether rows keep all relations; ranges are not looked at."""
    kept = np.ones(len(X), dtype=bool)
    columns = dict(zip(schema.names, X.T, strict=True))
    for relation in schema.relations:
        kept &= relation.kept(columns.__getitem__)
    return kept


def whole_columns(schema: Schema) -> list[int]:
    """The features whose values are whole numbers; a category's position is one."""
    return [position for position, feature in enumerate(schema.features) if feature.kind != "real"]


def ranges(schema: Schema, *, rows: int) -> Box:
    """The box of the whole schema, `rows` times.

    Raises:
        ConfigError: the ranges and the relations leave some feature no value.
    """
    high = [float(len(f.categories) - 1) if f.kind == "category" else f.high for f in schema.features]
    low = [f.low for f in schema.features]
    box = tighten(Box(np.tile(low, (rows, 1)), np.tile(high, (rows, 1))), schema)
    if (empty := (box.low > box.high).any(axis=0)).any():
        name = schema.names[int(np.argmax(empty))]
        raise ConfigError(
            f"the ranges and relations of the schema leave feature {name!r} no value",
            hint="mend the ranges or take a relation out",
        )
    return box


def tighten(box: Box, schema: Schema, *, tolerance: float = 0.0) -> Box:
    """Shrink boxes until every value inside can be completed to a row that keeps the relations.

    Bounds travel along the relations until nothing changes: the larger feature is at least the smaller's lowest value,
    the smaller at most the larger's highest. Each bound is one of finitely many, so this ends. With sums and quotients
    some values inside may have no completion; none outside has one.

    Args:
        box: untouched.
        schema: of the rows.
        tolerance: what arithmetic relations leave open; with that of the check of rows, none that passes it is outside.
    """
    whole = whole_columns(schema)
    low, high = box.low.copy(), box.high.copy()
    low[:, whole], high[:, whole] = np.ceil(low[:, whole]), np.floor(high[:, whole])
    if _has_arithmetic(schema):
        net = network(schema, tolerance)
        empty = propagate(low, high, net, range(len(net.links)))
        return Box(np.where(empty, np.inf, low), np.where(empty, -np.inf, high))
    pairs = ordered_pairs(schema)
    changed = True
    while changed:
        changed = False
        for smaller, larger in pairs:
            changed |= _move(high, smaller, larger, np.minimum, np.floor if smaller in whole else None)
            changed |= _move(low, larger, smaller, np.maximum, np.ceil if larger in whole else None)
    return Box(low, high)


def repair(X: Matrix, box: Box, schema: Schema, *, upward: bool = True) -> Matrix:
    """Move rows into their (tightened) boxes and onto the relations.

    Where a relation is broken, `upward` raises the larger feature to the smaller one, else the smaller is lowered to
    the larger. Inside tightened boxes both always succeed, but for sums and quotients that share several features.

    Raises:
        UnsupportedError: such relations brought a row into a dead end, whichever way round.
    """
    repaired = nearest(X, box, schema, upward=upward)
    if _has_arithmetic(schema):
        dead = np.flatnonzero(~keeps(repaired, schema))
        repaired[dead] = nearest(X[dead], box.take(dead), schema, upward=not upward)
        if not (kept := keeps(repaired, schema)).all():
            raise UnsupportedError(
                f"row {int(np.argmin(kept))} could not be moved onto the relations of the schema, which share features",
                hint="fix one of the features that they share, or take a relation out",
            )
    return repaired


def nearest(X: Matrix, box: Box, schema: Schema, *, upward: bool = True, tolerance: float = 0.0) -> Matrix:
    """As `repair`, but a row in a dead end comes back as far as it came; `keeps` tells which.

    Args:
        X: (rows, features).
        box: tightened.
        schema: of the rows.
        upward: see `repair`.
        tolerance: what arithmetic relations may leave open in the rows made.
    """
    whole = whole_columns(schema)
    X = X.copy()
    X[:, whole] = np.rint(X[:, whole])
    X = np.clip(X, box.low, box.high)
    if _has_arithmetic(schema):
        broken = np.flatnonzero(~keeps(X, schema))
        net = network(schema, tolerance)
        X[broken] = complete(X[broken], box.low[broken], box.high[broken], net, upward=upward)
        return X
    pairs = ordered_pairs(schema)
    changed = True
    while changed:
        changed = False
        for smaller, larger in pairs:
            if upward:
                changed |= _move(X, larger, smaller, np.maximum, np.ceil if larger in whole else None)
            else:
                changed |= _move(X, smaller, larger, np.minimum, np.floor if smaller in whole else None)
    return X


def onto_relations(found: Matrix, box: Box, schema: Schema) -> Matrix:
    """(4, features) a row moved onto the relations: exactly, and as near as the check of rows lets it stay; each way.

    Args:
        found: (features,).
        box: (1, features) of what there could be.
        schema: of the row.
    """
    ways = []
    for tolerance in (0.0, _LEFT_OPEN):
        room = tighten(box, schema, tolerance=tolerance)
        room = box if (room.low > room.high).any() else room
        ways += [nearest(found[None], room, schema, upward=up, tolerance=tolerance) for up in (True, False)]
    return np.vstack(ways)


def _has_arithmetic(schema: Schema) -> bool:
    return any(not relation.plain for relation in schema.relations)


def _move(
    values: Matrix,
    moved: int,
    other: int,
    combine: Callable[[Matrix, Matrix], Matrix],
    rounding: Callable[[Matrix], Matrix] | None,
) -> bool:
    """Combine one column with another where that is not missing; whether anything changed."""
    before = values[:, moved].copy()
    after = np.where(np.isnan(values[:, other]), before, combine(before, values[:, other]))
    values[:, moved] = rounding(after) if rounding is not None else after
    return bool(np.any((values[:, moved] != before) & ~np.isnan(before)))
