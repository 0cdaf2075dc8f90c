"""What every table from a file must keep to, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from holdfast import limits
from holdfast.errors import DataError, InputError

CELL_BYTES: Final = 8
"""Bytes that a cell takes in memory at least, whatever it takes in the file: those of a number."""


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


def check_cells(cells: int, path: Path) -> None:
    """Refuse a table whose cells alone take more memory than the bound: empty ones take next to no bytes in a file."""
    if cells * CELL_BYTES > limits.MAX_TABLE_BYTES:
        raise too_large(path)


def too_long(name: str, length: str) -> DataError:
    """The error for a text longer than the bound."""
    return DataError(
        f"column {name!r} has a field of {length}, at most {limits.MAX_FIELD_CHARS} characters are read",
        hint="look for a double quote that is not closed, or leave the column out",
    )


def too_large(path: Path) -> InputError:
    """The error for a file that is larger, or unpacks to more, than the bound."""
    return InputError(
        f"expected a table of at most {limits.MAX_TABLE_BYTES} bytes, {path} is larger or unpacks to more"
    )


def first_line(error: Exception) -> str:
    """The first line of a foreign error, at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
