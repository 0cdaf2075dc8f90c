"""Arrays at rest: encrypted in chunks, and decrypted row by row where they are read.

Training reads batches straight from the encrypted file: the clear rows of a batch are in memory, and nowhere else.

    write_arrays("scans.hfa", {"pixels": pixels, "y": y}, key=key)
    with open_arrays("scans.hfa", key=key) as arrays:
        batch = arrays["pixels"][rows], arrays["y"][rows]

The format is in `array_header`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
import numpy.typing as npt

from holdfast.data.protect.array_header import CHUNK_BYTES, Header, Layout, describe, read_header
from holdfast.data.protect.keys import KEY_BYTES, ProjectKey
from holdfast.errors import InputError, IntegrityError, UsageError, WireError
from holdfast.files import atomic_file, system_fault
from holdfast.stream import StreamReader, encrypt_parts, encrypted_size

Array = npt.NDArray[Any]
Rows = int | np.integer[Any] | slice | Sequence[int] | Array


def write_arrays(path: str | Path, arrays: Mapping[str, npt.ArrayLike], *, key: ProjectKey) -> None:
    """Write arrays as one encrypted file, whole or not at all; nothing of them is on the disk in the clear.

    Raises:
        DataError: an array holds something else than numbers, or has no rows to speak of.
        CredentialError: the key service refuses.
        SystemFault: the disk refuses, or the key service cannot be reached.
    """
    contents = {name: np.asarray(array) for name, array in arrays.items()}
    description = describe(contents)
    data_key = os.urandom(KEY_BYTES)
    header = Header(description=description, key=key.wrap(data_key, "array"))
    parts = (_bytes(array) for array in contents.values())
    with atomic_file(Path(path), private=True) as file:
        file.write(header.to_bytes())
        file.writelines(encrypt_parts(parts, key=data_key, associated=header.associated, chunk_bytes=CHUNK_BYTES))


def open_arrays(path: str | Path, *, key: ProjectKey) -> EncryptedArrays:
    """Open a file that `write_arrays` wrote; close it, or use it in a `with` block.

    Raises:
        InputError: there is no such file, or it is none of encrypted arrays.
        CredentialError: it needs another master key, or the key service refuses.
        IntegrityError: it was changed or cut off, or is of another project.
        SystemFault: the operating system refuses to read it.
    """
    path = Path(path)
    try:
        with path.open("rb", buffering=0) as file:
            header = read_header(file)
            layouts = header.layouts()
            begin, descriptor = file.tell(), os.dup(file.fileno())
    except FileNotFoundError:
        raise InputError(f"expected encrypted arrays at {path}, found no file there") from None
    except WireError as error:
        raise WireError(f"{path}: {error}") from None
    except OSError as error:
        raise system_fault(error, f"read {path}") from None
    place = _Place(path, descriptor, begin)
    try:
        return EncryptedArrays(place, layouts, _stream(place, header, layouts, key))
    except BaseException:
        place.close()
        raise


def _stream(place: _Place, header: Header, layouts: Mapping[str, Layout], key: ProjectKey) -> StreamReader:
    """The stream of a file, once its length and its end are what they have to be."""
    data_key = key.unwrap(header.key, "array", place.path)
    size = encrypted_size(max(layout.stop for layout in layouts.values()), chunk_bytes=CHUNK_BYTES)
    if place.size != size:
        raise IntegrityError(f"{place.path} is cut off, or longer than it was written")
    stream = StreamReader(place.read, size=size, key=data_key, associated=header.associated, chunk_bytes=CHUNK_BYTES)
    with _told_of(place.path):
        stream.chunk(stream.chunks - 1)
    return stream


class _Place:
    """The stream of chunks in an open file."""

    def __init__(self, path: Path, descriptor: int, begin: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._begin = begin
        self.size = os.fstat(descriptor).st_size - begin

    def read(self, start: int, stop: int) -> bytes:
        if self._descriptor < 0:
            raise UsageError(f"{self.path} was closed, and its arrays cannot be read any more")
        try:
            return os.pread(self._descriptor, stop - start, self._begin + start)
        except OSError as error:
            raise system_fault(error, f"read {self.path}") from None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class EncryptedArrays(Mapping[str, "EncryptedArray"]):
    """The arrays of one file by name. Threads and forked processes may share it. Make one with `open_arrays`."""

    def __init__(self, place: _Place, layouts: Mapping[str, Layout], stream: StreamReader) -> None:
        self._place = place
        self._arrays = {name: EncryptedArray(place.path, stream, layout) for name, layout in layouts.items()}

    def __getitem__(self, name: str) -> EncryptedArray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"EncryptedArrays({str(self._place.path)!r}: {', '.join(self)})"

    def __reduce__(self) -> NoReturn:
        raise UsageError("encrypted arrays do not leave their process; open the file again in the other one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was read from it stays."""
        self._place.close()


class EncryptedArray:
    """One array in an encrypted file: its shape at hand, its rows decrypted when they are asked for."""

    def __init__(self, path: Path, stream: StreamReader, layout: Layout) -> None:
        self._path = path
        self._stream = stream
        self._layout = layout

    def __repr__(self) -> str:
        return f"EncryptedArray(shape={self.shape}, dtype={self.dtype})"

    def __reduce__(self) -> NoReturn:
        raise UsageError("an encrypted array does not leave its process; open the file again in the other one")

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return self._layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one element."""
        return self._layout.dtype

    def __getitem__(self, rows: Rows) -> Array:
        """The rows at a position, in a slice, at several positions, or where a mask is true; always a new array.

        Raises:
            IndexError: a position outside the array.
            UsageError: neither positions nor a mask, or the file was closed.
            IntegrityError: the rows were changed on the disk.
        """
        positions = _positions(rows, len(self))
        wanted = positions.reshape(-1)
        if (wanted[1:] >= wanted[:-1]).all():
            clear = self._read(wanted)
        else:
            order = np.argsort(wanted, kind="stable")
            clear = self._read(wanted[order])[np.argsort(order)]
        return clear.view(self.dtype).reshape(positions.shape + self.shape[1:])

    def _read(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """(rows, bytes) of the wanted positions, which ascend: so each chunk is decrypted once."""
        width = self._layout.row_bytes
        clear = np.empty((len(wanted), width), dtype=np.uint8)
        flat, at = clear.reshape(-1), 0
        begins = np.flatnonzero(np.diff(wanted, prepend=-2) != 1)  # of runs of rows that follow each other
        lengths = np.diff(begins, append=len(wanted))
        with _told_of(self._path):
            for first, rows in zip(wanted[begins].tolist(), lengths.tolist(), strict=True):
                start = self._layout.start + first * width
                for piece in self._stream.between(start, start + rows * width):
                    flat[at : at + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
                    at += len(piece)
        return clear


def _positions(rows: Rows, length: int) -> npt.NDArray[np.int64]:
    """The positions from 0 that rows speak of, in the shape in which they were asked for."""
    if isinstance(rows, slice):
        return np.arange(*rows.indices(length), dtype=np.int64)
    positions = np.asarray(rows)
    if positions.dtype == np.bool_ and positions.shape == (length,):
        return np.flatnonzero(positions)
    if positions.size and not np.issubdtype(positions.dtype, np.integer):
        raise UsageError(f"expected positions of rows or a mask of {length}, got {positions.dtype} {positions.shape}")
    if ((positions < -length) | (positions >= length)).any():
        raise IndexError(f"expected positions from {-length} to {length - 1}")
    return np.where(positions < 0, positions + length, positions).astype(np.int64)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Name the file in the sentence that a chunk was changed."""
    try:
        yield
    except IntegrityError:
        raise IntegrityError(f"{path} was changed after it was encrypted") from None


def _bytes(array: Array) -> memoryview:
    """The elements in C order, little-endian, as bytes; without a copy where they are stored so."""
    stored = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return stored.reshape(-1).view(np.uint8).data
