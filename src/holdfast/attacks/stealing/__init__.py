"""Stealing a model by asking it.

    extraction ── Asking ── a strategy (equations, boundary, paths, learning) ──> ExtractionResult

All strategies ask through one `Asking`, which keeps the budget and every answer; `plan` says which of them fit.
"""

from holdfast.attacks.stealing.extraction import extraction
from holdfast.attacks.stealing.plan import Method
from holdfast.attacks.stealing.result import ExtractionResult

__all__ = ["ExtractionResult", "Method", "extraction"]
