"""How many steps of a run have had their noise drawn, in a file that a killed process leaves behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final
from weakref import finalize

from holdfast.errors import IntegrityError, UsageError
from holdfast.files import system_fault

RUN_BYTES: Final = 16
_COUNT_BYTES: Final = 8


class SpentSteps:
    """The count of steps that are spent, beside a checkpoint, under a lock: one process goes on with a run at a time.

    A step is entered before its noise is drawn. The operating system has the count when `enter` returns, so it outlives
    the process, also one that is killed; a power cut may take the last seconds with it, and all that they computed.

    Args:
        path: of the file.
        run: the 16 random bytes that name the run.
        new: whether the run begins; then there must be no such file.

    Raises:
        UsageError: another process has the run, or the file is there and should not be, or the other way round.
        IntegrityError: the file is of another run, or damaged.
        SystemFault: the operating system refuses.
    """

    def __init__(self, path: Path, run: bytes, *, new: bool) -> None:
        self._path = path
        try:
            flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if new else 0)
            self._file = os.open(path, flags | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise UsageError(
                f"expected a checkpoint of a new run, but {path} is there", hint="resume that run, or give another name"
            ) from None
        except FileNotFoundError:
            raise UsageError(
                f"expected the count of spent steps at {path}, found no file there",
                hint="it belongs to the checkpoint: without it, nobody knows how much noise was drawn",
            ) from None
        except OSError as error:
            raise system_fault(error, f"open {path}") from None
        finalize(self, os.close, self._file)  # and with it the lock
        self._lock()
        if new:
            os.pwrite(self._file, run + bytes(_COUNT_BYTES), 0)
        self.count = self._read(run)

    def enter(self) -> None:
        """One more step is spent."""
        try:
            os.pwrite(self._file, (self.count + 1).to_bytes(_COUNT_BYTES, "little"), RUN_BYTES)
        except OSError as error:
            raise system_fault(error, f"write {self._path}") from None
        self.count += 1

    def sync(self) -> None:
        """See to it that the count outlives a power cut as well."""
        os.fsync(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another process goes on with the run of {self._path}", hint="wait for it to end"
            ) from None

    def _read(self, run: bytes) -> int:
        stored = os.pread(self._file, RUN_BYTES + _COUNT_BYTES + 1, 0)
        if len(stored) != RUN_BYTES + _COUNT_BYTES or stored[:RUN_BYTES] != run:
            raise IntegrityError(f"{self._path} does not count the steps of this run, or was damaged")
        return int.from_bytes(stored[RUN_BYTES:], "little")
