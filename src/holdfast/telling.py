"""Results that give themselves to others: printed, as JSON, as a page, as SARIF; all of it through their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from holdfast.evidence import NO_MODEL, Evidence, is_finite_number

_MOST_FIGURES: Final = 6
"""Figures that evidence is printed with."""
_TOLD: Final = ("threat", "method", "attack")
"""What is printed of its context."""
_MAX_TEXT: Final = 100
"""Characters of one line of that."""


def summary(evidence: Evidence) -> str:
    """A claim, its first figures, threat, method and the first doubt, in ten lines or so; nothing of single records."""
    told = {name: str(figure) for name, figure in list(evidence.figures.items())[:_MOST_FIGURES]}
    told |= {name: _short(evidence.context[name]) for name in _TOLD if name in evidence.context}
    doubts = evidence.context.get("unreliable")
    if doubts and isinstance(doubts, list | tuple):
        told["unreliable"] = _short(doubts[0])
    width = max(map(len, told), default=0)
    lines = [f"  {name:{width}}  {text}" for name, text in told.items()]
    left, caveats = len(evidence.figures) - _MOST_FIGURES, len(evidence.caveats)
    more = [f"{left} more figures"] if left > 0 else []
    if caveats:
        more.append(f"{caveats} caveats" if caveats > 1 else "1 caveat")
    return "\n".join([evidence.title, *lines, *([f"  and {', '.join(more)}"] if more else [])])


def _short(value: Any) -> str:
    """A value of the context in one line; what is too long is cut."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_short(item)}" for name, item in value.items())
    else:
        text = f"{value:.6g}" if is_finite_number(value) else str(value)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


class Printed:
    """What prints itself through its evidence: one line as `repr`, ten at most as `str`, eleven if doubted.

    A dataclass that is one has to say `repr=False`, or its arrays are printed in full.
    """

    def _printed(self) -> Evidence:
        """The evidence that is printed."""
        raise NotImplementedError

    def __str__(self) -> str:
        return summary(self._printed())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._printed().title}>"


class Telling(Printed):
    """What a result that becomes evidence can also become."""

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        raise NotImplementedError

    def to_json(self, model_digest: str = NO_MODEL) -> dict[str, Any]:
        """The result as JSON: the evidence about the model with this digest, record by record."""
        return self.to_evidence(model_digest).to_json()

    def to_html(self, model_digest: str = NO_MODEL) -> str:
        """The result as one self-contained HTML page."""
        from holdfast.drawing.evidence_page import evidence_page  # templates are loaded for those who want a page

        return evidence_page(self.to_evidence(model_digest))

    def to_sarif(self, model_digest: str = NO_MODEL) -> dict[str, Any]:
        """The result as a SARIF 2.1.0 log."""
        from holdfast.sarif import sarif_log

        return sarif_log([self.to_evidence(model_digest)])

    def _printed(self) -> Evidence:
        return self.to_evidence(NO_MODEL)
