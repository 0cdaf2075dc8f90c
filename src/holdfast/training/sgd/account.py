"""What a run has been charged: entered in the ledger as a whole, then counted step by step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from holdfast.errors import IntegrityError, UsageError
from holdfast.training.account.accounting import epsilon_of
from holdfast.training.account.events import SampledSums
from holdfast.training.account.ledger import Entry, Ledger
from holdfast.training.account.ledger_file import LedgerFile
from holdfast.training.account.statement import PrivacyStatement
from holdfast.training.sgd.checkpoint import Checkpoint
from holdfast.training.sgd.spent import RUN_BYTES, SpentSteps

STEP_NAME: Final = "train"
METHOD: Final = "dp-sgd"
_NO_DIGEST: Final = "sha256:" + "0" * 64
"""Stands for the records where there is no ledger to tell them from others."""


class Account:
    """The account of one run.

    Args:
        plan: what the whole run costs.
        ledger: where it is entered.
        checkpoint: beside which its steps are counted, as `<checkpoint>.spent`.
    """

    def __init__(self, plan: SampledSums, *, ledger: LedgerFile | None, checkpoint: Path | None) -> None:
        self.plan = plan
        self.run = secrets.token_hex(RUN_BYTES)
        self.link = ""
        self.begun = False
        self.spent = 0
        self._process = os.getpid()
        self._ledger = ledger
        self._count_at = checkpoint.with_name(checkpoint.name + ".spent") if checkpoint else None
        self._count: SpentSteps | None = None

    def begin(self, digest: Callable[[], str]) -> None:
        """Enter the whole run, before its first step.

        Args:
            digest: gives that of the records; only a ledger asks for it.

        Raises:
            BudgetError: the ledger's limit would be passed; nothing is entered and no step may be taken.
            UsageError: the count of another run is where this one's would be.
        """
        if self._count_at is not None and self._count_at.exists():
            raise UsageError(
                f"expected a checkpoint for a new run, but {self._count_at} counts the steps of one",
                hint="resume() that run, or give another checkpoint",
            )
        if self._ledger is not None:
            self.link = self._ledger.spend(self._entry(digest())).head
        if self._count_at is not None:
            self._count = SpentSteps(self._count_at, bytes.fromhex(self.run), new=True)
        self.begun = True

    def resume(self, checkpoint: Checkpoint, digest: Callable[[], str]) -> None:
        """Go on with the run of a checkpoint: the same event, to the bit, and every step that was spent.

        Args:
            checkpoint: of the run.
            digest: gives that of the records; only a ledger asks for it.

        Raises:
            UsageError: the run was entered in a ledger that is not given, or with other records, or another process
                has it.
            IntegrityError: the ledger does not hold the run, or the run costs more than it was allowed, or the count
                is of another one.
        """
        if bool(checkpoint.link) != (self._ledger is not None):
            entered = "is entered in a ledger" if checkpoint.link else "is in no ledger"
            raise UsageError(f"expected the ledger that the run began with: it {entered}")
        if self._ledger is not None:
            self._find(checkpoint, self._ledger.read(), digest())
        settings = checkpoint.settings
        if epsilon_of([checkpoint.plan], delta=settings.delta) > settings.epsilon:
            raise IntegrityError(f"the checkpoint is of a run that costs more than its epsilon of {settings.epsilon}")
        if self._count_at is not None:
            self._count = SpentSteps(self._count_at, bytes.fromhex(checkpoint.run), new=False)
            self.spent = self._count.count
        self.plan, self.run, self.link, self.begun = checkpoint.plan, checkpoint.run, checkpoint.link, True

    def spend(self) -> None:
        """Count a step, before its noise is drawn.

        Raises:
            UsageError: this is a copy of the run in a forked process.
        """
        if os.getpid() != self._process:
            raise UsageError(
                "expected the process that began the run, got a fork of it: both would train, and one was paid for",
                hint="make the trainer after the fork",
            )
        if self._count is not None:
            self._count.enter()
        self.spent += 1

    def sync(self) -> None:
        """See to it that the count outlives a power cut."""
        if self._count is not None:
            self._count.sync()

    def statement(self, *, epsilon: float, delta: float) -> PrivacyStatement:
        """What the run guarantees, with everything else in its ledger, or by itself where it is in none.

        Args:
            epsilon: the limit of a run that is in no ledger.
            delta: at which its epsilon is stated.

        Raises:
            UsageError: the run has not begun.
        """
        if not self.begun:
            raise UsageError("a run that has not begun guarantees nothing yet", hint="take its steps first")
        if self._ledger is not None:
            return self._ledger.read().statement_at(self.link)
        return Ledger(epsilon_limit=epsilon, delta=delta).add(self._entry(_NO_DIGEST)).statement_for(STEP_NAME)

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "a private run cannot be copied or pickled: both copies would train, and one was paid for",
            hint="copy the module; or save a checkpoint, and resume from it",
        )

    def _find(self, checkpoint: Checkpoint, ledger: Ledger, digest: str) -> None:
        """Refuse a ledger that does not hold the run as it is in the checkpoint, or other records than it was of."""
        held = dict(zip(ledger.links[1:], ledger.entries, strict=True)).get(checkpoint.link)
        if held is None or held.events != (checkpoint.plan,):
            raise IntegrityError("the privacy ledger does not hold the run of this checkpoint")
        if held.data_digest != digest:
            raise UsageError("expected the records of the run, got others: the ledger has another digest of them")

    def _entry(self, digest: str) -> Entry:
        return Entry(step=STEP_NAME, data_digest=digest, released=True, events=(self.plan,), method=METHOD)
