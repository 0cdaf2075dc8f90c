"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(written: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """A hint that names the nearest of the known names, whatever its capitals; "" where none is near.

    Args:
        written: what came.
        known: what there is.
        cutoff: from 0 to 1, how like it a name has to be; see `difflib.get_close_matches`.
    """
    names = {name.casefold(): name for name in known}
    near = get_close_matches(written.casefold(), names, n=1, cutoff=cutoff)
    return f"did you mean {names[near[0]]}?" if near else ""
