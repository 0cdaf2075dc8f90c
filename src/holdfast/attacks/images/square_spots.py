"""Rectangles of pictures and of what layers give: where they lie, what reaches what, and writing one over another."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from holdfast.attacks.images.square_chain import Layer, Pair

Spot = tuple[Pair, Pair]
"""Start and stop down a picture, and across it."""
Change = tuple[Spot, Tensor]
"""What pictures have in a rectangle from now on, (n, channels, height, width) of it."""


def window(spot: Spot) -> tuple[slice, slice, slice, slice]:
    """Of tensors (n, channels, height, width)."""
    return slice(None), slice(None), slice(*spot[0]), slice(*spot[1])


def at(spot: Spot) -> tuple[slice, slice, slice]:
    """Of tensors (n, height, width, …)."""
    return slice(None), slice(*spot[0]), slice(*spot[1])


def apart(spots: Sequence[Spot]) -> bool:
    """Whether these rectangles, one or two, share no place."""
    return len(spots) == 1 or any(one[1] <= other[0] or other[1] <= one[0] for one, other in zip(*spots, strict=True))


def around(spots: Sequence[Spot]) -> Spot:
    """The smallest rectangle that holds them all."""
    (tops, bottoms), (lefts, rights) = (zip(*pairs, strict=True) for pairs in zip(*spots, strict=True))
    return (min(tops), max(bottoms)), (min(lefts), max(rights))


def reached(layer: Layer, spot: Spot, sizes: Sequence[int]) -> Spot:
    """The outputs that look at these inputs, of a layer whose inputs have this height and width."""
    down, across = (
        layer.reached(axis, (spot[axis][0] + pad, spot[axis][1] + pad), sizes[axis] + 2 * pad)
        for axis, pad in enumerate(layer.padding)
    )
    return down, across


def seen(layer: Layer, outputs: Spot) -> Spot:
    """All that these outputs look at; what lies beyond the inputs is padding."""
    down, across = (
        (start - pad, stop - pad)
        for pad, (start, stop) in zip(layer.padding, map(layer.seen, (0, 1), outputs), strict=True)
    )
    return down, across


def put(now: Tensor, spot: Spot, region: Tensor, origin: Spot) -> None:
    """Write what is in one rectangle into what is in another, as far as they share places; (n, height, width, …)."""
    mine, its = shared(spot, origin)
    region[at(its)] = now[at(mine)]


def shared(one: Spot, other: Spot) -> tuple[Spot, Spot]:
    """What two rectangles share, counted from where the one starts, and from where the other starts."""
    starts = [max(mine[0], its[0]) for mine, its in zip(one, other, strict=True)]
    stops = [max(min(mine[1], its[1]), start) for mine, its, start in zip(one, other, starts, strict=True)]
    first, second = (
        [(start - own[0], stop - own[0]) for start, stop, own in zip(starts, stops, spot, strict=True)]
        for spot in (one, other)
    )
    return (first[0], first[1]), (second[0], second[1])


def sides(spot: Spot) -> Pair:
    """Height and width."""
    return spot[0][1] - spot[0][0], spot[1][1] - spot[1][0]


def within(spot: Spot, sizes: Sequence[int]) -> Spot:
    """What of a rectangle lies in a picture of this height and width."""
    down, across = ((max(start, 0), min(stop, size)) for (start, stop), size in zip(spot, sizes, strict=True))
    return down, across
