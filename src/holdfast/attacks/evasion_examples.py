"""A few flipped inputs of an evasion beside what they were, for people to look at; only from data that is handed over.

A result keeps the changed inputs and not the original ones, and a page shows none by default: it goes to people who may
not see the records, and test records are as personal as training records. Whoever hands over the originals decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from holdfast.attacks.tables.threat import FeasibleChange
from holdfast.data import Dataset, Feature, Labels, Matrix
from holdfast.data.images import Images
from holdfast.drawing.examples import Examples, PictureExample, RowExample, magnified, png_address, spread
from holdfast.drawing.words import number
from holdfast.errors import DataError, UsageError

if TYPE_CHECKING:
    from holdfast.attacks.evasion_result import EvasionResult

_MOST_PICTURES: Final = 6
_MOST_ROWS: Final = 5
_MOST_FEATURES: Final = 8
"""Changed features of one row that are shown, the furthest moved."""
_SAME: Final = 1e-6
"""How far a pixel of float32 may lie from its byte."""


def examples_of(result: EvasionResult, originals: Images | Dataset, *, heading: str) -> Examples:
    """A few of the flipped inputs, from the smallest change to the largest.

    Args:
        result: of the attack.
        originals: the data that was attacked, whole.
        heading: of their part of the page.

    Raises:
        UsageError: data of another kind.
        DataError: other data than was attacked.
    """
    if not isinstance(originals, Images | Dataset):
        raise UsageError(
            f"expected originals as the Images or the Dataset that was attacked, got {type(originals).__name__}"
        )
    if len(result.rows) and result.rows.max() >= len(originals):
        raise DataError(f"expected the data that was attacked, with a row {result.rows.max()}, got {len(originals)}")
    taken = originals.take(result.rows)
    flipped = np.flatnonzero(result.evaded)
    order = flipped[np.argsort(result.distance[flipped], kind="stable")]
    if isinstance(taken, Images):
        _check(result, taken.pixels / 255, taken.y)
        shown = spread(order, _MOST_PICTURES)
        return Examples(
            heading=heading,
            note=_note(result, len(shown), len(flipped)),
            pictures=tuple(_picture(result, taken, place) for place in shown),
        )
    _check(result, taken.X, taken.y)
    shown = spread(order, _MOST_ROWS)
    return Examples(
        heading=heading,
        note=_note(result, len(shown), len(flipped)),
        rows=tuple(_row(result, taken, place) for place in shown),
        priced=result.cost is not None,
    )


def _check(result: EvasionResult, before: Matrix, y: Labels) -> None:
    """Whether these are the inputs: what was not flipped is as it was, and the answers are right and wrong as told."""
    stayed = ~result.evaded
    same = before.shape == result.adversarial.shape and np.allclose(
        before[stayed], result.adversarial[stayed], rtol=0, atol=_SAME, equal_nan=True
    )
    if not same or (y == result.said)[result.evaded].any() or (y != result.said)[result.robust].any():
        raise DataError(
            f"expected the {result.things} that were attacked, got others",
            hint="hand over the same data, in the same order, as the attack was given",
        )


def _note(result: EvasionResult, shown: int, flipped: int) -> str:
    if not flipped:
        return f"None of the {result.things} was flipped."
    which = "from the smallest change to the largest" if shown > 1 else "the only one"
    return f"{shown} of {flipped} flipped {result.things}, {which}."


def _picture(result: EvasionResult, taken: Images, place: int) -> PictureExample:
    before, after = taken.pixels[place] / 255, np.asarray(result.adversarial[place], dtype=np.float64)
    change, factor = magnified(after - before)
    return PictureExample(
        row=int(result.rows[place]),
        before=png_address(before),
        change=png_address(change),
        after=png_address(after),
        factor=f"{factor:g}",
        said_before=taken.classes[int(taken.y[place])],
        said_after=taken.classes[int(result.said[place])],
        distance=_distance(result, place),
    )


def _row(result: EvasionResult, taken: Dataset, place: int) -> RowExample:
    """The furthest moved features of a row; a swapped category counts as moved through its whole range."""
    schema, threat = taken.schema, result.threat
    before, after = taken.X[place], result.adversarial[place]
    prices = threat.prices(schema) if isinstance(threat, FeasibleChange) and threat.costs else None
    changes: list[tuple[float, tuple[str, ...]]] = []
    for position, feature in enumerate(schema.features):
        if before[position] == after[position] or np.isnan(before[position]):
            continue
        move = 1.0 if feature.kind == "category" else abs(after[position] - before[position]) / feature.width
        told = "swapped" if feature.kind == "category" else number(move)
        cost = () if prices is None else (number(prices[position] * move),)
        cells = (feature.name, _value(feature, before[position]), _value(feature, after[position]), told, *cost)
        changes.append((move, cells))
    furthest = sorted(changes, key=lambda change: -change[0])
    return RowExample(
        row=int(result.rows[place]),
        said_before=schema.classes[int(taken.y[place])],
        said_after=schema.classes[int(result.said[place])],
        distance=_distance(result, place),
        changes=tuple(cells for _, cells in furthest[:_MOST_FEATURES]),
        more=len(furthest[_MOST_FEATURES:]),
        cost="" if result.cost is None else number(float(result.cost[place])),
    )


def _value(feature: Feature, value: float) -> str:
    return feature.categories[int(value)] if feature.kind == "category" else f"{value:.5g}"


def _distance(result: EvasionResult, place: int) -> str:
    return f"{number(float(result.distance[place]))} {result.threat.unit}".rstrip()
