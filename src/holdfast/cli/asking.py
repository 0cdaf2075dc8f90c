"""The command that asks a service."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from holdfast.cli.terminal import SECONDS_BETWEEN_LINES, clean
from holdfast.data import Matrix, read_table
from holdfast.errors import CredentialError
from holdfast.http import Client, KeySafe, Progress, read_images
from holdfast.pipeline import keyring

TOKEN_VARIABLE: Final = "HOLDFAST_TOKEN"

_DEFAULT_KEYS: Final = Path("~/.holdfast/keys")
_PICTURES: Final = (".png", ".npz")


def ask_service(path: Path, *, url: str, private: bool, keys: Path | None) -> None:
    """Write the answers as CSV: each row's most probable class and each class's probability, or a regression's value.

    Raises:
        CredentialError: there is no token in the environment.
    """
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise CredentialError(
            f"expected a token in {TOKEN_VARIABLE}, it is not set",
            hint="whoever runs the service makes one with: holdfast client NAME",
        )
    safe = _safe(keys) if private else None
    with Client(url, token, keys=safe) as client:
        rows = _rows(path, client)
        if private:
            with _progress() as progress:
                answer = client.ask_private(rows, progress=progress)
            labels, values = answer.labels, answer.values
        else:
            values = client.predict_proba(rows)
            labels = tuple(client.classes[position] for position in values.argmax(axis=1))
        classes = [clean(name) for name in client.classes]  # they come from the service
    _table(values, labels, classes).to_csv(sys.stdout, index=False)


def _table(values: Matrix, labels: tuple[str, ...], classes: list[str]) -> pd.DataFrame:
    if not classes:
        return pd.DataFrame(values, columns=["value", *(f"value {i}" for i in range(1, values.shape[1]))])
    one_each = values.shape[1] == len(classes)  # a model that only decides between two has a single score
    frame = pd.DataFrame(values, columns=[f"p({name})" for name in classes] if one_each else ["score"])
    frame.insert(0, "label", [clean(label) for label in labels])
    return frame


def _rows(path: Path, client: Client) -> pd.DataFrame | Matrix:
    if path.is_dir() or path.suffix.lower() in _PICTURES:
        return np.asarray(read_images(path, client.inputs.pixels))
    return read_table(path)


def _safe(folder: Path | None) -> KeySafe | None:
    """Where keys are kept; nowhere without a passphrase, as they are never kept unencrypted."""
    passphrase = keyring.passphrase()
    if passphrase is not None:
        return KeySafe(folder=(folder or _DEFAULT_KEYS).expanduser(), passphrase=passphrase)
    sys.stderr.write(
        f"new keys for this run alone; set {keyring.PASSPHRASE_VARIABLE} to keep them, encrypted, for the next\n"
    )
    return None


@contextmanager
def _progress() -> Iterator[Progress]:
    """Rows answered, on stderr: a moving bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress as Bar

        with Bar(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("rows answered", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            sys.stderr.write(f"{done} of {total} rows answered\n")

    yield tell
