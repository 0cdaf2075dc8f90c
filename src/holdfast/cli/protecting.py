"""The commands that protect data at rest: `holdfast protect …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.terminal import say

protect_commands = typer.Typer(
    name="protect", help="Encrypt tables, replace identifiers, change keys.", no_args_is_help=True
)

Table = Annotated[Path, typer.Argument(metavar="TABLE", help="A CSV or Parquet table.")]
Encrypted = Annotated[Path, typer.Argument(metavar="FILE", help="What holdfast protect encrypt wrote.")]
Key = Annotated[
    str,
    typer.Option(
        metavar="KEY", help="file:PATH, env:VARIABLE or vault:URL/KEY; then #PROJECT where a key serves several."
    ),
]


@protect_commands.command(name="new-key")
def new_key(file: Annotated[Path, typer.Argument(metavar="FILE", help="The key file to write.")]) -> None:
    """Make a key that tables and arrays are encrypted under. Whoever has it reads them; without it nobody does."""
    from holdfast.data.protect import DataKey

    key = DataKey.generate()
    key.save(file)
    say(f"{file} holds {key.name}: keep a copy where the data is not")


@protect_commands.command()
def encrypt(
    table: Table,
    key: Key,
    to: Annotated[Path, typer.Option(help="The encrypted Parquet file to write.")],
    pseudonymise: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Replace this column's identifiers by pseudonyms; may be repeated."),
    ] = None,
) -> None:
    """Write a table as encrypted Parquet, whole or not at all; the clear table is left where it is."""
    from holdfast.data import read_table
    from holdfast.data.protect import Pseudonyms, write_table
    from holdfast.data.protect.sources import find_key

    _check_new(to)
    found, columns = find_key(key), pseudonymise or []
    frame = read_table(table, texts=columns)  # 007 is not 7
    if columns:
        frame = Pseudonyms(found).replace(frame, columns)
    write_table(frame, to, key=found)
    say(f"{len(frame)} rows encrypted to {to} under {found.id('table')}")
    say(f"{table} is still in the clear; to erase it: holdfast protect erase {table}")


@protect_commands.command()
def decrypt(
    file: Encrypted,
    key: Key,
    to: Annotated[Path, typer.Option(help="The Parquet file to write, in the clear.")],
) -> None:
    """Write an encrypted table in the clear, for its owner only."""
    from holdfast.data import read_table
    from holdfast.data.protect.sources import find_key
    from holdfast.files import atomic_file

    _check_new(to)
    frame = read_table(file, key=find_key(key))
    with atomic_file(to, private=True) as out:
        frame.to_parquet(out, index=False)
    say(f"{len(frame)} rows written to {to}, in the clear")


@protect_commands.command()
def rotate(
    file: Encrypted,
    key: Key,
    to_key: Annotated[str, typer.Option(metavar="KEY", help="The key that the file shall be under.")],
) -> None:
    """Put an encrypted table, or encrypted arrays, under another key, without encrypting the data again."""
    from holdfast.data.protect import rotate as change
    from holdfast.data.protect.sources import find_key

    old, new = find_key(key), find_key(to_key)
    change(file, old=old, new=new)
    say(f"{file} is under {new.service.name} and no longer opens with {old.service.name}")


@protect_commands.command()
def erase(file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to overwrite and remove.")]) -> None:
    """Overwrite a file and remove it. Flash disks, journals, snapshots and backups may keep what was there."""
    from holdfast.errors import InputError
    from holdfast.files import erase as overwrite

    if not file.is_file():
        raise InputError(f"expected a file at {file}, found none there")
    overwrite(file)
    say(f"{file} was overwritten and removed; copies elsewhere on the disk are out of reach")


def _check_new(path: Path) -> None:
    """Refuse to write over a file: it may be the only copy."""
    from holdfast.errors import UsageError

    if path.exists() or path.is_symlink():
        raise UsageError(f"expected no file at {path}, found one", hint="choose another name")
    if path.suffix != ".parquet":
        raise UsageError(f"expected a name that ends in .parquet, got {path.name!r}")
