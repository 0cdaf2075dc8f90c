"""A key by the words that a person writes in holdfast.toml or on the command line.

Three places, and after each #PROJECT where a key is used for more projects than one:

    file:PATH        a key file; "file:" may be left out
    env:VARIABLE     an environment variable that holds what a key file holds
    vault:URL/KEY    a key of HashiCorp Vault's transit engine mounted at URL; the token is in VAULT_TOKEN
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from holdfast.data.protect.keys import DEFAULT_PROJECT, DataKey, KeyService, ProjectKey
from holdfast.data.protect.vault import VaultTransit
from holdfast.errors import CredentialError, UsageError

TOKEN_VARIABLE: Final = "VAULT_TOKEN"


def find_key(source: str, *, folder: Path = Path()) -> ProjectKey:
    """The key that a source names, for its project.

    Args:
        source: as above.
        folder: that a key file is relative to.

    Raises:
        UsageError: the source or the project is not one.
        CredentialError: the variable is not set, or others may read the key file.
        InputError: there is no key where the source says.
        SystemFault: the operating system refuses to read the key file.
    """
    place, _, project = source.partition("#")
    return ProjectKey(service=_service(place, folder), project=project or DEFAULT_PROJECT)


def seen_from(source: str, folder: Path) -> str:
    """The same source, with a key file named as seen from a folder instead of from here."""
    place, mark, project = source.partition("#")
    scheme, rest = _split(place)
    if scheme != "file":
        return source
    return f"file:{Path(os.path.relpath(Path(rest).resolve(), folder.resolve())).as_posix()}{mark}{project}"


def _service(place: str, folder: Path) -> KeyService:
    scheme, rest = _split(place)
    if scheme == "file":
        return DataKey.load(folder / rest)
    if scheme == "env":
        return DataKey.parse(_variable(rest), where=f"the environment variable {rest}")
    url, _, name = rest.rpartition("/")
    return VaultTransit(url, name, token=_variable(TOKEN_VARIABLE))


def _split(place: str) -> tuple[str, str]:
    scheme, separator, rest = place.partition(":")
    if not separator:
        scheme, rest = "file", place
    if not rest or scheme not in ("file", "env", "vault"):
        raise UsageError(f"expected a key as file:PATH, env:VARIABLE or vault:URL/KEY, got {place[:120]!r}")
    return scheme, rest


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise CredentialError(f"expected a secret in the environment variable {name}, it is not set")
    return value
