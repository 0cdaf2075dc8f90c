"""Linear programs by one plaintext product: numbers and weights as coefficients, no rotation, no evaluation key."""

from __future__ import annotations

from holdfast.private_inference.coefficients.choice import choose_layout
from holdfast.private_inference.coefficients.circuit import CoefficientCircuit
from holdfast.private_inference.coefficients.layout import CoefficientLayout

__all__ = ["CoefficientCircuit", "CoefficientLayout", "choose_layout"]
