"""Arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The holdfast.toml to carry out.")]
CONFIG_DEFAULT: Final = Path("holdfast.toml")
PICTURES: Final = ".npz"
"""How the name of an archive of pictures ends."""

SignerPath = Annotated[Path, typer.Option(help="The public key of the one who must have signed.")]
KeyPath = Annotated[Path, typer.Option(help="The private key that the bundle is sealed to.")]
Sealed = Annotated[Path, typer.Argument(metavar="SEALED", help="A sealed bundle, NAME.holdfast.")]
