"""Evidence: one measured claim about one exact model or data set. Frozen values, no IO.

A step of Holdfast leaves evidence; the policy judges it; the report draws it; a bundle carries it signed.
Evidence names what it is about by digest, so it cannot be moved to another model.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeGuard, get_args

from holdfast.errors import UsageError, WireError
from holdfast.rounding import outward

FORMAT: Final = "holdfast-evidence-1"

NO_MODEL: Final = "sha256:" + "0" * 64
"""Stands for a model that is kept nowhere and has no digest."""

Bound = Literal["estimate", "upper", "lower"]
"""What a figure says of the truth: a statistical estimate, a proven upper bound, or a lower bound."""


def canonical_json(value: object) -> bytes:
    """The one byte string of a JSON value: sorted keys, no spaces, UTF-8, no NaN or infinity.

    Raises:
        UsageError: a number is not finite, a value is not JSON, or is nested too deeply to be written.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (ValueError, TypeError, RecursionError) as error:  # UnicodeEncodeError, of a lone surrogate, is a ValueError
        raise UsageError(f"expected a JSON value of finite numbers and text, got one that is not: {error}") from None


def is_finite_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number that a float can hold: not a truth value, NaN, an infinity or a vast integer."""
    # Compared and not converted: an integer may be too large to become a float, and NaN compares false.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -sys.float_info.max <= value <= sys.float_info.max
    )


def digest_bytes(data: bytes) -> str:
    """SHA-256 of bytes, as `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number with what is known of its error.

    `low` and `high` enclose the truth with probability `confidence` (two-sided, between 0 and 1), where they are given.
    `unit` is "" for a pure number, else a short name ("rows", "ms", "queries").
    """

    value: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    unit: str = ""
    bound: Bound = "estimate"

    def __post_init__(self) -> None:
        """Refuse what is no finite number, and intervals that do not enclose their value."""
        if not all(is_finite_number(n) for n in (self.value, self.low, self.high, self.confidence) if n is not None):
            raise UsageError("a figure's value, interval and confidence must be finite numbers")
        if self.confidence is not None and not 0 < self.confidence < 1:
            raise UsageError(f"a figure's confidence must be above 0 and below 1, got {self.confidence}")
        if self.bound not in get_args(Bound):
            raise UsageError(f"a figure's bound is one of {', '.join(get_args(Bound))}, got {self.bound!r}")
        if (self.low is None) != (self.high is None):
            raise UsageError("a figure's interval needs both ends, got one")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise UsageError(f"a figure's interval must enclose it, got {self.low} <= {self.value} <= {self.high}")

    def __str__(self) -> str:
        """The figure in one line: the number, how sure it is, and which way it errs."""
        places = 3 - math.floor(math.log10(abs(self.value))) if self.value else 0
        text = f"{outward(self.value, places=places, bound=self.bound):.4g} {self.unit}".rstrip()
        if self.low is not None and self.high is not None:
            sure = "interval" if self.confidence is None else f"{100 * self.confidence:g}% interval"
            text += f" ({sure} {self.low:.4g} to {self.high:.4g})"
        return text if self.bound == "estimate" else f"{text}, {self.bound} bound"

    def to_json(self) -> dict[str, Any]:
        """The figure as JSON, without the fields that say nothing."""
        out: dict[str, Any] = {"value": self.value}
        if self.low is not None:
            out |= {"low": self.low, "high": self.high}
        if self.confidence is not None:
            out["confidence"] = self.confidence
        if self.unit:
            out["unit"] = self.unit
        if self.bound != "estimate":
            out["bound"] = self.bound
        return out


@dataclass(frozen=True, kw_only=True, repr=False)
class Evidence:
    """One measured claim about one exact subject.

    Args:
        kind: what was measured, one of a step's names ("evasion", "privacy-guarantee", …).
        subject: digest of the model or data set that it is about.
        subject_kind: which of the two.
        title: the claim in one plain sentence, for people.
        figures: named numbers; policies refer to them by name.
        samples: named columns of one number per sample, all of one length, for plots and for looking up rows.
        context: the threat, the budget, the parameters: what is needed to measure it again.
        references: names in the field's catalogues ("MITRE ATLAS AML.T0015 Evade AI Model").
        caveats: what the claim does not cover, each one sentence.
    """

    kind: str
    subject: str
    subject_kind: Literal["model", "dataset"]
    title: str
    figures: Mapping[str, Figure]
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Freeze the mappings and refuse sample columns of different lengths."""
        if not self.subject.startswith("sha256:"):
            raise UsageError(f"evidence needs the digest of its subject (sha256:…), got {self.subject!r}")
        if self.subject_kind not in ("model", "dataset"):
            raise UsageError(f"evidence is about a model or a dataset, got {self.subject_kind!r}")
        if len({len(column) for column in self.samples.values()}) > 1:
            raise UsageError("the per-sample columns of evidence must have one length")
        object.__setattr__(self, "figures", MappingProxyType(dict(self.figures)))
        samples = {name: _numbers(name, column) for name, column in self.samples.items()}
        object.__setattr__(self, "samples", MappingProxyType(samples))
        object.__setattr__(self, "context", MappingProxyType(dict(self.context)))

    def __repr__(self) -> str:
        """The claim in one line."""
        return f"<{type(self).__name__} {self.kind}: {self.title}>"

    def to_json(self) -> dict[str, Any]:
        """The evidence as JSON; `from_json` is its inverse."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "subject": self.subject,
            "subject_kind": self.subject_kind,
            "title": self.title,
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "samples": {name: list(column) for name, column in self.samples.items()},
            "context": dict(self.context),
            "references": list(self.references),
            "caveats": list(self.caveats),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest_bytes(canonical_json(self.to_json()))

    @classmethod
    def from_json(cls, document: object) -> Evidence:
        """Read evidence back.

        Raises:
            WireError: the document is not evidence of a format that this version knows.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            got = document.get("format") if isinstance(document, dict) else type(document).__name__
            raise WireError(f"expected evidence in the format {FORMAT}, got {got!r}")
        _check_fields(document)
        try:
            return cls(
                kind=document["kind"],
                subject=document["subject"],
                subject_kind=document["subject_kind"],
                title=document["title"],
                figures={name: Figure(**figure) for name, figure in document["figures"].items()},
                samples=document["samples"],
                context=document["context"],
                references=tuple(document["references"]),
                caveats=tuple(document["caveats"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError, UsageError) as error:
            raise WireError(f"evidence is malformed: {error}") from None


def _numbers(name: str, column: Sequence[float]) -> tuple[float, ...]:
    """A column of samples as floats, from numbers of Python or NumPy."""
    try:
        numbers = tuple(map(float, column))
    except (TypeError, ValueError, OverflowError):
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"the per-sample column {name!r} of evidence must be finite")
    return numbers


_FIELDS: Final = MappingProxyType(
    {
        "format": str,
        "kind": str,
        "subject": str,
        "subject_kind": str,
        "title": str,
        "figures": dict,
        "samples": dict,
        "context": dict,
        "references": list,
        "caveats": list,
    }
)


def _check_fields(document: Mapping[str, Any]) -> None:
    """Refuse a field that is missing, unknown or of another type: what is read back is all that was signed."""
    if odd := sorted(map(str, set(document) ^ set(_FIELDS))):
        raise WireError(f"evidence has {', '.join(_FIELDS)}; this one differs in {', '.join(odd[:5])}")
    for name, expected in _FIELDS.items():
        if not isinstance(document[name], expected):
            raise WireError(f"evidence needs its {name} as a {expected.__name__}, got {document[name]!r:.80}")
    for name in ("references", "caveats"):
        if not all(isinstance(text, str) for text in document[name]):
            raise WireError(f"evidence needs its {name} as strings")
    for column in document["samples"].values():
        if not isinstance(column, list) or not all(map(is_finite_number, column)):
            raise WireError("evidence needs its samples as lists of finite numbers")


def find(evidence: Iterable[Evidence], kind: str, *, subject: str | None = None) -> Evidence | None:
    """The last evidence of a kind, about one subject if given; None where there is none."""
    found = None
    for item in evidence:
        if item.kind == kind and subject in (None, item.subject):
            found = item
    return found
