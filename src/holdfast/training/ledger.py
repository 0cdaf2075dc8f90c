"""The privacy ledger: every use of the records in one place, and what all of them cost together.

An entry is written before its step runs, so a crash can only make the ledger say too much. Running a step again is a
further entry, unless its stored result is used again. Uses without noise (data checks, training without privacy,
exact test figures) are entries as well: they have no guarantee, and the ledger says so.

Each entry is chained to those before it by SHA-256. That shows a careless or partial edit. Who can rewrite the whole
file can rewrite the chain; `head` therefore goes into the privacy statement, which is signed with the model.

The chain begins with a random salt, so `head` tells nothing of the entries' digests of records to who has not the file.
The file itself stays in the house: with it, a guess at the records can be tested.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from holdfast import limits
from holdfast.errors import BudgetError, IntegrityError, UsageError, WireError
from holdfast.evidence import canonical_json, digest_bytes
from holdfast.files import read_bytes, write_atomic
from holdfast.training.accounting import NoisySums, advantage_of, at_most, check_budget, epsilon_of
from holdfast.training.statement import PrivacyStatement, Use

FORMAT: Final = "holdfast-privacy-ledger-2"

_SALT: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One use of records.

    Args:
        step: what used them ("train", "harden", "check", …).
        data_digest: of the records that were used; it must not leave the house.
        released: whether what came out is shown to anyone outside those who may see the records.
        events: the noisy sums that it took; none means that it has no guarantee.
        note: what else a reader should know, one sentence.
    """

    step: str
    data_digest: str
    released: bool
    events: tuple[NoisySums, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse an entry that does not say what used which records."""
        if not self.step or max(len(self.step), len(self.note)) > limits.MAX_NAME_CHARS * 5:
            raise UsageError(
                f"a ledger entry needs a step, and a note of at most {limits.MAX_NAME_CHARS * 5} characters"
            )
        if not self.data_digest.startswith("sha256:"):
            raise UsageError(f"a ledger entry needs the digest of its records (sha256:…), got {self.data_digest!r}")

    @property
    def private(self) -> bool:
        """Whether the use was through noisy sums alone, and so has a guarantee."""
        return bool(self.events)

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON; `from_json` is its inverse."""
        return {
            "step": self.step,
            "data_digest": self.data_digest,
            "released": self.released,
            "events": [event.to_json() for event in self.events],
            "note": self.note,
        }

    @classmethod
    def from_json(cls, document: object) -> Entry:
        """Read an entry back.

        Raises:
            WireError: a field is missing, unknown or of the wrong type.
        """
        kinds = {"step": str, "data_digest": str, "released": bool, "events": list, "note": str}
        if not isinstance(document, dict) or set(document) != set(kinds):
            raise WireError(f"expected a ledger entry with {', '.join(kinds)}, got {document!r:.200}")
        for name, kind in kinds.items():
            if type(document[name]) is not kind:
                raise WireError(f"expected {name} of a ledger entry as {kind.__name__}, got {document[name]!r:.200}")
        try:
            return cls(**{**document, "events": tuple(map(NoisySums.from_json, document["events"]))})
        except UsageError as error:
            raise WireError(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Every use of one body of records, and the most that they may cost together.

    Parts of one table (a training part, a test part) share a ledger. Their costs are added as if every record had been
    in every use, which can only say too much. Limit and delta are for whoever opens the ledger to say, and not in its
    file: several projects that use one table have one ledger, and each holds all entries against its own limit.

    Args:
        epsilon_limit: the most that all private uses together may cost.
        delta: at which epsilon is stated.
        entries: the uses so far, in order.
        salt: 32 random bytes in hexadecimal, drawn when the ledger is made; the beginning of its chain.
    """

    epsilon_limit: float
    delta: float
    entries: tuple[Entry, ...] = ()
    salt: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        """Refuse a limit that has no meaning, and entries that are already past it."""
        check_budget(epsilon=self.epsilon_limit, delta=self.delta)
        if not _SALT.fullmatch(self.salt):
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
        return epsilon_of((event for entry in self.entries for event in entry.events), delta=self.delta)

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
        gradient = max(own[-1].events, key=lambda event: event.count)
        return PrivacyStatement(
            step=step,
            epsilon=self.epsilon,
            own_epsilon=epsilon_of(own[-1].events, delta=self.delta),
            delta=self.delta,
            membership_advantage=advantage_of(event for entry in self.entries for event in entry.events),
            noise_multiplier=gradient.noise_multiplier,
            steps=gradient.count,
            uses=tuple(Use(step=e.step, private=e.private, released=e.released, note=e.note) for e in self.entries),
            ledger_digest=self.head,
        )

    @property
    def head(self) -> str:
        """The digest of the last link of the chain; it stands for the whole ledger and, salted, tells nothing of it."""
        return self.links[-1]

    def to_bytes(self) -> bytes:
        """The ledger as JSON, one byte string for each ledger; `from_bytes` is its inverse."""
        document = {
            **_header(self.salt),
            "entries": [
                {"entry": entry.to_json(), "digest": link}
                for entry, link in zip(self.entries, self.links[1:], strict=True)
            ],
        }
        return canonical_json(document)

    @classmethod
    def from_bytes(cls, data: bytes, *, epsilon_limit: float, delta: float) -> Ledger:
        """Read a ledger back, and hold it against a limit.

        Raises:
            WireError: not a ledger of a format that this version knows.
            IntegrityError: a ledger that was changed since it was written.
            BudgetError: what it holds is over the limit.
        """
        document = _parse(data)
        entries = tuple(Entry.from_json(item["entry"]) for item in document["entries"])
        links = _chain(document["salt"], entries)[1:]
        for number, (item, link) in enumerate(zip(document["entries"], links, strict=True), start=1):
            if item["digest"] != link:
                raise IntegrityError(
                    f"entry {number} of the privacy ledger, or one before it, was changed since it was written",
                    hint="restore the file from a copy whose last digest is the one in a signed privacy statement",
                )
        ledger = cls(epsilon_limit=epsilon_limit, delta=delta, entries=entries, salt=document["salt"])
        if ledger.to_bytes() != data:
            raise IntegrityError("the privacy ledger was changed since it was written: its bytes are not canonical")
        return ledger

    def save(self, path: Path) -> None:
        """Write the ledger, whole or not at all, for its owner alone to read.

        Raises:
            SystemFault: the folder or the disk refuses; the old ledger is left.
        """
        write_atomic(path, self.to_bytes(), private=True)

    @classmethod
    def load(cls, path: Path, *, epsilon_limit: float, delta: float) -> Ledger:
        """Read a ledger from a file, and hold it against a limit.

        Raises:
            InputError: no such file, or too large.
            WireError, IntegrityError, BudgetError: as in `from_bytes`.
        """
        data = read_bytes(path, max_bytes=limits.MAX_JSON_BYTES, what="a privacy ledger")
        return cls.from_bytes(data, epsilon_limit=epsilon_limit, delta=delta)

    @property
    def links(self) -> tuple[str, ...]:
        """The chain: the head as it was when the ledger was made, and after each entry."""
        return _chain(self.salt, self.entries)


def _header(salt: str) -> dict[str, Any]:
    return {"format": FORMAT, "salt": salt}


def _chain(salt: str, entries: tuple[Entry, ...]) -> tuple[str, ...]:
    """The digest of the header, then of each entry with the link before it."""
    links = [digest_bytes(canonical_json(_header(salt)))]
    for entry in entries:
        links.append(digest_bytes(canonical_json({"previous": links[-1], "entry": entry.to_json()})))
    return tuple(links)


def _parse(data: bytes) -> dict[str, Any]:
    """The JSON of a ledger, its outer shape checked."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"expected a privacy ledger as JSON, got bytes that are none: {error}") from None
    fields = {"format", "salt", "entries"}
    if not isinstance(document, dict) or document.get("format") != FORMAT or set(document) != fields:
        raise WireError(f"expected a privacy ledger in the format {FORMAT}, got {str(document)[:100]!r}")
    if not isinstance(document["salt"], str) or not _SALT.fullmatch(document["salt"]):
        raise WireError("a privacy ledger needs a salt of 32 bytes in hexadecimal")
    entries = document["entries"]
    if not isinstance(entries, list) or not all(isinstance(i, dict) and set(i) == {"entry", "digest"} for i in entries):
        raise WireError("a privacy ledger needs its entries as a list, each with its digest")
    return document
