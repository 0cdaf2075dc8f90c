"""Bounds that travel along arithmetic relations, and rows completed one value at a time.

From the bounds of all features but one each link (links.py) bounds that one (interval propagation; Lhomme 1993). Every
bound is sound: no row that keeps the relations, as closely as the links say, is cut off. Where no two links share more
than one feature it is also tight, so that values chosen one after the other, the bounds tightened after each, never run
into a dead end; elsewhere they can, which the caller checks.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from holdfast.attacks.tables.links import Link, SumLink, links_of
from holdfast.data import Matrix, Schema

_SLACK: Final = 1e-12
"""By how much a bound has to move, as a share of the values, to be passed on; less is rounding, and never ends."""
_WHOLE_SLACK: Final = 1e-9
"""By how much a bound on a whole number may miss the number, as a share of it."""
_MAX_VISITS: Final = 60
"""How often one link is looked at in one pass; bounds stay sound when that ends early."""


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Network:
    """The links of a schema, and which of them speak of each feature.

    Args:
        links: of all relations.
        touching: for each feature in a relation, the positions of its links.
        whole: (features,) whether values are whole numbers.
        order: the features in relations: whole numbers first, what stands alone before an equality sign last.
    """

    links: tuple[Link, ...]
    touching: dict[int, tuple[int, ...]]
    whole: Mask
    order: tuple[int, ...]


@lru_cache(maxsize=32)
def network(schema: Schema, tolerance: float = 0.0) -> Network:
    """The network of a schema's relations, which leave open so much of their terms; those of two features nothing."""
    links = tuple(
        link
        for relation in schema.relations
        for link in links_of(relation, schema, 0.0 if relation.plain else tolerance)
    )
    touching: dict[int, list[int]] = defaultdict(list)
    for position, link in enumerate(links):
        for column in link.columns:
            touching[int(column)].append(position)
    whole = np.array([feature.kind != "real" for feature in schema.features])
    defined = {schema.index(r.left) for r in schema.relations if isinstance(r.left, str) and r.operator == "=="}
    order = sorted(touching, key=lambda column: (not whole[column], column in defined, column))
    return Network(links, {column: tuple(at) for column, at in touching.items()}, whole, tuple(order))


def propagate(low: Matrix, high: Matrix, net: Network, start: Iterable[int]) -> Mask:
    """Tighten bounds in place until nothing changes, beginning with the links at these positions.

    Returns:
        (rows, features) where no value is left. The bounds stay together there, so that nothing runs away.
    """
    waiting = deque(dict.fromkeys(start))
    queued, visits = set(waiting), [0] * len(net.links)
    empty = np.zeros(low.shape, dtype=bool)
    while waiting:
        position = waiting.popleft()
        queued.discard(position)
        if visits[position] >= _MAX_VISITS:
            continue
        visits[position] += 1
        link = net.links[position]
        moved, crossed = _tighten(low, high, link, net.whole)
        empty[:, link.columns] |= crossed
        for column in link.columns[moved].tolist():
            # what a sum bounds is never what it was bounded by, so looking at it again would change nothing
            fresh = {*net.touching[column]} - queued - ({position} if isinstance(link, SumLink) else set())
            waiting.extend(sorted(fresh))
            queued |= fresh
    return empty


def complete(X: Matrix, low: Matrix, high: Matrix, net: Network, *, upward: bool) -> Matrix:
    """Choose values one after the other: the nearest to X that the bounds, tightened after each choice, still allow.

    Args:
        X: (rows, features), inside the bounds.
        low: (rows, features) propagated.
        high: likewise.
        net: the relations.
        upward: whether features are chosen in the order of the schema, or against it; whole numbers come first anyhow.
    """
    X, low, high = X.copy(), low.copy(), high.copy()
    whole = [column for column in net.order if net.whole[column]]
    rest = [column for column in net.order if not net.whole[column]]
    for column in (*whole, *rest) if upward else (*whole[::-1], *rest[::-1]):
        X[:, column] = np.clip(X[:, column], low[:, column], high[:, column])
        if (low[:, column] < high[:, column]).any():
            low[:, column] = high[:, column] = X[:, column]
            propagate(low, high, net, net.touching[column])
    return X


def _tighten(low: Matrix, high: Matrix, link: Link, whole: Mask) -> tuple[Mask, Mask]:
    """Move the bounds of a link's columns, in place.

    Returns:
        (columns,) which moved by more than rounding; (rows, columns) where they would have crossed.
    """
    columns = link.columns
    old_low, old_high, is_whole = low[:, columns], high[:, columns], whole[columns]
    lowest, highest = link.bounds(old_low, old_high)
    if is_whole.any():
        lowest = np.where(is_whole, np.ceil(lowest - _room(lowest)), lowest)
        highest = np.where(is_whole, np.floor(highest + _room(highest)), highest)
    new_low = np.where(lowest > old_low, np.minimum(lowest, old_high), old_low)
    new_high = np.where(highest < old_high, np.maximum(highest, old_low), old_high)
    crossed = (lowest > old_high + _room(old_high)) | (highest < old_low - _room(old_low))
    moved = (new_low - old_low > _SLACK * np.abs(old_low)) | (old_high - new_high > _SLACK * np.abs(old_high))
    # where both ends moved past each other the lower one stays
    low[:, columns], high[:, columns] = new_low, np.fmax(new_high, new_low)
    return np.asarray(moved.any(axis=0)), np.asarray(crossed)


def _room(bound: Matrix) -> Matrix:
    """By how much rounding may carry one bound past another, or past a whole number."""
    return np.asarray(_WHOLE_SLACK * np.maximum(1.0, np.abs(bound)))
