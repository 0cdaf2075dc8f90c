"""The privacy ledger: every use of the records in one place, and what all of them cost together.

An entry is written before its step runs, so a crash can only make the ledger say too much. Running a step again is a
further entry, unless its stored result is used again. Uses without noise (data checks, training without privacy,
exact test figures) are entries as well: they have no guarantee, and the ledger says so.

Each entry is chained to those before it by SHA-256. That shows a careless or partial edit. Who can rewrite the whole
file can rewrite the chain; `head` therefore goes into the privacy statement, which is signed with the model.

The chain begins with a random salt, so `head` tells nothing of the entries' digests of records to who has not the file.
The file itself (`ledger_file`) stays in the house: with it, a guess at the records can be tested.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

from holdfast import limits
from holdfast.errors import BudgetError, IntegrityError, UsageError, WireError
from holdfast.training.account.accounting import advantage_of, check_budget, check_group, epsilon_of_group
from holdfast.training.account.events import Event, event_from_json
from holdfast.training.account.ledger_format import SALT, chain, decode, encode
from holdfast.training.account.methods import METHODS
from holdfast.training.account.statement import PrivacyStatement, Use
from holdfast.training.account.words import at_most

_FIRST_METHOD: Final = "logistic-regression"
"""What an entry with events and no method was made by: the first ledgers knew no other. It is still left out of the
bytes, so that the links of old entries, which statements name, stay as they are."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One use of records.

    Args:
        step: what used them ("train", "harden", "check", …).
        data_digest: of the records that were used; it must not leave the house.
        released: whether what came out is shown to anyone outside those who may see the records.
        events: the noisy sums that it took; none means that it has no guarantee.
        note: what else a reader should know, one sentence.
        method: the name in `methods.METHODS` of what made the events; empty where there are none.
    """

    step: str
    data_digest: str
    released: bool
    events: tuple[Event, ...] = ()
    note: str = ""
    method: str = ""

    def __post_init__(self) -> None:
        """Refuse an entry that does not say what used which records, and how."""
        if not self.step or max(len(self.step), len(self.note)) > limits.MAX_NAME_CHARS * 5:
            raise UsageError(
                f"a ledger entry needs a step, and a note of at most {limits.MAX_NAME_CHARS * 5} characters"
            )
        if not self.data_digest.startswith("sha256:"):
            raise UsageError(f"a ledger entry needs the digest of its records (sha256:…), got {self.data_digest!r}")
        if self.events and self.method not in METHODS:
            raise UsageError(
                f"a ledger entry with noisy sums needs its method, one of {', '.join(METHODS)}, got {self.method!r}"
            )
        if self.method and not self.events:
            raise UsageError(f"a ledger entry without noisy sums has no method, got {self.method!r}")

    @property
    def private(self) -> bool:
        """Whether the use was through noisy sums alone, and so has a guarantee."""
        return bool(self.events)

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON; `from_json` is its inverse."""
        document = {
            "step": self.step,
            "data_digest": self.data_digest,
            "released": self.released,
            "events": [event.to_json() for event in self.events],
            "note": self.note,
        }
        return document if self.method in ("", _FIRST_METHOD) else document | {"method": self.method}

    @classmethod
    def from_json(cls, document: object) -> Entry:
        """Read an entry back.

        Raises:
            WireError: a field is missing, unknown or of the wrong type.
        """
        kinds = {"step": str, "data_digest": str, "released": bool, "events": list, "note": str, "method": str}
        if not isinstance(document, dict) or set(document) | {"method"} != set(kinds):
            raise WireError(f"expected a ledger entry with {', '.join(kinds)}, got {document!r:.200}")
        for name in document:
            if type(document[name]) is not kinds[name]:
                raise WireError(
                    f"expected {name} of a ledger entry as {kinds[name].__name__}, got {document[name]!r:.200}"
                )
        first = {"method": _FIRST_METHOD if document["events"] else ""}
        try:
            return cls(**{**first, **document, "events": tuple(map(event_from_json, document["events"]))})
        except UsageError as error:
            raise WireError(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Every use of one body of records, and the most that they may cost together.

    Parts of one table (a training part, a test part) share a ledger. Their costs are added as if every record had been
    in every use, which can only say too much. Limit, delta and the unit of privacy are for whoever opens the ledger to
    say, and not in its file: several projects that use one table have one ledger, and each holds all entries against
    its own limit.

    Args:
        epsilon_limit: the most that all private uses together may cost.
        delta: at which epsilon is stated.
        records_per_person: how many records may be about one person, who is protected as a whole.
        entries: the uses so far, in order.
        salt: 32 random bytes in hexadecimal, drawn when the ledger is made; the beginning of its chain.
    """

    epsilon_limit: float
    delta: float
    records_per_person: int = 1
    entries: tuple[Entry, ...] = ()
    salt: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        """Refuse a limit that has no meaning, and entries that are already past it."""
        check_budget(epsilon=self.epsilon_limit, delta=self.delta)
        check_group(self.records_per_person)
        if not SALT.fullmatch(self.salt):
            raise UsageError("a privacy ledger needs a salt of 32 bytes in hexadecimal")
        if len(self.entries) > limits.MAX_LEDGER_ENTRIES:
            raise BudgetError(f"a privacy ledger holds {limits.MAX_LEDGER_ENTRIES} entries, it is full")
        if self.epsilon > self.epsilon_limit:
            raise BudgetError(
                f"all uses of the records together would cost epsilon {at_most(self.epsilon)} "
                f"at delta {at_most(self.delta)}, the limit is {self.epsilon_limit:g}",
                hint="use a stored result again, ask for a smaller epsilon, or decide on a higher limit",
            )

    @property
    def epsilon(self) -> float:
        """Upper bound on the epsilon of all private uses together, each chosen with the results before it in view."""
        return epsilon_of_group(self._events, delta=self.delta, group_size=self.records_per_person)

    @property
    def epsilon_of_released(self) -> float:
        """Upper bound on the epsilon of all that was released: infinite once something without noise was."""
        exact = any(entry.released and not entry.private for entry in self.entries)
        return math.inf if exact else self.epsilon

    def add(self, entry: Entry) -> Ledger:
        """The ledger with one more entry. Write it down before the step runs.

        Raises:
            BudgetError: the limit would be passed; the step must not run.
        """
        return replace(self, entries=(*self.entries, entry))

    def statement_for(self, step: str) -> PrivacyStatement:
        """The statement on what the last private run of a step released, with the cost of all entries in it.

        Raises:
            UsageError: no private entry has this step.
        """
        own = [entry for entry in self.entries if entry.step == step and entry.private]
        if not own:
            raise UsageError(f"the privacy ledger has no private entry of the step {step!r}")
        return self._statement_on(own[-1])

    def statement_at(self, link: str) -> PrivacyStatement:
        """The same on the private entry that this link of the chain stands for, whatever was entered after it.

        Raises:
            UsageError: no private entry has this link.
        """
        own = dict(zip(self.links[1:], self.entries, strict=True)).get(link)
        if own is None or not own.private:
            raise UsageError("the privacy ledger has no private entry at this link of its chain")
        return self._statement_on(own)

    def _statement_on(self, own: Entry) -> PrivacyStatement:
        people = self.records_per_person
        return PrivacyStatement(
            step=own.step,
            epsilon=self.epsilon,
            own_epsilon=epsilon_of_group(own.events, delta=self.delta, group_size=people),
            delta=self.delta,
            records_per_person=people,
            membership_advantage=advantage_of(self._events, group_size=people),
            events=own.events,
            uses=tuple(Use(step=e.step, method=e.method, released=e.released, note=e.note) for e in self.entries),
            ledger_digest=self.head,
        )

    @property
    def head(self) -> str:
        """The digest of the last link of the chain; it stands for the whole ledger and, salted, tells nothing of it."""
        return self.links[-1]

    @property
    def links(self) -> tuple[str, ...]:
        """The chain: the head as it was when the ledger was made, and after each entry."""
        return chain(self.salt, [entry.to_json() for entry in self.entries])

    def to_bytes(self) -> bytes:
        """The ledger as JSON, one byte string for each ledger; `from_bytes` is its inverse."""
        return encode(self.salt, [entry.to_json() for entry in self.entries])

    @classmethod
    def from_bytes(cls, data: bytes, *, epsilon_limit: float, delta: float, records_per_person: int = 1) -> Ledger:
        """Read a ledger back, and hold it against a limit.

        Raises:
            WireError: not a ledger of a format that this version knows.
            IntegrityError: a ledger that was changed since it was written.
            BudgetError: what it holds is over the limit.
        """
        salt, documents = decode(data)
        entries = tuple(map(Entry.from_json, documents))
        ledger = cls(
            epsilon_limit=epsilon_limit, delta=delta, records_per_person=records_per_person, entries=entries, salt=salt
        )
        if ledger.to_bytes() != data:
            raise IntegrityError("the privacy ledger was changed since it was written: its bytes are not canonical")
        return ledger

    @property
    def _events(self) -> tuple[Event, ...]:
        return tuple(event for entry in self.entries for event in entry.events)
