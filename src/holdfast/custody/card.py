"""The card: what a model is for, what it is not for, and where it came from, in words that people and programs read.

After Mitchell et al., "Model Cards for Model Reporting" (2019), cut to what a bundle cannot say elsewhere: figures are
in the evidence, digests of files in the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from holdfast.errors import UsageError, WireError

FORMAT: Final = "holdfast-card-1"

_TEXTS: Final = (
    "name",
    "version",
    "created",
    "model_kind",
    "intended_use",
    "not_for",
    "licence",
    "data_digest",
)
_MAPPINGS: Final = ("schema", "training", "privacy")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a person must know before using a model. Mappings hold plain JSON.

    Args:
        name: the model's name, of letters, digits, `.`, `_` and `-`.
        version: its version, of the same characters.
        created: when it was made, UTC, as `2025-01-31T12:00:00Z`.
        model_kind: what it is ("logistic regression", "gradient-boosted trees").
        intended_use: what it was made for.
        not_for: what it must not be used for.
        licence: under which terms it may be used.
        data_digest: digest of the training data (`sha256:…`), or "" where it must not be told.
        schema: the features it takes, as `Schema` writes them.
        training: the parameters it was trained with.
        privacy: the statement of its privacy guarantee; empty where it has none.
        evidence: one plain sentence for each piece of evidence in the bundle.
    """

    name: str
    version: str
    created: str
    model_kind: str
    intended_use: str
    not_for: str
    licence: str
    data_digest: str
    schema: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    privacy: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Freeze the mappings and refuse fields of another type."""
        for name in _TEXTS:
            if not isinstance(getattr(self, name), str):
                raise UsageError(f"a card's {name} must be a text, got {getattr(self, name)!r:.100}")
        for name in _MAPPINGS:
            value = getattr(self, name)
            if not isinstance(value, Mapping):
                raise UsageError(f"a card's {name} must be a mapping, got {value!r:.100}")
            object.__setattr__(self, name, MappingProxyType(dict(value)))
        if not isinstance(self.evidence, tuple) or not all(isinstance(line, str) for line in self.evidence):
            raise UsageError(f"a card's evidence must be a tuple of texts, got {self.evidence!r:.100}")

    def to_json(self) -> dict[str, Any]:
        """The card as JSON; `from_json` is its inverse."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        mappings = {name: dict(getattr(self, name)) for name in _MAPPINGS}
        return {"format": FORMAT, **texts, **mappings, "evidence": list(self.evidence)}

    @classmethod
    def from_json(cls, document: object) -> ModelCard:
        """Read a card back.

        Raises:
            WireError: the document is not a card of a format that this version knows, or has a field too many or few.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            got = document.get("format") if isinstance(document, dict) else type(document).__name__
            raise WireError(f"expected a card in the format {FORMAT}, got {got!r:.100}")
        wanted = {"format", "evidence", *_TEXTS, *_MAPPINGS}
        if document.keys() != wanted:
            odd = ", ".join(sorted(map(repr, document.keys() ^ wanted)))
            raise WireError(f"expected a card with its {len(wanted)} fields, too many or missing: {odd:.200}")
        evidence = document["evidence"]
        try:
            return cls(
                evidence=tuple(evidence) if isinstance(evidence, list) else evidence,
                **{name: document[name] for name in (*_TEXTS, *_MAPPINGS)},
            )
        except UsageError as error:
            raise WireError(f"the card is malformed: {error}") from None
