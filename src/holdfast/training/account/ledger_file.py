"""The privacy ledger on disk: entered under a lock, written before anything runs, held against one limit."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from holdfast import limits
from holdfast.errors import UsageError
from holdfast.files import read_bytes, system_fault, write_atomic
from holdfast.training.account.accounting import check_budget, check_group
from holdfast.training.account.ledger import Entry, Ledger


@dataclass(frozen=True)
class LedgerFile:
    """The ledger of one body of records, in a file beside them that its owner alone may read.

    Every project and process that uses the records enters its uses here, each against a limit of its own. A crash after
    `spend` leaves an entry of a step that never ran: the ledger may say too much and never too little.

    Args:
        path: of the file, or its text; it need not be there yet.
        epsilon_limit: the most that all private uses together may cost.
        delta: at which epsilon is stated.
        records_per_person: how many records may be about one person, who is protected as a whole.
    """

    path: Path
    _: KW_ONLY
    epsilon_limit: float
    delta: float
    records_per_person: int = 1

    def __post_init__(self) -> None:
        """Refuse a limit that has no meaning, and take a symbolic link for the file it leads to, which is replaced."""
        if not isinstance(self.path, str | os.PathLike):
            raise UsageError(
                f"expected the path of a privacy ledger, got {type(self.path).__name__}",
                hint='write for instance LedgerFile("privacy-ledger.json", epsilon_limit=3, delta=1e-5)',
            )
        object.__setattr__(self, "path", Path(self.path).resolve())
        if not self.path.parent.is_dir():
            raise UsageError(
                f"expected a privacy ledger in a folder that exists, got {self.path}",
                hint="look for a slip, as a ledger elsewhere knows of nothing spent; or make the folder",
            )
        check_budget(epsilon=self.epsilon_limit, delta=self.delta)
        check_group(self.records_per_person)

    def read(self) -> Ledger:
        """The ledger as it is; an empty one where there is no file.

        Raises:
            BudgetError: what it holds is over the limit.
            IntegrityError, WireError: the file was changed, or is no ledger.
            SystemFault: the operating system refuses to read it.
        """
        limit, delta, people = self.epsilon_limit, self.delta, self.records_per_person
        if not self.path.exists():
            return Ledger(epsilon_limit=limit, delta=delta, records_per_person=people)
        data = read_bytes(self.path, max_bytes=limits.MAX_JSON_BYTES, what="a privacy ledger")
        return Ledger.from_bytes(data, epsilon_limit=limit, delta=delta, records_per_person=people)

    def spend(self, entry: Entry) -> Ledger:
        """Write a use of the records down; only then may it happen. The ledger is on the disk when this returns.

        A private use is a further spend each time. One without noise is entered once, however often it is done.

        Raises:
            BudgetError: the limit would be passed; nothing is written, and the use must not happen.
            IntegrityError, WireError, SystemFault: see `read`; or the folder or disk refuses, and nothing is written.
        """
        with self._alone():
            ledger = self.read()
            if entry.private or entry not in ledger.entries:
                ledger = ledger.add(entry)
                write_atomic(self.path, ledger.to_bytes(), private=True)
                self._settle()
        return ledger

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes away for the length of a `with` block; they wait."""
        try:
            lock = self.path.with_suffix(".lock").open("w")
        except OSError as error:
            raise system_fault(error, f"write beside {self.path}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _settle(self) -> None:
        """Have the folder's new content on the disk, so that the file is the new one after a power failure as well."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise system_fault(error, f"write {self.path}") from None
