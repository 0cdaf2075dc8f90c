"""The privacy statement: what is promised to the person behind a record, and what is not, complete and in words.

Its parts are those that NIST SP 800-226 ("Guidelines for evaluating differential privacy guarantees") asks a buyer to
look for: the parameters, the unit, the neighbouring relation, the mechanism, composition, the trust model, and the
hazards of implementation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from holdfast.evidence import Evidence, Figure
from holdfast.training.accounting import at_least, at_most

_UNIT: Final = "one record, that is one row of the training table"
_NEIGHBOURS: Final = (
    "add or remove one record; the number of records is therefore protected too, and only used with noise"
)
_MECHANISM: Final = (
    "logistic regression by full-batch gradient descent; the mean, a histogram of distances, the mean squares and each "
    "gradient are sums over records, each record's vector clipped in L2 norm, with Gaussian noise "
    "(Dwork and Roth 2014; Abadi et al. 2016); where training is adversarial, a record's gradient is taken at the "
    "worst case of that record alone"
)
_SAMPLING: Final = "none: every record is in every step, so no amplification by sampling is claimed"
_TUNING: Final = (
    "clipping norm, step size and shares of the budget are fixed constants of Holdfast, chosen on the public data sets "
    "that docs/privacy.md names and not accounted for on those; nor is what a person chose after looking at the records"
)
_TRUST: Final = (
    "central: whoever trains sees the records; the guarantee is against everyone who sees what is released, whatever "
    "else they know and however much they can compute"
)
_ARITHMETIC: Final = (
    "sums are exact in whole numbers and the noise is a rounded normal deviate drawn by rejection from the operating "
    "system's random bytes, so low-order bits tell nothing; the remaining gap to exact noise is in epsilon and delta"
)
_ALWAYS_OUTSIDE: Final = (
    "A person with several rows is protected less: for k rows, epsilon is up to k times as large, and delta grows too.",
    "Rows held out for tests are not protected by it; figures measured on them are exact.",
    "The exact number of records, and exact figures measured on them, are not protected where evidence states them.",
    "What an earlier use without noise told of a row stays told, also where a later split puts the row into training.",
    "A profile of the records that a service keeps to watch for unusual queries is not protected by it.",
    "Refusals (too few records, a class without one) and the time that training takes are not protected by it.",
    "Uses of the same records that are not in the ledger are not counted.",
)


@dataclass(frozen=True, kw_only=True)
class Use:
    """One line of the ledger, as the statement shows it."""

    step: str
    private: bool
    released: bool
    note: str = ""

    @property
    def without_guarantee(self) -> str:
        """One sentence on a use without noise."""
        what = f" ({self.note})" if self.note else ""
        where = "was released." if self.released else "must stay with those who may see the records."
        return f"The step {self.step!r} used records without noise{what} and has no guarantee; what came out {where}"


@dataclass(frozen=True, kw_only=True)
class PrivacyStatement:
    """The guarantee on what a step released, with everything else that was taken from the same records.

    Args:
        step: the step that the statement is on.
        epsilon, delta: upper bound on what all private uses of the records together give away.
        own_epsilon: upper bound for this step alone.
        membership_advantage: upper bound on true minus false positive rate of any test of whether a record was there.
        noise_multiplier, steps: of this step's gradient sums.
        uses: every line of the ledger.
        ledger_digest: the head of the ledger that was summed up; salted, so that it tells nothing of the records.
    """

    step: str
    epsilon: float
    own_epsilon: float
    delta: float
    membership_advantage: float
    noise_multiplier: float
    steps: int
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
                "whoever guesses from the outcome whether one record was there is right at most "
                f"{at_most(50 + 50 * self.membership_advantage, digits=3)} times in 100, against 50 by tossing a coin"
            ),
            "unit of privacy": _UNIT,
            "neighbouring relation": _NEIGHBOURS,
            "mechanism": _MECHANISM,
            "noise": f"noise multiplier {at_least(self.noise_multiplier)} in each of {self.steps} gradient steps",
            "sampling": _SAMPLING,
            "composition": self._composition(),
            "tuning": _TUNING,
            "trust model": _TRUST,
            "floating point": _ARITHMETIC,
            "ledger": self.ledger_digest,
        }

    @property
    def not_covered(self) -> tuple[str, ...]:
        """What the guarantee does not cover, each one sentence: the uses without noise first."""
        exact = dict.fromkeys(use.without_guarantee for use in self.uses if not use.private)
        return (*exact, *_ALWAYS_OUTSIDE)

    def _composition(self) -> str:
        names = ", ".join(use.step for use in self.uses if use.private)
        return (
            f"every private use in the ledger ({names}) is summed by its privacy loss distribution, "
            "each chosen with the results before it in view; epsilon is rounded up"
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
            "membership_advantage": self.membership_advantage,
            "own_epsilon": self.own_epsilon,
            "noise_multiplier": self.noise_multiplier,
            "steps": self.steps,
            "ledger_digest": self.ledger_digest,
            "uses": [asdict(use) for use in self.uses],
            "parts": self.parts,
            "not_covered": list(self.not_covered),
        }

    def to_evidence(self, model_digest: str) -> Evidence:
        """The statement as evidence about one model."""
        return Evidence(
            kind="privacy-guarantee",
            subject=model_digest,
            subject_kind="model",
            title=(
                "Adding or removing one training record changes the odds of what the noise protects by at most "
                f"e^{at_most(self.epsilon, digits=3)}, except with probability {at_most(self.delta)}."
            ),
            figures={
                "epsilon": Figure(value=self.epsilon, bound="upper"),
                "own_epsilon": Figure(value=self.own_epsilon, bound="upper"),
                "delta": Figure(value=self.delta, bound="upper"),
                "membership_advantage": Figure(value=self.membership_advantage, bound="upper"),
                "noise_multiplier": Figure(value=self.noise_multiplier),
                "steps": Figure(value=float(self.steps), unit="steps"),
            },
            context=self.to_json(),
            references=("NIST SP 800-226", "NIST AI 100-2 (privacy attacks: membership inference)", "OWASP ML04:2023"),
            caveats=self.not_covered,
        )
