"""What has been done: a step is not done again while its inputs and its outputs are what they were.

Both are compared by content, never by time. A step's folder appears whole or not at all.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from holdfast import limits
from holdfast.errors import HoldfastError, UsageError
from holdfast.evidence import canonical_json, digest_bytes, is_finite_number
from holdfast.files import read_bytes, system_fault, write_atomic

FORMAT: Final = "holdfast-state-1"


def digest_json(value: object) -> str:
    """SHA-256 of a JSON value."""
    return digest_bytes(canonical_json(value))


def digest_folder(folder: Path) -> str:
    """SHA-256 over the names and contents of all files in a folder.

    Raises:
        SystemFault: the operating system refuses to read it.
    """
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents = [[path.relative_to(folder).as_posix(), digest_bytes(path.read_bytes())] for path in files]
    except OSError as error:
        raise system_fault(error, f"read {folder}") from None
    return digest_json(contents)


@dataclass(frozen=True)
class Record:
    """A finished step: what went in, what came out, how long it took, and what it had to say."""

    inputs: str
    outputs: str
    seconds: float
    lines: tuple[str, ...]


class State:
    """The finished steps of one project, kept in `state.json` in its output folder."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out / "state.json"
        self._records = _read(self._path)

    def folder(self, step: str) -> Path:
        """Where a finished step has its files."""
        return self._out / step

    def finished(self, step: str, *, inputs: str) -> Record | None:
        """The record of a step that was done with these inputs and whose files are untouched, else None."""
        record = self._records.get(step)
        if record is None or record.inputs != inputs or not self.folder(step).is_dir():
            return None
        return record if digest_folder(self.folder(step)) == record.outputs else None

    def outputs(self, step: str) -> str:
        """The digest of the files that a finished step has left."""
        return self._records[step].outputs

    def seconds(self, step: str) -> float:
        """How long a finished step took."""
        return self._records[step].seconds

    def do(
        self, step: str, *, inputs: str, work: Callable[[Path], tuple[str, ...]], clock: Callable[[], float]
    ) -> Record:
        """Do a step's work in an empty folder, then put the folder in place and write it down.

        Raises:
            HoldfastError: of the work, or because the disk refuses; the files of an earlier run are left as they were.
        """
        started, scratch = clock(), self._out / f".{step}.partial"
        try:
            shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
            scratch.mkdir(parents=True)
            lines = work(scratch)
            record = Record(inputs, digest_folder(scratch), clock() - started, lines)
            self._put_in_place(scratch, self.folder(step))
        except OSError as error:
            raise system_fault(error, f"write the files of step {step}") from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._records[step] = record
        write_atomic(self._path, _to_bytes(self._records))
        return record

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of the folder for the length of a `with` block.

        Where the folder is not there yet it is made, for its owner alone: what a run leaves tells of single records.

        Raises:
            UsageError: another run is at work in it.
            SystemFault: the disk refuses.
        """
        try:
            self._out.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._out / ".lock").open("w")
        except OSError as error:
            raise system_fault(error, f"write to {self._out}") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"another run is at work in {self._out}", hint="wait for it to end") from None
            yield

    @staticmethod
    def _put_in_place(scratch: Path, folder: Path) -> None:
        if folder.exists():
            old = scratch.with_suffix(".old")
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
            scratch.rename(folder)
            shutil.rmtree(old)
        else:
            scratch.rename(folder)


def _to_bytes(records: Mapping[str, Record]) -> bytes:
    steps = {
        name: {"inputs": r.inputs, "outputs": r.outputs, "seconds": round(r.seconds, 3), "lines": list(r.lines)}
        for name, r in records.items()
    }
    return json.dumps({"format": FORMAT, "steps": steps}, indent=1).encode()


def _read(path: Path) -> dict[str, Record]:
    """The records of an earlier run; where the file is absent or unreadable, every step is simply done again."""
    try:
        document: Any = json.loads(read_bytes(path, max_bytes=limits.MAX_JSON_BYTES, what="a state file"))
        if document["format"] != FORMAT:
            return {}
        return {name: _record(step) for name, step in document["steps"].items()}
    except (HoldfastError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _record(step: Any) -> Record:
    inputs, outputs, seconds, lines = (step[name] for name in ("inputs", "outputs", "seconds", "lines"))
    if not isinstance(lines, list) or not all(isinstance(text, str) for text in (inputs, outputs, *lines)):
        raise TypeError("expected digests and lines of text")
    if not is_finite_number(seconds):
        raise TypeError("expected a number of seconds")
    return Record(inputs, outputs, seconds, tuple(lines))
