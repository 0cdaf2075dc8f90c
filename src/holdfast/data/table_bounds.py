"""What every table from a file must keep to, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from holdfast import limits
from holdfast.errors import DataError, InputError


def check_names(names: Sequence[str], path: Path) -> list[str]:
    """The column names, blank ones by position; refused where there are too many, too long or one twice."""
    if not 1 <= len(names) <= limits.MAX_COLUMNS:
        raise DataError(f"expected 1 to {limits.MAX_COLUMNS} columns, {path} has {len(names)}")
    named = [name.strip() or f"column {position}" for position, name in enumerate(names, start=1)]
    if longest := [name for name in named if len(name) > limits.MAX_NAME_CHARS]:
        raise DataError(
            f"expected column names of at most {limits.MAX_NAME_CHARS} characters, got {longest[0][:40]!r}…"
        )
    if twice := _twice(named):
        raise DataError(
            f"two columns of {path} are named {twice!r}", hint="the first row must name the columns, each once"
        )
    return named


def _twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def too_large(path: Path) -> InputError:
    """The error for a file that is larger, or unpacks to more, than the bound."""
    return InputError(f"expected a table of at most {limits.MAX_TABLE_BYTES} bytes, {path} is larger")


def first_line(error: Exception) -> str:
    """The first line of a foreign error, at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
