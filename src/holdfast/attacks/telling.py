"""Results that give themselves to others: as JSON, as a page, as SARIF."""

from __future__ import annotations

from typing import Any

from holdfast.drawing.evidence_page import evidence_page
from holdfast.evidence import NO_MODEL, Evidence
from holdfast.sarif import sarif_log


class Telling:
    """What a result that becomes evidence can also become."""

    def to_evidence(self, model_digest: str) -> Evidence:
        """The result as evidence about the model with this digest."""
        raise NotImplementedError

    def to_json(self, model_digest: str = NO_MODEL) -> dict[str, Any]:
        """The result as JSON: the evidence about the model with this digest, record by record."""
        return self.to_evidence(model_digest).to_json()

    def to_html(self, model_digest: str = NO_MODEL) -> str:
        """The result as one self-contained HTML page."""
        return evidence_page(self.to_evidence(model_digest))

    def to_sarif(self, model_digest: str = NO_MODEL) -> dict[str, Any]:
        """The result as a SARIF 2.1.0 log."""
        return sarif_log([self.to_evidence(model_digest)])
