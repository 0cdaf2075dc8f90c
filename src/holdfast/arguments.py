"""Arguments of the wrong kind, told before anything is done with them.

Numbers are Python's and NumPy's; truth values, and what is not finite, are none.
"""

from __future__ import annotations

import math

import numpy as np

from holdfast.errors import UsageError


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
        shown = " ".join(repr(value).split())  # arrays take lines
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise UsageError(
            f"expected {name} to be {article} {kind.__name__}, got {shown:.60} ({type(value).__name__})",
            hint=f"write for instance {name}={example}",
        )


def is_whole(value: object) -> bool:
    """Whether it is a whole number; 2.0 is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
