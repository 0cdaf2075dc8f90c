"""The privacy statement: what is promised to the person behind a record, and what is not, complete and in words.

Its parts are those that NIST SP 800-226 ("Guidelines for evaluating differential privacy guarantees") asks a buyer to
look for: the parameters, the unit, the neighbouring relation, the mechanism, composition, the trust model, and the
hazards of implementation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from holdfast.evidence import NO_MODEL, Evidence, Figure
from holdfast.telling import Printed
from holdfast.training.account.events import Event, SampledSums
from holdfast.training.account.methods import METHODS, Method
from holdfast.training.account.words import at_least, at_most

_TRUST: Final = (
    "central: whoever trains sees the records; the guarantee is against everyone who sees what is released, whatever "
    "else they know and however much they can compute"
)
_ALWAYS_OUTSIDE: Final = (
    "Rows held out for tests are not protected by it; figures measured on them are exact.",
    "The exact number of records, and exact figures measured on them, are not protected where evidence states them.",
    "What an earlier use without noise told of a row stays told, also where a later split puts the row into training.",
    "A profile of the records that a service keeps to watch for unusual queries is not protected by it.",
    "Refusals (too few records, a class without one) and the time that training takes are not protected by it.",
    "Settings chosen by trying them on the records without noise, or by a person who looked at them, are not counted.",
    "Uses of the same records that are not in the ledger are not counted.",
)


@dataclass(frozen=True, kw_only=True)
class Use:
    """One line of the ledger, as the statement shows it; a use without a method is one without noise."""

    step: str
    method: str
    released: bool
    note: str = ""

    @property
    def private(self) -> bool:
        """Whether the use has a guarantee."""
        return bool(self.method)

    @property
    def without_guarantee(self) -> str:
        """One sentence on a use without noise."""
        what = f" ({self.note})" if self.note else ""
        where = "was released." if self.released else "must stay with those who may see the records."
        return f"The step {self.step!r} used records without noise{what} and has no guarantee; what came out {where}"

    def to_json(self) -> dict[str, Any]:
        """The line as JSON."""
        return {**asdict(self), "private": self.private}


@dataclass(frozen=True, kw_only=True, repr=False)
class PrivacyStatement(Printed):
    """The guarantee on what a step released, with everything else that was taken from the same records.

    Args:
        step: the step that the statement is on.
        epsilon, delta: upper bound on what all private uses of the records together give away.
        own_epsilon: upper bound for this step alone.
        records_per_person: how many records one person may have and is protected with as a whole; 1 protects a record.
        membership_advantage: upper bound on true minus false positive rate of any test of whether one was there.
        events: the noisy sums of this step.
        uses: every line of the ledger.
        ledger_digest: the head of the ledger that was summed up; salted, so that it tells nothing of the records.
    """

    step: str
    epsilon: float
    own_epsilon: float
    delta: float
    records_per_person: int
    membership_advantage: float
    events: tuple[Event, ...]
    uses: tuple[Use, ...]
    ledger_digest: str

    @property
    def parts(self) -> dict[str, str]:
        """The statement part by part, by the name of each part."""
        return {
            "guarantee": (
                f"epsilon at most {at_most(self.epsilon)} at delta {at_most(self.delta)}, for all private uses together"
            ),
            "this step": f"{self.step}: epsilon at most {at_most(self.own_epsilon)} at the same delta",
            "in other words": (
                f"whoever guesses from the outcome whether {self._who} there is right at most "
                f"{at_most(50 + 50 * self.membership_advantage, digits=3)} times in 100, against 50 by tossing a coin"
            ),
            "unit of privacy": self._unit(),
            "neighbouring relation": self._told(lambda method: method.neighbours),
            "mechanism": self._told(lambda method: method.mechanism),
            "noise": "; ".join(map(_noise, self.events)),
            "sampling": self._told(lambda method: method.sampling),
            "composition": self._composition(),
            "tuning": self._told(lambda method: method.tuning),
            "trust model": _TRUST,
            "floating point": self._told(lambda method: method.arithmetic),
            "ledger": self.ledger_digest,
        }

    @property
    def not_covered(self) -> tuple[str, ...]:
        """What the guarantee does not cover, each one sentence: the uses without noise first."""
        exact = dict.fromkeys(use.without_guarantee for use in self.uses if not use.private)
        own = dict.fromkeys(item for method in self._methods for item in method.not_covered)
        return (*exact, self._larger_groups(), *own, *_ALWAYS_OUTSIDE)

    @property
    def _methods(self) -> dict[Method, list[str]]:
        """The methods in the ledger, each with the steps that used it, in order."""
        steps: dict[Method, list[str]] = {}
        for use in self.uses:
            if use.private:
                steps.setdefault(METHODS[use.method], []).append(use.step)
        return steps

    def _told(self, part: Callable[[Method], str]) -> str:
        """One part of all methods: said once where they agree, else with the steps that each text is about."""
        texts: dict[str, list[str]] = {}
        for method, steps in self._methods.items():
            texts.setdefault(part(method), []).extend(steps)
        if len(texts) == 1:
            return next(iter(texts))
        return "; ".join(f"[{', '.join(dict.fromkeys(steps))}] {text}" for text, steps in texts.items())

    @property
    def _who(self) -> str:
        if self.records_per_person == 1:
            return "one record was"
        return f"one person's records, up to {self.records_per_person}, were"

    def _unit(self) -> str:
        record = self._told(lambda method: method.record)
        if self.records_per_person == 1:
            return f"one record, that is {record}"
        return f"one person with up to {self.records_per_person} records, all there or none; a record is {record}"

    def _larger_groups(self) -> str:
        if self.records_per_person == 1:
            return (
                "A person with several records is protected less: for k records, epsilon is up to k times as large, "
                "and delta grows too."
            )
        return f"A person with more than {self.records_per_person} records is protected less."

    def _composition(self) -> str:
        times = Counter(use.step for use in self.uses if use.private)
        steps = [f"{step}, {count} times" if count > 1 else step for step, count in times.items()]
        mixed = len({method.neighbours for method in self._methods}) > 1
        return (
            f"every private use in the ledger ({', '.join(steps)}) is summed by its privacy loss distribution, "
            "each chosen with the results before it in view; epsilon is rounded up"
            + ("; the sum is for the relation in which the number of records is public" if mixed else "")
        )

    def to_text(self) -> str:
        """The statement for people, one part a line."""
        lines = [f"{name}: {text}" for name, text in self.parts.items()]
        return "\n".join([*lines, "not covered:", *(f"  - {item}" for item in self.not_covered)]) + "\n"

    def to_json(self) -> dict[str, Any]:
        """The statement as JSON."""
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "records_per_person": self.records_per_person,
            "membership_advantage": self.membership_advantage,
            "own_epsilon": self.own_epsilon,
            "events": [event.to_json() for event in self.events],
            "ledger_digest": self.ledger_digest,
            "uses": [use.to_json() for use in self.uses],
            "parts": self.parts,
            "not_covered": list(self.not_covered),
        }

    def _printed(self) -> Evidence:
        return self.to_evidence(NO_MODEL)

    def to_evidence(self, model_digest: str) -> Evidence:
        """The statement as evidence about one model."""
        longest = max(self.events, key=lambda event: event.count)
        return Evidence(
            kind="privacy-guarantee",
            subject=model_digest,
            subject_kind="model",
            title=(
                f"Whether {self._who} there changes the odds of what the noise protects by at most "
                f"e^{at_most(self.epsilon, digits=3)}, except with probability {at_most(self.delta)}."
            ),
            figures={
                "epsilon": Figure(value=self.epsilon, bound="upper"),
                "own_epsilon": Figure(value=self.own_epsilon, bound="upper"),
                "delta": Figure(value=self.delta, bound="upper"),
                "membership_advantage": Figure(value=self.membership_advantage, bound="upper"),
                "records_per_person": Figure(value=float(self.records_per_person), unit="records"),
                "noise_multiplier": Figure(value=longest.noise_multiplier),
                "steps": Figure(value=float(longest.count), unit="steps"),
            },
            context=self.to_json(),
            references=(
                "NIST SP 800-226",
                "NIST AI 100-2e2025 NISTAML.033 Membership Inference",
                "OWASP ML04:2023 Membership Inference Attack",
            ),
            caveats=self.not_covered,
        )


def _noise(event: Event) -> str:
    sums = f"noise multiplier {at_least(event.noise_multiplier)} in each of {event.count} sums of {event.width} numbers"
    return f"{sums}, sampling rate {at_most(event.sampling_rate)}" if isinstance(event, SampledSums) else sums
