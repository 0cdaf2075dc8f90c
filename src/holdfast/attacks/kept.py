"""Files that long work keeps so as to go on: arrays, read back from a file that nobody has to trust."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast import limits
from holdfast.errors import DataError, WireError
from holdfast.files import read_bytes, write_atomic

Array = npt.NDArray[Any]

# What NumPy and the archive raise for damage: RuntimeError for encryption and unknown compression, the others for
# headers that are no Python literal, promise more than there is, or numbers beyond every range.
_FAULTS: Final = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_kept(path: Path, arrays: Mapping[str, Array], *, form: str, subject: str) -> None:
    """Keep arrays, so that only the owner may read them.

    Raises:
        SystemFault: the folder or the disk refuses; the file is left as it was.
    """
    buffer = io.BytesIO()
    kept: dict[str, Any] = {"format": np.array(form), "subject": np.array(subject), **arrays}
    np.savez(buffer, **kept)
    write_atomic(path, buffer.getvalue(), private=True)


def read_kept(path: Path, like: Mapping[str, Array], *, form: str, subject: str) -> dict[str, Array]:
    """The arrays that were kept of the same evasion.

    Args:
        path: of the file.
        like: arrays of the names, shapes and types that are expected.
        form: format of the file.
        subject: digest of what the evasion is of.

    Raises:
        DataError: it is of another evasion.
        WireError: it holds none.
        SystemFault: it cannot be read.
    """
    kept_subject, kept = read_arrays(path, list(like), form=form, what="evasion", max_bytes=limits.MAX_KEPT_BYTES)
    if kept_subject != subject:
        raise DataError(
            f"the evasion kept at {path} is of another model, other data, another threat or other attacks",
            hint="call as it was called then, or take another path",
        )
    for name, expected in like.items():
        if kept[name].shape != expected.shape or kept[name].dtype != expected.dtype:
            raise WireError(f"{path} holds no kept evasion: its {name} are {kept[name].dtype} of {kept[name].shape}")
    return kept


def read_arrays(
    path: Path, names: Sequence[str], *, form: str, what: str, max_bytes: int
) -> tuple[str, dict[str, Array]]:
    """What a kept file is of, and its arrays, of whatever shape and type; judge both before use.

    Args:
        path: of the file.
        names: of the arrays.
        form: format of the file.
        what: was kept, in words.
        max_bytes: of the file, and of all that it unpacks to.

    Raises:
        InputError: there is no such file, or it is too large.
        WireError: it is none of that format.
        SystemFault: it cannot be read.
    """
    data = read_bytes(path, max_bytes=max_bytes, what=f"kept {what}")
    try:
        kept = _arrays(data, ["format", "subject", *names], max_bytes)
    except _FAULTS as error:
        raise WireError(f"{path} holds no kept {what}: {str(error)[:200]}", hint="remove it to begin anew") from None
    if str(kept["format"]) != form:
        raise WireError(f"expected kept {what} in the format {form} at {path}, got {str(kept['format'])!r:.40}")
    return str(kept["subject"]), {name: kept[name] for name in names}


def _arrays(data: bytes, names: list[str], max_bytes: int) -> dict[str, Array]:
    """Arrays of an archive; one that unpacks to more than a file may hold is none."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > max_bytes:
            raise ValueError(f"it unpacks to more than {max_bytes} bytes")
        return {name: _array(archive, name) for name in names}


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(f"{name}.npy") as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array
