"""Files that evasions keep so as to go on: arrays, read back from a file that nobody has to trust."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holdfast.errors import DataError, WireError
from holdfast.files import read_bytes, write_atomic

MAX_FILE_BYTES: Final = 8 * 2**30
"""Changed pictures as float32: 10,000 of 224 x 224 x 3 take 6 GB. A file that says it is larger is not read."""

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
    data = read_bytes(path, max_bytes=MAX_FILE_BYTES, what="kept evasion")
    try:
        kept = _arrays(data, ["format", "subject", *like])
    except _FAULTS as error:
        raise WireError(f"{path} holds no kept evasion: {str(error)[:200]}", hint="remove it to begin anew") from None
    if str(kept["format"]) != form:
        raise WireError(f"expected a kept evasion in the format {form} at {path}, got {str(kept['format'])!r:.40}")
    if str(kept["subject"]) != subject:
        raise DataError(
            f"the evasion kept at {path} is of another model, other data, another threat or other attacks",
            hint="call as it was called then, or take another path",
        )
    for name, expected in like.items():
        if kept[name].shape != expected.shape or kept[name].dtype != expected.dtype:
            raise WireError(f"{path} holds no kept evasion: its {name} are {kept[name].dtype} of {kept[name].shape}")
    return {name: kept[name] for name in like}


def _arrays(data: bytes, names: list[str]) -> dict[str, Array]:
    """Arrays of an archive; one that unpacks to more than a file may hold is none."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > MAX_FILE_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_FILE_BYTES} bytes")
        return {name: _array(archive, name) for name in names}


def _array(archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(f"{name}.npy") as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array
