"""Arguments of the wrong kind, told before anything is done with them.

Numbers are Python's and NumPy's; truth values, and what is not finite, are none.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TypeVar

from holdfast.errors import UsageError

Kind = TypeVar("Kind")


def check_kind(name: str, value: object, kind: type, *, example: str) -> None:
    """Refuse an argument that is no value of its kind.

    Args:
        name: of the argument.
        value: what was given.
        kind: what is due.
        example: how such a value is written.

    Raises:
        UsageError: it is of another kind.
    """
    if isinstance(value, type) or not isinstance(value, kind):  # a class has what protocols ask for, and is no value
        article = "an" if kind.__name__[0] in "AEIOUaeiou" or kind.__name__ == "ndarray" else "a"
        raise UsageError(
            f"expected {name} to be {article} {kind.__name__}, got {_shown(value)}",
            hint=f"write for instance {name}={example}",
        )


def items_of(name: str, values: object, kind: type[Kind], *, example: str) -> tuple[Kind, ...]:
    """The items of a list or tuple, all of one kind; a text is no list of its letters.

    Args:
        name: of the argument.
        values: what was given.
        kind: of each item.
        example: how such a tuple is written.

    Raises:
        UsageError: it is no list or tuple, or one of its items is of another kind.
    """
    strange = [item for item in values if not isinstance(item, kind)] if isinstance(values, list | tuple) else [values]
    if isinstance(values, list | tuple) and not strange:
        return tuple(values)
    raise UsageError(
        f"expected {name} to be a tuple of {kind.__name__}, got {_shown(strange[0])}",
        hint=f"write for instance {name}={example}",
    )


def is_whole(value: object) -> bool:
    """Whether it is a whole number; 2.0 is none."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _shown(value: object) -> str:
    """A value and its type, on one line and cut short."""
    return f"{' '.join(repr(value).split()):.60} ({type(value).__name__})"
