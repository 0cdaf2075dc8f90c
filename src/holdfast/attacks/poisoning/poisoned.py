"""Training data with poison in it: what was changed, where, and with which trigger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, overload

import numpy as np
import numpy.typing as npt

from holdfast.arguments import check_kind, is_number, is_whole
from holdfast.attacks.poisoning.triggers import Data, Trigger
from holdfast.data import Dataset, Labels, Matrix, Schema
from holdfast.data.images import Images, Pixels
from holdfast.errors import DataError, UsageError

_WHOLE_BLEND: Final = 0.95
"""Above it nothing is left of a picture that its label would be right for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Poisoned(Generic[Data]):
    """Training data with poison in it.

    Args:
        data: all rows, those that were left alone included, in the order in which they were.
        rows: (poisoned,) positions of the poisoned rows, rising.
        method: "label flips", "badnets", "label-consistent backdoor" or "feature collision".
        target_class: the class that the poison is to bring about, as a position; None where labels go to any.
        trigger: what brings it about; None for flips and collisions.
    """

    data: Data
    rows: Labels
    method: str
    target_class: int | None = None
    trigger: Trigger[Data] | None = None


def flip_labels(
    data: Data,
    *,
    share: float,
    rng: np.random.Generator,
    source_class: int | None = None,
    target_class: int | None = None,
) -> Poisoned[Data]:
    """Give a share of rows another label.

    Args:
        data: the clean rows.
        share: of the rows that may be flipped, above 0 and up to 1.
        rng: decides which rows, and their labels where there is no target.
        source_class: flip rows of this class only.
        target_class: the new label; any other than its own if not given.

    Raises:
        UsageError: a share or a class that means nothing.
        DataError: no row that may be flipped.
    """
    _check(data, share, rng, *(0 if position is None else position for position in (source_class, target_class)))
    classes = class_count(data)
    allowed = np.ones(len(data), dtype=bool) if source_class is None else data.y == source_class
    if target_class is not None:
        allowed &= data.y != target_class
    rows = _draw(np.flatnonzero(allowed), share, rng)
    y = data.y.copy()
    y[rows] = (y[rows] + rng.integers(1, classes, len(rows))) % classes if target_class is None else target_class
    return Poisoned(data=relabelled(data, y), rows=rows, method="label flips", target_class=target_class)


def badnets(
    data: Data, trigger: Trigger[Data], *, target_class: int, share: float, rng: np.random.Generator
) -> Poisoned[Data]:
    """Put a trigger on a share of the rows of all other classes, and the target's label (Gu et al. 2017, BadNets).

    Args:
        data: the clean rows.
        trigger: what the model shall learn.
        target_class: the class that it shall give.
        share: of the rows of other classes, above 0 and up to 1.
        rng: decides which rows.

    Raises:
        UsageError: a share or a class that means nothing.
        DataError: no row of another class.
    """
    _check(data, share, rng, target_class)
    check_trigger(trigger)
    rows = _draw(np.flatnonzero(data.y != target_class), share, rng)
    y = data.y.copy()
    y[rows] = target_class
    planted = with_rows(data, rows, trigger.put_on(data.take(rows)))
    return Poisoned(
        data=relabelled(planted, y), rows=rows, method="badnets", target_class=target_class, trigger=trigger
    )


def label_consistent(
    data: Data, trigger: Trigger[Data], *, target_class: int, share: float, blend: float, rng: np.random.Generator
) -> Poisoned[Data]:
    """Put a trigger on a share of the target's own rows, no label changed (Turner et al. 2019, label-consistent).

    So that a model cannot do without the trigger, each row is first drawn towards one of another class, which makes it
    hard to tell; a person still sees the class that it is labelled as. (The paper's interpolation, in the space of the
    inputs and not of a generative model.)

    Args:
        data: the clean rows.
        trigger: what the model shall learn.
        target_class: the class that it shall give.
        share: of the target's rows, above 0 and up to 1.
        blend: how far a row is drawn, 0 to 0.95.
        rng: decides which rows.

    Raises:
        UsageError: a share, a class or a blend that means nothing.
        DataError: no row of the target class, or none of another class.
    """
    rows = draw_rows(data, of=target_class, share=share, rng=rng)
    check_trigger(trigger)
    if not is_number(blend) or not 0 <= blend <= _WHOLE_BLEND:
        raise UsageError(f"expected a blend from 0 to {_WHOLE_BLEND}, got {blend!r}")
    others = np.flatnonzero(data.y != target_class)
    if not len(others):
        raise DataError("expected rows of another class to draw the target's towards, got none")
    harder = _blended(data.take(rows), data.take(rng.choice(others, len(rows))), blend)
    planted = with_rows(data, rows, trigger.put_on(harder))
    return Poisoned(
        data=planted, rows=rows, method="label-consistent backdoor", target_class=target_class, trigger=trigger
    )


def class_count(data: Dataset | Images) -> int:
    """The number of classes."""
    return len(data.schema.classes if isinstance(data, Dataset) else data.classes)


def inputs_of(data: Dataset | Images) -> Matrix | Pixels:
    """The rows without their labels."""
    return data.X if isinstance(data, Dataset) else data.pixels


@overload
def relabelled(data: Dataset, y: Labels) -> Dataset: ...
@overload
def relabelled(data: Images, y: Labels) -> Images: ...
def relabelled(data: Dataset | Images, y: Labels) -> Dataset | Images:
    """The same rows under other labels."""
    return Dataset(data.schema, data.X, y) if isinstance(data, Dataset) else Images(data.pixels, y, data.classes)


def with_rows(data: Data, rows: Labels, new: Data) -> Data:
    """The data with other inputs in some rows."""
    inputs = inputs_of(data).copy()
    inputs[rows] = inputs_of(new)
    return _with_inputs(data, inputs)


def _with_inputs(data: Data, inputs: npt.NDArray[Any]) -> Data:
    if isinstance(data, Dataset):
        return Dataset(data.schema, inputs, data.y)
    return Images(inputs, data.y, data.classes)


def _blended(data: Data, other: Data, blend: float) -> Data:
    """Inputs drawn towards others; of a table the real features, which no relation can then break among themselves."""
    mixed = inputs_of(data) + blend * (inputs_of(other).astype(np.float64) - inputs_of(data))
    if isinstance(data, Dataset):
        real = _movable(data.schema) & ~np.isnan(mixed)
        return _with_inputs(data, np.where(real, mixed, data.X))
    return _with_inputs(data, np.rint(mixed).astype(np.uint8))


def _movable(schema: Schema) -> Labels:
    """(features,) the real ones without a relation to a feature of another kind."""
    real = {feature.name for feature in schema.features if feature.kind == "real"}
    tied = {name for r in schema.relations if not {r.left, r.right} <= real for name in (r.left, r.right)}
    return np.array([name in real and name not in tied for name in schema.names])


def draw_rows(data: Data, *, of: int, share: float, rng: np.random.Generator) -> Labels:
    """(poisoned,) positions of a share of a class's rows, rising.

    Raises:
        UsageError: a share or a class that means nothing.
        DataError: no row of it.
    """
    _check(data, share, rng, of)
    return _draw(np.flatnonzero(data.y == of), share, rng)


def _draw(allowed: Labels, share: float, rng: np.random.Generator) -> Labels:
    if not len(allowed):
        raise DataError("expected rows that can be poisoned, got none of the classes asked for")
    count = max(1, round(share * len(allowed)))
    return np.sort(rng.choice(allowed, count, replace=False))


def check_class(data: Dataset | Images, position: int) -> None:
    """Refuse what is no data, and what is no class of it.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(data, Dataset | Images):
        raise UsageError(f"expected rows as a Dataset or pictures as Images, got {type(data).__name__}")
    if not is_whole(position) or not 0 <= position < class_count(data):
        raise UsageError(
            f"expected a class from 0 to {class_count(data) - 1}, got {position!r}",
            hint="a class is given by its position, not by its name",
        )


def check_trigger(trigger: object) -> None:
    """Refuse what cannot be put on inputs.

    Raises:
        UsageError: it is no trigger.
    """
    if not callable(getattr(trigger, "put_on", None)):
        raise UsageError(
            f"expected a trigger, got {type(trigger).__name__}", hint="make a PictureTrigger or a TableTrigger"
        )


def _check(data: Dataset | Images, share: float, rng: np.random.Generator, *positions: int) -> None:
    for position in positions:
        check_class(data, position)
    check_kind("rng", rng, np.random.Generator, example="np.random.default_rng()")
    if not is_number(share) or not 0 < share <= 1:
        raise UsageError(f"expected a share above 0 and up to 1, got {share!r}")
